"""Rebuild the tables of the pages under docs/results from the committed records, and write them between their marks.

    python benchmarks/results_pages.py           # write
    python benchmarks/results_pages.py --check   # name the pages that differ from their records

A mark names the table and, where it is not the page's own folder, the folder or the file of its records:
``<!-- begin highlights docs/results/converged -->`` ... ``<!-- end -->``.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev

import honesty
import tools

from variate import registry
from variate.flags.raise_flags import raised
from variate.options import parse
from variate.records.file import Records
from variate.records.groups import shown
from variate.records.proofs import Proven, proofs
from variate.records.rows import CLEAN, OverSeeds
from variate.report.evaded import evaded_over_seeds
from variate.report.gains import gains
from variate.report.scale_table import scale_table
from variate.report.sheet import markdown_of
from variate.report.single import attack_words
from variate.report.summary import summary
from variate.report.table import markdown, study_grids, study_rows
from variate.study.grid import TWINS

ROOT = Path(__file__).parent.parent
SEED = re.compile(r", (seed \d+|\d+ seeds)\b")  # in the first cell of a row
MARK = re.compile(r"(<!-- begin ([\w-]+)(?: (\S+))? -->\n).*?(<!-- end -->)", re.S)


def answers(folder: Path) -> Records:
    """The committed records of a page, or of one of its files."""
    return Records(folder if folder.suffix == ".gz" else folder / "records.jsonl.gz")


def highlights(folder: Path) -> str:
    """Rates over seeds by network: without attack, and the lowest of all attacks by deployment."""
    _, content = study_grids(answers(folder))[0]
    found: dict[str, dict[str, OverSeeds]] = {}
    for line in content.lines:
        for (network, deployment), over in content.seeds.get(line, {}).items():
            attacked = [rate for (attack, *_), rate in over.items() if attack != CLEAN]
            own = found.setdefault(network, {"clean": over[CLEAN, "", ""]})
            own[deployment] = min(attacked, key=lambda rate: rate.rate)
    uses = list(dict.fromkeys(name for own in found.values() for name in own if name != "any"))
    lines = [["network", *uses], [":--", *["--:"] * len(uses)]]
    lines += [[name, *(own[use if use in own else "any"].percent for use in uses)] for name, own in found.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def over_seeds(folder: Path) -> str:
    """The table without the rows of single seeds, where there is a row over several."""
    lines = markdown(answers(folder)).splitlines()
    names = [line.split(" | ")[0] for line in lines]
    several = {SEED.sub("", name) for name in names if SEED.search(name) and " seeds" in name}
    rows = zip(names, lines, strict=True)
    return "\n".join(line for name, line in rows if ", seed " not in name or SEED.sub("", name) not in several)


def stored(folder: Path) -> str:
    """Numbers and bytes of the networks of each group, and the bits for each number; seeds are of one size."""
    lines = [["network", "numbers learned", "bytes stored", "bits a number"], [":--", "--:", "--:", "--:"]]
    networks = {
        line.group or line.network: line for line in answers(folder).networks.values() if line.bytes is not None
    }
    for name, line in networks.items():
        bits = f"{8 * (line.bytes or 0) / line.parameters:.1f}"
        lines.append([name, f"{line.parameters:,}", f"{line.bytes:,}", bits])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def flags(folder: Path) -> str:
    """The red flags of each group of networks, and on how many of its networks they are raised."""
    records = answers(folder)
    group = {line.network: line.group or line.network for line in records.networks.values()}
    counts = Counter((group.get(own.network, own.network), own.flag, own.level) for own in raised(records))
    lines = [["network", "flag", "level", "networks"], [":--", ":--", ":--", "--:"]]
    lines += [[*words, str(count)] for words, count in counts.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def grid(folder: Path) -> str:
    """Accuracy by attack draws (rows) and attack steps (columns), for every network and deployment."""
    rows = [row for row in study_rows(answers(folder), "table") if row.attack != CLEAN]
    steps = sorted({int(row.options["steps"]) for row in rows})
    lines = [["network", "deployment", "draws", *(f"{count} steps" for count in steps)]]
    lines.append([":--", ":--", "--:", *["--:"] * len(steps)])
    for network, deployment, draws in dict.fromkeys((row.network, row.deployment, row.draws) for row in rows):
        by_steps = {
            int(row.options["steps"]): row.percent
            for row in rows
            if (row.network, row.deployment, row.draws) == (network, deployment, draws)
        }
        lines.append([network, deployment, str(draws), *(by_steps.get(count, "-") for count in steps)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def certified(folder: Path) -> str:
    """Certified rates in percent by group of networks, deployment and radius: the mean over seeds, and their spread.

    The last column is the area under the curve of certified rates against the radius, in units of the radius. Networks
    of which nothing is proved in a norm are not in its table.
    """
    found: dict[tuple[str, str, str], list[Proven]] = {}
    for proven in proofs(answers(folder)):
        if not any(row.rate > 0 for row in proven.proved.rows):
            continue
        name = proven.certificate.group or proven.certificate.network
        for deployment in dict.fromkeys(row.deployment for row in proven.proved.rows):
            found.setdefault((proven.proved.norm, name, deployment), []).append(proven)
    lines: list[list[str]] = []
    for norm in dict.fromkeys(key[0] for key in found):
        radii = sorted({row.radius for (own, *_), all_ in found.items() if own == norm for row in all_[0].proved.rows})
        lines += [[], ["network", "deployment", "seeds", *(f"{norm}:{radius:g}" for radius in radii), "area"]]
        lines += [[":--", ":--", *["--:"] * (len(radii) + 2)]]
        for (own, name, deployment), seeds in found.items():
            if own == norm:
                rates = [[100 * _rate(proven, deployment, radius) for proven in seeds] for radius in radii]
                areas = [area for proven in seeds if (area := _area(proven, deployment)) is not None]
                cells = [*(spread(own_rates, 1) for own_rates in rates), spread(areas, 3) if areas else "-"]
                lines += [[name, deployment, str(len(seeds)), *cells]]
    return "\n".join("| " + " | ".join(line) + " |" if line else "" for line in lines)


def spread(values: Sequence[float], digits: int) -> str:
    """The mean, and the standard deviation where there are several."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


def paired(records: Records) -> str:
    """Each adversarially trained random network minus trained twins, on the same examples and over all seeds."""
    sheet = gains(records)
    lines = [] if sheet is None else [line for line in sheet.lines if line[1].text not in TWINS]
    trained = {line.group or line.network for line in records.networks.values() if _is_adversarial(line.defense)}
    kept = [line for line in lines if line[0].text in trained]
    return markdown_of(replace(sheet, lines=kept)) if sheet is not None and kept else ""


def _is_adversarial(defense: str) -> bool:
    return bool(registry.get("defenses", parse(defense, "a defense")[0]).facts["adversarial"])


def _rate(proven: Proven, deployment: str, radius: float) -> float:
    row = proven.row(deployment, radius)
    return row.rate if row is not None else float("nan")


def _area(proven: Proven, deployment: str) -> float | None:
    """None without a curve from radius 0."""
    curve = [row for row in proven.proved.curve if row.deployment == deployment]
    if not curve or curve[0].radius > 0:
        return None
    return sum((one.rate + two.rate) / 2 * (two.radius - one.radius) for one, two in pairwise(curve))


def metrics_over_seeds(folder: Path) -> str:
    """The metrics of single draws by group of networks, clean and under the attack that leaves least of the first.

    The mean over seeds, and their spread, in percent.
    """
    records = answers(folder)
    claims = {claim.id: claim for claim in shown(records, "table")}
    found: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for line in records.metrics.values():
        claim = claims.get(line.claim)
        if claim is not None and line.rule == "single" and not line.minus:
            key = claim.group or claim.network, claim.budget or "-", attack_words(claim)
            found.setdefault(key, {}).setdefault(line.metric, []).append(100 * line.value)
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    worst: dict[tuple[str, str], tuple[str, str, str]] = {}
    for key, values in found.items():
        if key[:2] not in worst or mean(values[names[0]]) < mean(found[worst[key[:2]]][names[0]]):
            worst[key[:2]] = key
    lines = [["network", "budget", "attack", *(f"{name}, %" for name in names)], [":--"] * 3 + ["--:"] * len(names)]
    lines += [[*key, *(spread(found[key][name], 1) for name in names)] for key in worst.values()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


TABLES: dict[str, Callable[[Path], str]] = {
    "table": lambda folder: markdown(answers(folder)),
    "over-seeds": over_seeds,
    "paired": lambda folder: paired(answers(folder)),
    "summary": lambda folder: summary(answers(folder)),
    "highlights": highlights,
    "scales": lambda folder: scale_table(answers(folder)),
    "stored": stored,
    "flags": flags,
    "grid": grid,
    "evaded": lambda folder: markdown_of(sheet) if (sheet := evaded_over_seeds(answers(folder))) else "",
    "metrics": metrics_over_seeds,
    "certified": certified,
    "tools": lambda folder: tools.table(json.loads((folder / "tools.json").read_text())["tools"]),
    "honesty": lambda folder: honesty.table(Records(folder / "answers.jsonl.gz")),
}


def pages() -> list[Path]:
    """Every page that has a table made from records."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/results/*/README.md"))]


def rebuilt(page: Path) -> str:
    """The text of a page with its tables rebuilt."""

    def fill(mark: re.Match[str]) -> str:
        begin, name, place, end = mark.groups()
        return begin + TABLES[name](ROOT / place if place else page.parent).strip("\n") + "\n" + end

    return MARK.sub(fill, page.read_text(encoding="utf-8"))


def main(words: list[str]) -> int:
    """Write the pages, or name those that differ."""
    changed = [page for page in pages() if rebuilt(page) != page.read_text(encoding="utf-8")]
    for page in changed:
        print(page.relative_to(ROOT))
        if "--check" not in words:
            page.write_text(rebuilt(page), encoding="utf-8")
    return int(bool(changed) and "--check" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
