"""The smallest adversarial perturbation that a search came across.

On a random network a success is a mean over a few draws, and the smallest of a hundred successes is a lucky one. It
would hide every real success that is larger, above all at the input itself. So the smallest success of each of a few
windows of the search is kept, and all of them, also stretched by a little, are put to the same fresh draws at the end:
the smallest that is adversarial there is the answer. On a deterministic network that is the smallest success of all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from variate.inputs.budget import Budget
from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

WINDOWS = 4
REPEATS = 4  # queries that confirm
STRETCHES = (1.0, 1.03, 1.1, 1.25, 1.5)  # of a perturbation, which may end just inside of the boundary


class Smallest:
    """The smallest success of each window of a search.

    Args:
        x: the original inputs, shape (B, ...).
        budget: the norm that sizes are measured in.
        steps: of the search, from 1.
        windows: how many, at most one for each step.
    """

    def __init__(self, x: Tensor, budget: Budget, steps: int, windows: int = WINDOWS) -> None:
        self._x, self._budget, self._steps = x, budget, steps
        count = min(windows, steps)
        self._found = [x] * count
        self._sizes = [x.new_full((len(x),), torch.inf) for _ in range(count)]

    def note(self, step: int, perturbed: Tensor, won: Tensor) -> None:
        """Keep the points that are adversarial and smaller than all others of their window.

        Args:
            step: the number of the step, from 0.
            perturbed: points, shape (B, ...).
            won: whether each is adversarial, by averages over the draws of this step, shape (B,).
        """
        window = step * len(self._found) // self._steps
        size = self._budget.distance(perturbed, self._x)
        closer = won & (size < self._sizes[window])
        self._found[window] = where(closer, perturbed, self._found[window])
        self._sizes[window] = size.where(closer, self._sizes[window])

    def ended_well(self) -> Tensor:
        """Whether the last window has a success, shape (B,)."""
        return self._sizes[-1] < torch.inf

    def confirmed(
        self, oracle: ScoreOracle, y: Tensor, loss: Loss, last: Tensor, *, confidence: float
    ) -> tuple[Tensor, Tensor]:
        """The smallest point that fresh draws confirm: ``smallest_of`` the successes, each also stretched.

        Args:
            oracle: is asked a few times.
            y: labels that the loss is of, shape (B,).
            loss: above the confidence is adversarial.
            last: points to fall back on, where a window has no success, shape (B, ...).
            confidence: what the averaged loss must exceed.

        Returns:
            Points inside the budget, shape (B, ...), and whether each is adversarial, shape (B,).
        """
        factors = (1.0,) if self._budget.norm == "l0" else STRETCHES
        kept = [where(size < torch.inf, found, last) for found, size in zip(self._found, self._sizes, strict=True)]
        candidates = [self._x + factor * (point - self._x) for point in kept for factor in factors]
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
    """Of several points the smallest that is adversarial under the same draws; the highest loss where none is.

    Args:
        oracle: is asked a few times about all of them.
        x: the original inputs, shape (B, ...).
        candidates: each of shape (B, ...); they are projected into the budget first.
        y: labels that the loss is of, shape (B,).
        loss: above the confidence is adversarial.
        budget: the norm and the largest size.
        confidence: what the averaged loss must exceed.

    Returns:
        Points inside the budget, shape (B, ...), and whether each is adversarial, shape (B,).
    """
    count, inside = len(candidates), torch.stack([_inside(point, x, budget) for point in candidates])  # (C, B, ...)
    rows = torch.arange(len(x)).repeat(count)
    asked, labels = inside.flatten(0, 1), y.repeat(count)  # (C * B, ...), (C * B,)
    answers = [oracle.loss(asked, labels, loss, rows=rows) for _ in range(REPEATS)]
    values = torch.stack(answers).mean(0).view(count, -1)  # (C, B)
    sizes = torch.stack([budget.distance(point, x) for point in inside])  # (C, B)
    won = values > confidence
    least = sizes.masked_fill(~won, torch.inf).argmin(0)  # (B,)
    chosen = least.where(won.any(0), values.argmax(0))
    return inside[chosen, torch.arange(len(x), device=x.device)], won.any(0)


def _inside(points: Tensor, x: Tensor, budget: Budget) -> Tensor:
    """The projection into the budget, without the rounding of points that are inside: they may lie at a boundary."""
    clipped = points.clamp(0, 1)
    return where(budget.distance(clipped, x) <= budget.eps, clipped, budget.project(points, x))


def where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """The points of one for the chosen examples, of the other for the rest: (B,), (B, ...) and (B, ...) to (B, ...)."""
    return one.where(chosen.view(-1, *[1] * (one.dim() - 1)), other)


def along(value: Loss, slope: Loss) -> Loss:
    """A loss with the value of one and the gradient of another, so that one query gives both over the same draws."""

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        leading = slope(logits, y)
        return value(logits, y).detach() + leading - leading.detach()

    return loss
