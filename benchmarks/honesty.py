"""Does any attack or suite claim an effect that is not there? The coin networks, and a budget of nearly nothing.

    python benchmarks/honesty.py runs/tools runs/honesty.jsonl     # continues where it was stopped
    python benchmarks/honesty.py --page docs/results/honesty/answers.jsonl.gz

A coin's answers do not depend on the input: every attack must report 95 %, and survive-20 must be .95^20. A budget of
1e-6 changes nothing: on a random LeNet every attack must report the clean accuracy. Every attack runs with its default
settings, in the first norm it supports, on 64 test images.
"""

from __future__ import annotations

import argparse
from typing import Any

from attacks import installed
from torch import nn

from variate import registry
from variate.evaluation.evaluate import evaluate
from variate.records.file import Records
from variate.records.rows import CLEAN, RateRow, rows_of
from variate.testing.coin import Coin, shared_coin
from variate.training.run_folder import run_record
from variate.training.saved import load

EXAMPLES, DRAWS, VERDICT, ERROR = 64, 5, 400, 0.05
COIN, SHARED, LENET = "coin, each example", "coin, whole batch", "random LeNet"
SIZES = {"linf": "0.5", "l2": "5", "l1": "20", "l0": "20"}  # budgets of an attack on a coin
NOTHING = {"linf": "1e-6", "l2": "1e-6", "l1": "1e-6"}  # l0 has no null test: a whole pixel is more than nearly nothing
SUITES = ("quick", "standard", "full")
DEPLOYMENTS = ("single", "survive-20")


def attacks() -> dict[str, list[str]]:
    """The attacks that can run here, by the first norm they support."""
    found: dict[str, list[str]] = {}
    for name, entry in registry.entries("attacks").items():
        if not entry.facts["variants"] or installed(name):
            found.setdefault(entry.facts["norms"][0], []).append(name)
    return found


def measure(network: nn.Module, name: str, sizes: dict[str, str], data: tuple[Any, Any], records: Records) -> None:
    """Every attack and suite on one network."""
    common = {
        "draws": DRAWS, "verdict_draws": VERDICT, "deployments": DEPLOYMENTS, "records": records, "name": name,
        "show_progress": True,
    }  # fmt: skip
    for norm, names in attacks().items():
        if norm in sizes:
            evaluate(network, *data, budget=f"{norm}:{sizes[norm]}", attacks=names, **common)
    for suite in SUITES:
        evaluate(network, *data, budget=f"linf:{sizes['linf']}", attacks=[], suite=suite, **common)


def table(records: Records) -> str:
    """Attacks down, networks and deployments across, each cell with its 95 % interval; false claims are marked."""
    known = [claim for claim in records.claims.values() if records.examples.get(claim.id)]
    rows = [row for claim in known for row in rows_of(records, claim)]
    columns = [(COIN, "single"), (COIN, "survive-20"), (SHARED, "single"), (SHARED, "survive-20"), (LENET, "single")]
    truth = {"single": 1 - ERROR, "survive-20": (1 - ERROR) ** 20}
    clean = next(row.rate for row in rows if (row.network, row.deployment, row.attack) == (LENET, "single", CLEAN))
    cells = {(row.attack, row.network, row.deployment): row for row in rows}
    heads = [f"{network}, {way}" for network, way in columns]
    expected = [f"{100 * (clean if network == LENET else truth[way]):.1f}" for network, way in columns]
    lines = ["| attack | " + " | ".join(heads) + " |", "| :-- |" + " --: |" * len(columns)]
    lines.append("| *the truth* | " + " | ".join(expected) + " |")
    for attack in dict.fromkeys(row.attack for row in rows):
        shown = [
            _cell(cells.get((attack, network, way)), clean if network == LENET else truth[way])
            for network, way in columns
        ]
        lines.append(f"| {attack} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _cell(row: RateRow | None, truth: float) -> str:
    if row is None:
        return "-"
    text = f"{100 * row.rate:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
    return text if row.low <= truth <= row.high else f"**{text}**"


def main() -> None:
    """Run the measurements that are not recorded yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", help="folder of the random LeNet")
    parser.add_argument("records", nargs="?", help="file of the records")
    parser.add_argument("--page", help="print the table of these records")
    options = parser.parse_args()
    if options.page:
        print(table(Records(options.page)))
        return
    records = Records(options.records)
    x, y = registry.get("datasets", "fashion-mnist").load()("test")
    x, y = x[:EXAMPLES], y[:EXAMPLES]
    if not records.runs:
        command = f"python benchmarks/honesty.py {options.run} {options.records}"
        title = "Coins, and a budget of nearly nothing"
        records.add([run_record(command=command, title=title, data="fashion-mnist", seed=0, x=x)])
    for name, coin in ((COIN, Coin(ERROR)), (SHARED, shared_coin(ERROR))):
        measure(coin, name, SIZES, (x, 0 * y), records)
    measure(load(options.run), LENET, NOTHING, (x, y), records)
    print(table(records))


if __name__ == "__main__":
    main()
