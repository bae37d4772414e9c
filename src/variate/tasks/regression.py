"""One or several numbers for every input, right within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import InputError, UsageError
from variate.inputs.validation import precise
from variate.registry import task
from variate.tasks.parts.margins import until_all
from variate.tasks.task import Task


@task(
    cite="the median of random answers: Chiang et al. 2020, arXiv:2007.03730",
    labels="numbers, shape (B,) or (B, Q)",
    answers="numbers in the unit of the labels, shape (B,) or (B, Q)",
)
@dataclass(frozen=True)
class Regression(Task):
    """Numbers; the score of one is 1 within a tolerance and falls to 0 at ``until``, the score of several their mean.

    Attributes:
        tolerance: largest error, in the unit of the labels, of a number that counts as right.
        until: error from which on its score is 0, falling linearly from the tolerance; by default the tolerance itself,
            so that a number is right or wrong.
    """

    climbs = ("error", "up", "down")
    approaches = ("error",)
    targets = "a number, or one for each joined by commas; by N, such as 'by -2', to add to the labels"

    tolerance: float = math.nan
    until: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not isinstance(self.tolerance, int | float) or not 0 < self.tolerance < math.inf:
            raise UsageError(
                "the task regression needs a tolerance above 0",
                expected="the largest error that counts as right, in the unit of the labels: regression(tolerance=0.5)",
            )
        if self.until is not None and not self.tolerance <= self.until < math.inf:
            raise UsageError(f"until is {self.until!r}", expected=f"a number from the tolerance, {self.tolerance:g}")

    @property
    def bits(self) -> bool:
        """Several numbers may be right in part."""
        return False

    @property
    def lost(self) -> float:
        """The error from which on the score is 0."""
        return self.tolerance if self.until is None else self.until

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Numbers, (B, Q)."""
        if answer.dim() > 2:
            raise InputError(f"the network returned shape {tuple(answer.shape)}", expected="numbers of shape (B, Q)")
        return answer.reshape(len(answer), -1)

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Labels are finite numbers."""
        if y.dim() not in (1, 2) or len(y) != examples:
            yield f"y has shape {tuple(y.shape)}: ({examples},) or ({examples}, numbers) is needed"
        elif y.is_complex() or not bool(y.isfinite().all()):
            bad = y.reshape(examples, -1).isfinite().logical_not().any(1).nonzero()[:, 0].tolist()
            yield (
                f"y is NaN or infinite in {len(bad)} examples; the first is number {bad[0]}"
                if bad
                else f"y is {y.dtype}"
            )

    def check(self, width: int, y: Tensor) -> None:
        """As many outputs as numbers."""
        if width != _numbers(y).shape[1]:
            raise InputError(f"the network returns {width} numbers, but y has {_numbers(y).shape[1]} per example")

    def count(self, y: Tensor) -> int:
        """The number of numbers."""
        return _numbers(y).shape[1]

    def typed(self, y: Tensor) -> Tensor:
        """Numbers in float32, or in float64 as they are."""
        return precise(y)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean Huber loss in units of the tolerance."""
        unit = self.tolerance
        return F.huber_loss(outputs / unit, _numbers(y).to(outputs) / unit, reduction="none").mean(1)

    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """The error, or the error upwards or downwards, in units of that from which on the score is 0, minus 1."""
        error = (outputs - _numbers(y).to(outputs)) / self.lost  # (B, Q)
        size = error.where(error >= 0, -error)  # its slope is 1 at 0, where that of abs is 0
        signed = {"error": size, "up": error, "down": -error}
        return until_all(signed[self.check_climb(climb)] - 1)

    def approach(self, outputs: Tensor, goal: Tensor, climb: str | None = None) -> Tensor:
        """1 minus the error to the goal in units of the tolerance; of several numbers, until all are within it."""
        self.check_climb(climb)
        return until_all(1 - (outputs - _numbers(goal).to(outputs)).abs() / self.tolerance)

    def check_target(self, word: str) -> None:
        """Finite numbers."""
        self._target(word)

    def goal(self, word: str, y: Tensor, width: int) -> Tensor:
        """The numbers to reach, in the shape of the labels."""
        numbers, shift = self._target(word)
        if len(numbers) not in (1, width):
            raise UsageError(f"the target has {len(numbers)} numbers, and the network {width}", expected=self.targets)
        wanted = torch.tensor(numbers, dtype=torch.float64).to(precise(y)).expand(len(y), width)
        return (wanted + _numbers(precise(y)) if shift else wanted).reshape(y.shape)

    def _target(self, word: str) -> tuple[list[float], bool]:
        """The numbers of a target, and whether they are added to the labels. Raises ``UsageError``."""
        shift = word.startswith("by ")
        try:
            numbers = [float(part) for part in word.removeprefix("by ").split(",")]
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            raise self._no_target(word)
        return numbers, shift

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean over the numbers of 1 within the tolerance, falling to 0."""
        error = (outputs - _numbers(y).to(outputs)).abs()  # (..., B, Q)
        if self.lost <= self.tolerance:
            return (error <= self.tolerance).to(outputs).mean(-1)
        return ((self.lost - error) / (self.lost - self.tolerance)).clamp(0, 1).mean(-1)

    def shown(self, outputs: Tensor, y: Tensor) -> dict[str, Any]:
        """The numbers, and the medians over the draws."""
        answer = self.majority(outputs[:, None], y[None])[0]
        return {"label": _listed(_numbers(y[None])[0]), "answer": _listed(answer)}

    def label_shape(self, answer: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
        """One row of numbers."""
        return (answer.shape[1:].numel(),)

    @property
    def parted(self) -> bool:
        """The numbers, if each is right or wrong."""
        return self.lost <= self.tolerance

    def parts(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 for each number within the tolerance, else 0."""
        return ((outputs - _numbers(y).to(outputs)).abs() <= self.tolerance).long()

    def part_labels(self, y: Tensor) -> Tensor:
        """1 for each number."""
        return torch.ones_like(_numbers(y), dtype=torch.long)

    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean number."""
        return outputs.mean(0)

    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The median; of an even number of draws, the mean of the two in the middle."""
        return outputs.quantile(0.5, dim=0)


def _listed(values: Tensor) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]


def _numbers(y: Tensor) -> Tensor:
    """Labels with one row per example: (B, Q)."""
    return y.reshape(len(y), -1)
