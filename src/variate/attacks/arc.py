"""Attacking randomized ensembles of classifiers, member by member."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from variate.attacks.parts.boundaries import gap, nearest
from variate.attacks.parts.smallest import where
from variate.attacks.parts.steps import check_steps
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss, aimed, margin
from variate.oracle.oracle import GradientOracle
from variate.registry import attack

FIRST = 2.0  # times the length, in the first round: from one edge of the budget to the other


@attack(
    access="gradient",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Dbouk & Shanbhag 2022, arXiv:2206.06737, section 4, algorithm 2",
    targeted=True,
    quick={"steps": 3, "classes": 2},
)
def arc(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: int = 20,
    classes: int = 9,
    step_size: float | None = None,
) -> Tensor:
    """The most draws of a fixed set that can be made wrong at once, by steps to the nearest boundary of one at a time.

    One set of draws is taken and kept, as the members of an ensemble. For each member in turn, delta is moved by
    length * steepest(gradient of the gap at that member's nearest linearized boundary), then projected. The move stays
    if more members are wrong than before, or as many with a higher mean margin. So the share of wrong members never
    falls, members whose gradients cancel are broken one by one, and an example whose members are all wrong is pushed
    on until the budget is used.

    It deviates from the paper as follows. The members are equally likely draws, so their order is that of their keys.
    Equal shares are told apart by the mean margin. Steps of the first round are twice as long, so that a member is
    reached from the far edge of the budget, where a steeper one that cannot be broken may have led. The length halves
    after a round in which no member's move stayed. With a target, a step follows the margin of the target alone. The
    set is the whole network only to this attack: the fewer draws, the more it fits them, and the lower is the verdict,
    which other draws give.

    Args:
        oracle: gives each draw's gaps and gradients.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        steps: number of rounds over the S draws of the oracle, from 1; each asks S * (S + classes) times.
        classes: how many other classes, the most likely for the member, from 1; fewer where the network has fewer.
        step_size: the first length of a step in the budget's norm, above 0; eps without one.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step or class, or a step size of 0 or less.
    """
    check_steps("arc", steps=steps, classes=classes)
    if step_size is not None and not step_size > 0:
        raise UsageError(f"arc cannot take steps of size {step_size}", expected="a size above 0, or none for eps")
    loss, labels = aimed(margin, y, target)
    keys = oracle.take_keys(x)
    now = _look(oracle, x, labels, loss, keys)
    length = x.new_full((len(x),), budget.eps if step_size is None else step_size)
    for number in range(steps):
        reach = length * (FIRST if number == 0 else 1.0)
        moved = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for member, key in enumerate(keys):
            if target is None:
                slope = _nearest_slope(oracle, now.x, y, now.logits[member], key, budget, classes)
            else:
                slope = oracle.each(now.x, labels, loss, [key])[1][0]
            step = reach.view(-1, *[1] * (x.dim() - 1)) * budget.steepest(slope)
            ahead = _look(oracle, budget.project(now.x + step, x), labels, loss, keys)
            better = ahead.better(now)
            now, moved = now.replaced(better, ahead), moved | better
        length = length.where(moved, length / 2)
    return now.x


@dataclass(frozen=True)
class _Seen:
    """Points, shape (B, ...), logits of every draw, (S, B, K), how many draws are won, and their mean loss, (B,)."""

    x: Tensor
    logits: Tensor
    won: Tensor
    mean: Tensor

    def better(self, other: _Seen) -> Tensor:
        """Whether more draws are won, or as many with a higher mean loss: (B,)."""
        return (self.won > other.won) | ((self.won == other.won) & (self.mean > other.mean))

    def replaced(self, chosen: Tensor, other: _Seen) -> _Seen:
        """The points of another for the chosen examples."""
        return _Seen(
            where(chosen, other.x, self.x),
            torch.where(chosen[:, None], other.logits, self.logits),
            other.won.where(chosen, self.won),
            other.mean.where(chosen, self.mean),
        )


def _look(oracle: GradientOracle, x: Tensor, y: Tensor, loss: Loss, keys: list[int]) -> _Seen:
    values, _, logits = oracle.each(x, y, loss, keys)  # (S, B), (S, B, K)
    return _Seen(x, logits, (values > 0).sum(0), values.mean(0))


def _nearest_slope(
    oracle: GradientOracle, x: Tensor, y: Tensor, logits: Tensor, key: int, budget: Budget, classes: int
) -> Tensor:
    """The gradient of the gap at the nearest linearized boundary of one draw, of known logits (B, K): (B, ...)."""
    known = logits.shape[1]
    others = logits.scatter(1, y[:, None], -torch.inf).topk(min(classes, known - 1), dim=1).indices  # (B, C)
    count = others.shape[1]
    pairs = (y[:, None] * known + others).T.flatten()  # (C * B,)
    rows = torch.arange(len(y)).repeat(count)
    points = x.repeat(count, *[1] * (x.dim() - 1))  # (C * B, ...)
    values, slopes, _ = oracle.each(points, pairs, gap, [key], rows=rows)  # (1, C * B), (1, C * B, ...)
    return nearest(values.view(count, -1), slopes.view(count, *x.shape), budget)[1]
