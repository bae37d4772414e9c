"""Answers at positions: how many of each class are right, and the surfaces of what they cut out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from variate.errors import InputError
from variate.metrics.metric import Floats, Metric, Prepared, name_of
from variate.metrics.parts.counts import Counts
from variate.metrics.parts.problems import Whole, statistic
from variate.metrics.responses import Responses
from variate.tasks.positions import IGNORED

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Maps:
    """Classes at every position.

    Attributes:
        labels: shape (N, ...positions); ``IGNORED`` where none counts.
        answers: shape (G, N, ...positions).
        classes: number of classes, K.
    """

    labels: Whole
    answers: Whole
    classes: int

    def masks(self, start: int) -> Iterator[tuple[tuple[int, int], Mask, Mask]]:
        """Every answer (draw, example) with the positions of each class from ``start`` in it and in the label."""
        for example, labels in enumerate(self.labels):
            counted = labels != IGNORED
            for draw in range(len(self.answers)):
                answers = self.answers[draw, example]
                for k in range(start, self.classes):
                    answered, labeled = (answers == k) & counted, labels == k
                    if answered.any() or labeled.any():
                        yield (draw, example), answered, labeled


def maps(given: Responses) -> Maps:
    """The classes that outputs (G, N, K P) answer at P positions."""
    return given.once("maps", lambda: _maps(given))


def _maps(given: Responses) -> Maps:
    shape = tuple(given.y.shape[1:])
    count = given.y[0].numel()
    classes = given.outputs.shape[-1] // count
    answers = np.stack([one.reshape(-1, classes, count).argmax(1).numpy() for one in given.outputs])  # (G, N, P)
    return Maps(given.y.long().numpy(), answers.reshape(*answers.shape[:2], *shape), classes)


def counts_of(given: Responses) -> Floats:
    """The numbers of positions that are right, answered and labeled, of each class: shape (G, N, 3, K)."""
    return given.once("counts", lambda: _counts(maps(given)))


def _counts(found: Maps) -> Floats:
    labels = found.labels.reshape(len(found.labels), -1)  # (N, P)
    counted = labels != IGNORED
    examples, classes = len(labels), found.classes
    offset = classes * np.arange(examples)[:, None]

    def tally(values: Whole, where: Mask) -> Floats:
        cells = np.bincount((offset + values)[where], minlength=examples * classes)
        return cells.reshape(examples, classes).astype(np.float64)

    labeled = tally(labels, counted)
    rows = []
    for answers in found.answers.reshape(len(found.answers), examples, -1):
        rows.append(np.stack([tally(labels, counted & (answers == labels)), tally(answers, counted), labeled], 1))
    return np.stack(rows)


def corpus(given: Responses, finish: Callable[[Counts], Floats]) -> Prepared:
    """A function of the counts over all positions of all answers."""
    rows = counts_of(given)
    draws, examples, _, classes = rows.shape

    def of(sums: Floats) -> Floats:
        right, answered, labeled = sums.reshape(-1, 3, classes).transpose(1, 0, 2)
        return finish(Counts(right, answered, labeled))

    return Prepared(statistic(rows.reshape(draws, examples, -1), of))


def surface_distances(answered: Mask, labeled: Mask) -> tuple[Floats, Floats]:
    """The distance of each boundary position of one mask from the other's boundary, in positions; neither is empty.

    A boundary position is in the mask and has a neighbor, above, below, left or right, that is not.
    """
    from scipy import ndimage

    rows, columns = (answered | labeled).nonzero()
    window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (answered[window], labeled[window])]
    from_answer, from_label = (ndimage.distance_transform_edt(~edge) for edge in edges)
    return from_label[edges[0]], from_answer[edges[1]]


def check_two_dimensions(found: Maps, metric: Metric) -> None:
    """Check that positions have rows and columns. Raises ``InputError``."""
    if found.labels.ndim != 3:
        raise InputError(
            f"{name_of(metric)} measures boundaries in images, and the labels have shape {found.labels.shape}",
            expected="labels of shape (N, H, W)",
        )
