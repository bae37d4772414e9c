"""Simultaneous perturbation stochastic approximation."""

from __future__ import annotations

from typing import Annotated, final

from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.differences import ascend, steps_within
from variate.inputs.budget import Budget
from variate.limits import Count, Limits, Positive
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.registry import attack

DECAYS = 0.9, 0.999  # decay rates of Adam's two averages
TINY = 1e-12  # relative to the first gradient


@attack(
    access="scores",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Uesato et al. 2018, arXiv:1802.05666, algorithm 1",
    targeted=True,
    quick={"queries": 200, "samples": 10},
)
def spsa(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    queries: Count = 5000,
    samples: Annotated[int, Limits(at_least=2, multiple_of=2)] = 50,
    radius: Positive = 0.01,
    step_size: Positive | None = None,
) -> Tensor:
    """Adam on a gradient estimated from pairs of points along random sign directions, projected into the budget.

    x <- project(x + step_size * Adam(g)), where g is the mean of (margin(x + radius * d) - margin(x - radius * d)) * d
    / (2 * radius) over d of independent signs. An example stops once it is adversarial, but only where its answers
    repeat; where they are random the point and its neighbors are evaluated under the same draws, and averages select
    among four snapshots. The paper has linf only, queries thousands of neighbors, and does not clip them to [0, 1].

    Args:
        oracle: returns the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        queries: maximum number of inputs queried per example.
        samples: number of neighbors queried per step, even.
        radius: delta, distance of a neighbor to the point in each value, above 0.
        step_size: learning rate of Adam, as the length in the budget's norm of a step of equal values; default eps /
            10.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``samples`` is odd, ``queries`` is too small for a step, or ``radius`` is not above 0.
    """
    steps = steps_within("spsa", queries, samples + 1)
    length = budget.eps / 10 if step_size is None else step_size
    if budget.norm == "l2":
        length /= x.shape[1:].numel() ** 0.5
    loss, labels = aimed(margin, y, target)
    coins, pairs = oracle.coins(x), (samples // 2, *x.shape[1:])
    adam = Adam(x, length)
    return ascend(
        oracle,
        x,
        labels,
        loss,
        budget=budget,
        queries=queries,
        steps=steps,
        radius=radius,
        directions=lambda index: coins.signs(f"directions {index}", pairs),
        step=adam.step,
    )


@final
class Adam:
    """Adam (Kingma & Ba 2015) with averages and a step count per example.

    Args:
        like: the inputs, shape (B, ...).
        rate: learning rate.
    """

    def __init__(self, like: Tensor, rate: float) -> None:
        self._rate = rate
        self._mean, self._square = like.new_zeros(like.shape), like.new_zeros(like.shape)
        self._steps, self._size = like.new_zeros(len(like)), like.new_zeros(len(like))

    def step(self, points: Tensor, gradient: Tensor, rows: Tensor) -> Tensor:
        """Take an ascent step at the points of the given rows: (N, ...)."""
        first, second = DECAYS
        size = self._size[rows]
        self._size[rows] = size = size.where(size > 0, gradient.flatten(1).abs().amax(1))
        gradient = gradient / unsqueeze_to(size.where(size > 0, 1.0), gradient)  # in units of the first: see TINY
        self._mean[rows] = first * self._mean[rows] + (1 - first) * gradient
        self._square[rows] = second * self._square[rows] + (1 - second) * gradient**2
        self._steps[rows] += 1
        count = unsqueeze_to(self._steps[rows], gradient)
        size = (self._square[rows] / (1 - second**count)).sqrt()
        return points + self._rate * self._mean[rows] / (1 - first**count) / (size + TINY)
