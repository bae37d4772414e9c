"""ARC: attack a randomized ensemble of classifiers member by member."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from variate.attacks.parts.boundaries import gap, nearest
from variate.attacks.parts.smallest import where
from variate.inputs.budget import Budget
from variate.limits import Count, Positive
from variate.oracle.losses import Loss, aimed, margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

FIRST = 2.0  # factor on the length in the first round: from one side of the budget to the other


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
    steps: Count = 20,
    classes: Count = 9,
    step_size: Positive | None = None,
) -> Tensor:
    """Fool as many draws of a fixed set as possible, by steps to the nearest boundary of one draw at a time.

    One set of draws is taken and kept, as the members of an ensemble. For each member in turn, delta moves by length *
    steepest(gradient of the gap at that member's nearest linearized boundary) and is projected. The move is kept if
    more members are wrong than before, or as many with a higher mean margin. So the fraction of wrong members never
    falls, members whose gradients cancel are broken one by one, and an example whose members are all wrong is pushed
    further until the budget is used.

    Differences from the paper: the members are equally likely draws, so their order is that of their keys. Ties between
    equal fractions are broken by the mean margin. Steps of the first round are twice as long, so that a member can be
    reached from the opposite side of the budget, where a steeper member that cannot be broken may have led. The length
    halves after a round in which no move was kept. With a target, a step follows the margin of the target alone. The
    attack treats the set as the whole network: the fewer draws it has, the more it overfits to them, and the weaker it
    is in the verdict, which uses other draws.

    Args:
        oracle: returns the gaps and gradients of each draw.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of rounds over the S draws of the oracle, at least 1; each takes S * (S + classes) forward passes
            and S * classes backward passes.
        classes: number of other classes to consider, the most likely for the member, at least 1; capped at the number
            of other classes.
        step_size: initial length of a step in the budget's norm, above 0; default eps.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` or ``classes`` is below 1, or ``step_size`` is not above 0.
    """
    loss, labels = aimed(margin, y, target)
    keys = oracle.take_keys(x)
    current = _evaluate(oracle, x, labels, loss, keys)
    length = x.new_full((len(x),), budget.eps if step_size is None else step_size)
    for round_index in range(steps):
        step_length = length * (FIRST if round_index == 0 else 1.0)
        moved = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for member, key in enumerate(keys):
            if target is None:
                slope = _nearest_slope(oracle, current.x, y, current.logits[member], key, budget, classes)
            else:
                slope = oracle.each(current.x, labels, loss, [key])[1][0]
            step = step_length.view(-1, *[1] * (x.dim() - 1)) * budget.steepest(slope)
            candidate = _evaluate(oracle, budget.project(current.x + step, x), labels, loss, keys)
            better = candidate.better(current)
            current, moved = current.replaced(better, candidate), moved | better
        length = length.where(moved, length / 2)
    return current.x


@dataclass(frozen=True)
class _Evaluated:
    """Points, (B, ...), logits of every draw, (S, B, K), number of fooled draws and mean loss, both (B,)."""

    x: Tensor
    logits: Tensor
    won: Tensor
    mean: Tensor

    def better(self, other: _Evaluated) -> Tensor:
        """Whether more draws are fooled, or as many with a higher mean loss: (B,)."""
        return (self.won > other.won) | ((self.won == other.won) & (self.mean > other.mean))

    def replaced(self, mask: Tensor, other: _Evaluated) -> _Evaluated:
        """Take the points of ``other`` where the mask is true."""
        return _Evaluated(
            where(mask, other.x, self.x),
            torch.where(mask[:, None], other.logits, self.logits),
            other.won.where(mask, self.won),
            other.mean.where(mask, self.mean),
        )


def _evaluate(oracle: GradientOracle, x: Tensor, y: Tensor, loss: Loss, keys: list[int]) -> _Evaluated:
    logits = oracle.logits_of(x, keys)  # (S, B, K)
    values = torch.stack([loss(of_draw, y) for of_draw in logits])  # (S, B)
    return _Evaluated(x, logits, (values > 0).sum(0), values.mean(0))


def _nearest_slope(
    oracle: GradientOracle, x: Tensor, y: Tensor, logits: Tensor, key: int, budget: Budget, classes: int
) -> Tensor:
    """Gradient of the gap at the nearest linearized boundary of one draw with logits (B, K): (B, ...)."""
    num_classes = logits.shape[1]
    others = logits.scatter(1, y[:, None], -torch.inf).topk(min(classes, num_classes - 1), dim=1).indices  # (B, C)
    values, slopes = [], []
    for other in others.T:  # one at a time: a network with noise for each example repeats it at the same place only
        value, slope, _ = oracle.each(x, y * num_classes + other, gap, [key])  # (1, B), (1, B, ...)
        values.append(value[0])
        slopes.append(slope[0])
    return nearest(torch.stack(values), torch.stack(slopes), budget)[1]
