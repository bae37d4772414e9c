"""One self-contained page from records: no script, no style sheet and no image from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from variate.errors import RecordError
from variate.raised import raised
from variate.record import Records
from variate.report import figures
from variate.report.pictures import pairs
from variate.report.sentences import verdict
from variate.report.table import study_rows, tables
from variate.result import Row

FIGURES = (
    (
        "Accuracy against the size of the budget",
        "PGD, averaged over draws. A curve that does not fall to zero with a large budget is a weak attack.",
        figures.accuracy_against_size,
    ),
    (
        "Accuracy against the number of attack draws",
        "PGD at the table's budget. While a curve still falls, the attack has not averaged enough.",
        figures.accuracy_against_draws,
    ),
    (
        "Accuracy against the number of questions",
        "How often all answers to the same input are right when an attacker asks N times: solid under the attack that "
        "leaves the least, dashed without attack.",
        figures.survival,
    ),
    (
        "Learned scales",
        "How noisy every parameter tensor is, relative to its own size. Scales near zero are no randomness.",
        figures.learned_scales,
    ),
)


def write_page(records: Sequence[Records], path: Path) -> Path:
    """Write the page of one or more sets of records. Raises ``RecordError``."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("variate.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("page.html.j2").render(sections=[section(one) for one in records])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}", todo="choose another place with --out") from error
    return path


def section(records: Records) -> dict[str, Any]:
    """Everything that the page says of one set of records."""
    drawn = [(name, text, draw(records)) for name, text, draw in FIGURES]
    return {
        "title": records.runs[0].title if records.runs else "Records",
        "runs": records.runs,
        "verdict": verdict(records),
        "flags": raised(records),
        "tables": [{"name": name, "grid": content} for name, content in tables(records)],
        "networks": [(network, test_accuracy(records, network.network)) for network in records.networks.values()],
        "figures": [{"name": name, "text": text, "svg": svg} for name, text, svg in drawn if svg],
        "pictures": pairs(records),
        "answers": sum(map(len, records.examples.values())),
    }


def test_accuracy(records: Records, network: str) -> Row | None:
    """One draw per query on the whole unattacked test split, where it was judged."""
    rows = [row for row in study_rows(records, "test split") if row.network == network]
    return next((row for row in rows if row.deployment in ("single", "any")), None)
