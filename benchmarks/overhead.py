"""Cost of randomness: random networks against the deterministic one, and against other libraries.

    python benchmarks/overhead.py [--json FILE] [--cases lenet lstm] [--rounds N] [--no-peers]

The forward uses a fresh draw and no gradients; the training step is cross-entropy, backward pass and plain SGD; both
run in training mode. All variants of a measurement take turns in one process; the result is the ratio of medians to the
deterministic network with a 95 % bootstrap interval. Other libraries are included where they are installed
(``pip install --no-deps -r benchmarks/peers.txt``). The whole run takes about ten minutes on two idle cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import measuring
import torch
from measuring import Timed
from networks import CASES, Case
from peers import Cannot, Converted, converted, installed
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random.randomize import randomize

SECONDS = 40  # for all rounds of one measurement, unless the minimum number of rounds takes longer
PLAIN, OURS = "deterministic", "variate"
TARGETS = {
    "forward": dict(zip(CASES, (1.04, 1.03, 1.01, 1.01, 1.04), strict=True)),
    "training step": dict(zip(CASES, (1.02, 1.03, 1.01, 1.01, 1.02), strict=True)),
}
EXCESS = 4.0  # least cost of a peer above the deterministic network, as a multiple of ours


def forward(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.no_grad():
            network(x)

    return run


def step(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    """One training step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)

    def run() -> None:
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


KINDS = {"forward": forward, "training step": step}


def sides(case: Case, peers: bool) -> tuple[dict[str, Converted], dict[str, str]]:
    """The networks of a case that can be measured, and the reason why the others cannot."""
    plain, x, _ = case
    able, unable = {PLAIN: Converted(plain, 0.0, ""), OURS: Converted(randomize(plain), 1.0, "")}, {}
    for name, convert in (installed() if peers else {}).items():
        try:
            able[name] = converted(convert, plain, x)
        except Cannot as reason:
            unable[name] = str(reason)
    return able, unable


def compared(timed: Timed, able: Mapping[str, Converted], target: float) -> dict[str, dict[str, Any]]:
    """One record per variant of a measurement."""
    found: dict[str, dict[str, Any]] = {}
    for name, side in able.items():
        found[name] = {"ms": round(timed.median(name), 3)}
        if name != PLAIN:
            found[name] |= {"random": round(side.share, 4), "ratio": timed.ratio(name, PLAIN)}
        if name == OURS:
            found[name]["target"] = target
        elif name != PLAIN:
            found[name] |= {"excess": timed.excess(name, OURS, PLAIN), "note": side.note}
    return found


def show(case: str, kind: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one measurement."""
    head = (f"{case}, {kind}", "ms", "random", "ratio", "target", "excess / ours", "target")
    rows = []
    for name, row in found.items():
        if "cannot" in row:
            rows.append((name, "cannot", "", "", "", "", ""))
            continue
        share = f"{100 * row['random']:.4g} %" if "random" in row else ""
        excess = row["excess"].times() if "excess" in row else ""
        target = f"{row['target']:.2f}" if "target" in row else ""
        rows.append(
            (name, f"{row['ms']:.2f}", share, str(row.get("ratio", "")), target, excess, f"{EXCESS:.0f}" * bool(excess))
        )
    measuring.table(head, rows)


def measure(case: str, peers: bool, rounds: int | None) -> dict[str, Any]:
    """Forward and training step of all variants of a case."""
    made = CASES[case]()
    able, unable = sides(made, peers)
    found: dict[str, Any] = {}
    for kind, make in KINDS.items():
        runs = {name: make(side.network, *made[1:]) for name, side in able.items()}
        timed = measuring.interleaved(runs, seconds=SECONDS, rounds=rounds)
        rows = compared(timed, able, TARGETS[kind][case]) | {name: {"cannot": why} for name, why in unable.items()}
        found[kind] = {"rounds": timed.rounds, "elsewhere": round(timed.elsewhere, 3), "sides": rows}
        show(case, kind, rows)
        measuring.warn(timed)
    explain(able, unable)
    return found


def explain(able: Mapping[str, Converted], unable: Mapping[str, str]) -> None:
    """Print what the variants of a case leave out or cannot do."""
    for name, side in able.items():
        if side.note:
            print(f"  {name}: {side.note}", flush=True)
    for name, reason in unable.items():
        print(f"  {name} cannot: {reason}", flush=True)
    print(flush=True)


def chosen(words: list[str]) -> list[str]:
    """The cases whose name contains one of the words; all cases if no words are given."""
    found = [case for case in CASES if not words or any(word.lower() in case.lower() for word in words)]
    if not found:
        raise SystemExit(f"no case is named like {', '.join(words)}: expected some of {', '.join(CASES)}")
    return found


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--cases", nargs="+", default=[], help=f"words from the names of {', '.join(CASES)}")
    parser.add_argument("--no-peers", action="store_true", help="measure no other library")
    options = parser.parse_args()
    cases = chosen(options.cases)
    machine = measuring.facts()
    measuring.announce(machine)
    found: dict[str, Any] = {
        "cases": {case: measure(case, not options.no_peers, options.rounds) for case in cases},
    }
    measuring.write(options.json, machine, found)


if __name__ == "__main__":
    main()
