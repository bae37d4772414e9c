"""Natural evolution strategies."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.differences import ascend, steps_within
from variate.errors import UsageError
from variate.inputs.budget import Budget
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
    queries: int = 5000,
    samples: int = 50,
    radius: float = 0.001,
    step_size: float | None = None,
    momentum: float = 0.9,
) -> Tensor:
    """PGD along a gradient that is estimated from Gaussian pairs around the point, with momentum.

    v <- momentum * v + (1 - momentum) * g, x <- project(x + step_size * steepest(v)), where g is the mean of
    (loss(x + radius * d) - loss(x - radius * d)) * d / (2 * radius) over d from N(0, I). As in the paper an example
    rests once it is adversarial, but only where its answers repeat; where they are random the point and its
    neighbors meet the same draws, and averages choose among four snapshots. The loss is the margin instead of the log
    of the probability, and inputs are cut to [0, 1] before they are asked about.

    Args:
        oracle: gives the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        queries: the most inputs to ask about, for each example.
        samples: neighbors asked about in a step, an even number.
        radius: sigma, the standard deviation of their distance to the point.
        step_size: length of a step in the budget's norm; 2.5 * eps / steps without one.
        momentum: of the gradient, in [0, 1).

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for samples that make no pairs, queries too few for a step, a radius or momentum out of range.
    """
    if samples < 2 or samples % 2:
        raise UsageError(f"nes cannot pair {samples} samples", expected="an even number from 2")
    if radius <= 0 or not 0 <= momentum < 1:
        what = f"a radius of {radius}" if radius <= 0 else f"a momentum of {momentum}"
        raise UsageError(f"nes cannot use {what}", expected="a radius above 0 and a momentum in [0, 1)")
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
        directions=lambda number: coins.normal(f"directions {number}", pairs),
        step=step,
    )
