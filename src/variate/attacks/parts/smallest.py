"""The smallest adversarial perturbation that a search came across.

On a random network a success is a mean over a few draws, and the smallest of a hundred successes is a lucky one. It
would hide every real success that is larger, above all at the input itself. So the search is split into a few windows
and the smallest success of each is kept. At the end all of them, also slightly stretched, are evaluated under the same
fresh draws, and the smallest that is still adversarial is returned. On a deterministic network that is the smallest
success of all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from variate.inputs.budget import Budget
from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

WINDOWS = 4
REPEATS = 4  # queries of the final confirmation
STRETCHES = (1.0, 1.03, 1.1, 1.25, 1.5)  # a perturbation may end just short of the boundary


class Smallest:
    """The smallest success of each window of a search.

    Args:
        x: the original inputs, shape (B, ...).
        budget: the norm that measures sizes.
        steps: number of steps of the search, at least 1.
        windows: number of windows, at most one per step.
    """

    def __init__(self, x: Tensor, budget: Budget, steps: int, windows: int = WINDOWS) -> None:
        self._x, self._budget, self._steps = x, budget, steps
        count = min(windows, steps)
        self._points = [x] * count
        self._sizes = [x.new_full((len(x),), torch.inf) for _ in range(count)]

    def note(self, step: int, perturbed: Tensor, won: Tensor) -> None:
        """Record the points that are adversarial and smaller than all others of their window.

        Args:
            step: index of the step, from 0.
            perturbed: points, shape (B, ...).
            won: whether each is adversarial, by averages over the draws of this step, shape (B,).
        """
        window = step * len(self._points) // self._steps
        size = self._budget.distance(perturbed, self._x)
        closer = won & (size < self._sizes[window])
        self._points[window] = where(closer, perturbed, self._points[window])
        self._sizes[window] = size.where(closer, self._sizes[window])

    def ended_well(self) -> Tensor:
        """Whether the last window contains a success, shape (B,)."""
        return self._sizes[-1] < torch.inf

    def confirmed(
        self, oracle: ScoreOracle, y: Tensor, loss: Loss, last: Tensor, *, confidence: float
    ) -> tuple[Tensor, Tensor]:
        """The smallest point that fresh draws confirm: ``smallest_of`` the successes, each also stretched.

        Args:
            oracle: is queried a few times.
            y: labels that the loss takes, shape (B,).
            loss: a loss that is above the confidence where a point is adversarial.
            last: points to use where a window has no success, shape (B, ...).
            confidence: threshold of the averaged loss.

        Returns:
            Points inside the budget, shape (B, ...), and whether each is adversarial, shape (B,).
        """
        stretches = (1.0,) if self._budget.norm == "l0" else STRETCHES
        kept = [where(size < torch.inf, points, last) for points, size in zip(self._points, self._sizes, strict=True)]
        candidates = [self._x + stretch * (point - self._x) for point in kept for stretch in stretches]
        return smallest_of(oracle, self._x, candidates, y, loss, self._budget, confidence=confidence)


def smallest_of(
    oracle: ScoreOracle,
    x: Tensor,
    candidates: list[Tensor],
    y: Tensor,
    loss: Loss,
    budget: Budget,
    *,
    confidence: float,
) -> tuple[Tensor, Tensor]:
    """The smallest of several points that is adversarial under the same draws, or the one with the highest loss.

    Args:
        oracle: is queried a few times about all of them.
        x: the original inputs, shape (B, ...).
        candidates: points, each of shape (B, ...); they are projected into the budget first.
        y: labels that the loss takes, shape (B,).
        loss: a loss that is above the confidence where a point is adversarial.
        budget: the norm and the maximum size.
        confidence: threshold of the averaged loss.

    Returns:
        Points inside the budget, shape (B, ...), and whether each is adversarial, shape (B,).
    """
    count, inside = len(candidates), torch.stack([_inside(point, x, budget) for point in candidates])  # (C, B, ...)
    rows = torch.arange(len(x)).repeat(count)
    queried, labels = inside.flatten(0, 1), y.repeat(count)  # (C * B, ...), (C * B,)
    losses = [oracle.loss(queried, labels, loss, rows=rows) for _ in range(REPEATS)]
    values = torch.stack(losses).mean(0).view(count, -1)  # (C, B)
    sizes = torch.stack([budget.distance(point, x) for point in inside])  # (C, B)
    won = values > confidence
    smallest = sizes.masked_fill(~won, torch.inf).argmin(0)  # (B,)
    best = smallest.where(won.any(0), values.argmax(0))
    return inside[best, torch.arange(len(x), device=x.device)], won.any(0)


def _inside(points: Tensor, x: Tensor, budget: Budget) -> Tensor:
    """Project into the budget, but leave points inside it exactly as they are: they may lie at a boundary."""
    clipped = points.clamp(0, 1)
    return where(budget.distance(clipped, x) <= budget.eps, clipped, budget.project(points, x))


def where(mask: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """``chosen`` where the mask is true, ``other`` elsewhere: (B,), (B, ...) and (B, ...) to (B, ...)."""
    return chosen.where(mask.view(-1, *[1] * (chosen.dim() - 1)), other)


def with_gradient_of(value: Loss, slope: Loss) -> Loss:
    """A loss with the value of ``value`` and the gradient of ``slope``, so that one query gives both."""

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        leading = slope(logits, y)
        return value(logits, y).detach() + leading - leading.detach()

    return loss
