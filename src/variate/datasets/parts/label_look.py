"""What the labels of data are, by task: counts of classes, labels or positions, quantiles of numbers, and examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.splits import SplitName
from variate.tasks.task import name_of, task_of

Splits = Mapping[SplitName, tuple[Tensor, Tensor]]  # inputs and labels by split
QUANTILES = {"lowest": 0.0, "quarter": 0.25, "median": 0.5, "three quarters": 0.75, "highest": 1.0}
IGNORED = "ignored"  # the row of positions that do not count
SYMBOLS = (
    ".123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of the classes of positions, . for the first
)
SHOWN = 4  # classes of an example, and its numbers


def counts_of(facts: About, splits: Splits) -> dict[str, dict[SplitName, int]]:
    """How many examples, positions or symbols of every class or label each split has; empty for numbers."""
    task = name_of(task_of(facts.task))
    if task == "regression":
        return {}
    counts = {split: _counted(y, task, facts.classes) for split, (_, y) in splits.items()}
    most = max(len(numbers) for numbers in counts.values())
    table = {
        name_of_class(facts, i): {split: numbers[i] if i < len(numbers) else 0 for split, numbers in counts.items()}
        for i in range(most)
    }
    ignored = {split: int((y < 0).sum()) for split, (_, y) in splits.items()}
    return {**table, IGNORED: ignored} if task == "positions" and any(ignored.values()) else table


def quantiles_of(facts: About, splits: Splits) -> dict[str, dict[SplitName, dict[str, float]]]:
    """Quantiles of every number to predict by split, rows first; empty for other tasks."""
    if name_of(task_of(facts.task)) != "regression":
        return {}
    at = torch.tensor([*QUANTILES.values()], dtype=torch.float64)
    values = {split: y.reshape(len(y), -1).double().quantile(at, 0) for split, (_, y) in splits.items()}  # (5, Q)
    count = next(iter(values.values())).shape[1]
    return {
        name_of_class(facts, i): {
            split: dict(zip(QUANTILES, numbers[:, i].tolist(), strict=True)) for split, numbers in values.items()
        }
        for i in range(count)
    }


def name_of_class(facts: About, label: int) -> str:
    """The name of a class, label or number."""
    return facts.labels[label] if label < len(facts.labels) else str(label)


def ordered(y: Tensor, facts: About) -> Iterator[int]:
    """The places of examples to show: the first of every class in turn, then the second of each, or as they come."""
    if name_of(task_of(facts.task)) not in ("classes", "binary"):
        yield from range(len(y))
        return
    order: list[tuple[int, int, int]] = []
    seen: dict[int, int] = {}
    for place, label in enumerate(y.tolist()):
        seen[label] = seen.get(label, 0) + 1
        order.append((seen[label], label, place))
    yield from (place for _, _, place in sorted(order))


def told_label(y: Tensor, facts: About) -> str:
    """The label of one example in words: its class, its labels, numbers or symbols, or the classes of its positions."""
    task = name_of(task_of(facts.task))
    if task == "regression":
        return _listed([f"{number:.4g}" for number in y.flatten().tolist()])
    if task == "labels":
        return _listed([name_of_class(facts, i) for i in y.nonzero()[:, 0].tolist()])
    if task == "transcript":
        return " ".join(name_of_class(facts, symbol) for symbol in y[y >= 0].tolist())
    if task == "positions":
        areas = torch.bincount(y[y >= 0].flatten())
        largest = areas.argsort(descending=True)[: int((areas > 0).sum())].tolist()
        return _listed([name_of_class(facts, i) for i in largest])
    return name_of_class(facts, int(y))


def mask_lines(y: Tensor, facts: About, height: int, width: int) -> list[str]:
    """A mask of classes, (H, W), as lines of symbols: a dot for class 0, a blank where none counts.

    Other classes are written by the first characters of their names if these differ.
    """
    first = "".join(name[:1] for name in facts.labels[1:])
    symbols = "." + (first if len(set(first)) == len(facts.labels) - 1 else SYMBOLS)
    rows, columns = (
        ((torch.arange(n) + 0.5) * side / n).long() for n, side in zip((height, width), y.shape, strict=True)
    )
    return ["".join(_symbol(label, symbols) for label in row) for row in y[rows][:, columns].tolist()]


def _symbol(label: int, symbols: str) -> str:
    return " " if label < 0 else symbols[label] if label < len(symbols) else "#"


def _counted(y: Tensor, task: str, classes: int) -> list[int]:
    if task == "labels":
        numbers: list[int] = y.long().sum(0).tolist()
        return numbers
    counts: list[int] = torch.bincount(y[y >= 0].flatten(), minlength=classes).tolist()
    return counts


def _listed(words: Sequence[str]) -> str:
    more = f", and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more if words else "none"
