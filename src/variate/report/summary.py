"""Summary with one line per network: accuracy on clean inputs and under the strongest attack."""

from __future__ import annotations

from collections.abc import Sequence

from variate.records.file import Records
from variate.records.groups import notes
from variate.records.rows import CLEAN, RateRow
from variate.report.table import study_rows

ONCE, PERSISTENT = ("single", "any"), "survive"  # deployments: one answer, or all of N


def summary(records: Records) -> str:
    """Markdown table of a study: the lowest accuracy of any attack by network, budget and deployment.

    The minimum of several estimates is biased low, so a network with more attacks gains no advantage.
    """
    rows = study_rows(records, "table")
    budgets = list(dict.fromkeys(row.budget for row in rows if row.budget))
    repeated = next((row.deployment for row in rows if row.deployment.startswith(PERSISTENT)), None)
    heads = ["network", "clean", *(f"lowest, {budget}" for budget in budgets)]
    heads += [f"lowest, {budget}, {repeated}" for budget in budgets if repeated]
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)]]
    for network in dict.fromkeys(row.network for row in rows):
        own = [row for row in rows if row.network == network]
        one_answer = [row for row in own if row.deployment in ONCE]
        all_answers = [row for row in own if row.deployment in (repeated, "any")]
        cells = [_clean(one_answer), *(_lowest(one_answer, budget) for budget in budgets)]
        cells += [_lowest(all_answers, budget) for budget in budgets if repeated]
        lines.append([network, *cells])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join([table, *notes(records)])


def _clean(rows: Sequence[RateRow]) -> str:
    return next((row.percent for row in rows if row.attack == CLEAN), "-")


def _lowest(rows: Sequence[RateRow], budget: str) -> str:
    """The lowest accuracy within a budget, with its interval and its attack."""
    attacked = [row for row in rows if row.budget == budget and row.attack != CLEAN]
    if not attacked:
        return "-"
    least = min(attacked, key=lambda row: row.rate)
    return f"{least.percent} ({least.attack})"
