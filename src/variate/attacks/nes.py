"""Natural evolution strategies."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from variate.attacks.parts.differences import ascend, steps_within
from variate.inputs.budget import Budget
from variate.limits import Count, Limits, Momentum, Positive
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.registry import attack


@attack(
    access="scores",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Ilyas et al. 2018, arXiv:1804.08598, algorithm 1 and section 2.2",
    targeted=True,
    quick={"queries": 200, "samples": 10},
)
def nes(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    queries: Count = 5000,
    samples: Annotated[int, Limits(at_least=2, multiple_of=2)] = 50,
    radius: Positive = 0.001,
    step_size: Positive | None = None,
    momentum: Momentum = 0.9,
) -> Tensor:
    """PGD with momentum along a gradient estimated from antithetic Gaussian samples around the point.

    v <- momentum * v + (1 - momentum) * g, x <- project(x + step_size * steepest(v)), where g is the mean of (loss(x +
    radius * d) - loss(x - radius * d)) * d / (2 * radius) over d from N(0, I). As in the paper an example stops once it
    is adversarial, but only where its answers repeat; where they are random the point and its neighbors are evaluated
    under the same draws, and averages select among four snapshots. The loss is the margin instead of the
    log-probability, and inputs are clipped to [0, 1] before a query.

    Args:
        oracle: returns the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        queries: maximum number of inputs queried per example.
        samples: number of neighbors queried per step, even.
        radius: sigma, standard deviation of the distance of a neighbor to the point, above 0.
        step_size: length of a step in the budget's norm; default 2.5 * eps / steps.
        momentum: momentum of the gradient, in [0, 1).

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``samples`` is odd, ``queries`` is too small for a step, or ``radius`` or ``momentum`` is out of
            range.
    """
    steps = steps_within("nes", queries, samples + 1)
    length = 2.5 * budget.eps / steps if step_size is None else step_size
    loss, labels = aimed(margin, y, target)
    coins, pairs = oracle.coins(x), (samples // 2, *x.shape[1:])
    velocity = x.new_zeros(x.shape)

    def step(points: Tensor, gradient: Tensor, rows: Tensor) -> Tensor:
        velocity[rows] = momentum * velocity[rows] + (1 - momentum) * gradient
        return points + length * budget.steepest(velocity[rows])

    return ascend(
        oracle,
        x,
        labels,
        loss,
        budget=budget,
        queries=queries,
        steps=steps,
        radius=radius,
        directions=lambda index: coins.normal(f"directions {index}", pairs),
        step=step,
    )
