"""The rates of a network as ``model-index`` metadata of a model card, which the Hub and its search read."""

from __future__ import annotations

from typing import Any

from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import shown
from variate.records.measure import ACCURACY, measure_of
from variate.records.rows import CLEAN, RateRow
from variate.report.table import heading, study_rows
from variate.training.saved import Card

TASKS = {"image": "image-classification", "text": "text-classification", "tabular": "tabular-classification"}
TASKS |= {"audio": "audio-classification"}
LEVEL = 0.95


def task_type(card: Card) -> str | None:
    """The Hub's name of what a network does; None if it has none that fits."""
    return TASKS.get(card.kind) if card.task.partition("(")[0] in ("classes", "binary", "labels") else None


def model_index(card: Card, name: str, records: Records) -> list[dict[str, Any]]:
    """Every rate of the first table with its interval; empty if nothing was measured.

    A result is one data set; its metrics are the accuracies (or mean scores) by attack and deployment, in [0, 1]. The
    ends of the 95 % interval are in ``args``, with the budget and the number of examples, and in the name.

    Args:
        card: card of the network.
        name: name of the network on the Hub.
        records: records of its evaluations.
    """
    rows, claims = study_rows(records, "table"), shown(records, "table")
    if not rows:
        return []
    several = len({row.network for row in rows}) > 1
    metrics = [_metric(row, claims, several) for row in rows]
    dataset = {"type": card.data, "name": card.data, "split": "test"}
    return [{"name": name, "results": [{"task": _task(card), "dataset": dataset, "metrics": metrics}]}]


def _task(card: Card) -> dict[str, str]:
    return {"type": task_type(card) or "other", "name": f"adversarial robustness, {card.kind} inputs, {card.task}"}


def _metric(row: RateRow, claims: list[Claim], several: bool) -> dict[str, Any]:
    measure = measure_of(claim.task for claim in claims if claim.network == row.network)
    words = [row.network] * several + [part for part in heading(row) if part] + [row.deployment]
    low, high = (round(end, 4) for end in (row.low, row.high))
    return {
        "type": "accuracy" if measure == ACCURACY else "score",
        "value": round(row.rate, 4),
        "name": f"{measure.noun}, {', '.join(words)} (95 % interval {low:g} to {high:g})",
        "args": {
            "attack": row.attack,
            **({} if row.attack == CLEAN else {"budget": row.budget, "draws": row.draws}),
            "deployment": row.deployment,
            "examples": row.examples,
            "interval": {"level": LEVEL, "low": low, "high": high},
        },
    }
