"""NATTACK."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.differences import differences, steps_within
from variate.attacks.parts.lengths import unit
from variate.attacks.parts.score_queries import best_of, is_snapshot, probe, probes, repeats_of, values_of
from variate.inputs.budget import Budget
from variate.limits import Count, Limits, Positive
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.registry import attack

EDGE = 0.25  # maximum distance that inputs are moved away from 0 and 1
TINY = 1e-6


@attack(
    access="scores",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Li et al. 2019, arXiv:1905.00441, algorithm 1",
    targeted=True,
    quick={"queries": 200, "samples": 10},
)
def nattack(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    queries: Count = 5000,
    samples: Annotated[int, Limits(at_least=2)] = 50,
    radius: Positive = 0.1,
    step_size: Positive = 0.05,
) -> Tensor:
    """Move the mean of a normal distribution of inputs to where the averaged margin is high.

    A sample is project((tanh(mean + radius * d) + 1) / 2) for d from N(0, I); a step is mean <- mean + step_size * mean
    over the samples of reward * d / radius, where the rewards are the standardized margins of the samples. Where an
    example's answers repeat, the sample with the highest margin is returned, and the example stops once that is above
    0. Where they are random, samples are compared under the same draws only, and averages select among four snapshots
    of the distribution's mean. The paper starts at atanh(2 x - 1), which has no slope at 0 and 1; here x is first moved
    away from both by the size of the budget in one value. The paper uses 300 samples per step and a step size of 0.02.

    Args:
        oracle: returns the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        queries: maximum number of inputs queried per example.
        samples: b, number of inputs queried per step, at least 2.
        radius: sigma, standard deviation of the distribution, above 0.
        step_size: eta, learning rate of its mean.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``samples`` is below 2, ``queries`` is too small for a step, or ``radius`` is not above 0.
    """
    steps = steps_within("nattack", queries, samples)
    loss, labels = aimed(margin, y, target)
    coins, shape = oracle.coins(x), (samples, *x.shape[1:])
    best, mean, snapshots = x.clone(), _before_tanh(x, budget), []
    value, exact = probe(oracle, x, labels, loss, probes(queries))
    for step in range(steps):
        rows = (~exact | (value <= 0)).nonzero()[:, 0]
        if len(rows):
            noise = coins.normal(f"samples {step}", shape)[rows]  # (N, samples, ...)
            points = _inputs(mean[rows, None] + radius * noise, x[rows], budget)
            values = values_of(oracle, points, labels[rows], loss, rows)  # (N, samples)
            mean[rows] += step_size / radius * _slope(values, noise)
            top, top_index = values.max(1)
            better = top > value[rows]
            value[rows] = torch.where(better, top, value[rows])
            best[rows] = torch.where(
                unsqueeze_to(better, x), points[torch.arange(len(rows), device=x.device), top_index], best[rows]
            )
        else:
            oracle.skip(1)
        if is_snapshot(step, steps):
            snapshots.append(_inputs(mean[~exact, None], x[~exact], budget)[:, 0])
    rows = (~exact).nonzero()[:, 0]
    best[rows] = best_of(oracle, snapshots[::-1], labels[rows], loss, rows=rows, repeats=repeats_of(queries))
    return budget.project(best, x)


def _before_tanh(x: Tensor, budget: Budget) -> Tensor:
    """The values that tanh maps to the inputs, kept away from 0 and 1: shape (B, ...)."""
    values = 1 if budget.norm == "linf" else x.shape[1:].numel()
    edge = min(max(budget.eps / values**0.5, TINY), EDGE)
    return torch.atanh(2 * x.clamp(edge, 1 - edge) - 1)


def _inputs(before: Tensor, x: Tensor, budget: Budget) -> Tensor:
    """Inputs inside the budget: (N, M, ...) and (N, ...) to (N, M, ...)."""
    inputs = (before.tanh() + 1) / 2
    return budget.project(inputs.flatten(0, 1), x.repeat_interleave(before.shape[1], 0)).view_as(before)


def _slope(values: Tensor, noise: Tensor) -> Tensor:
    """The mean of reward times noise: (N, samples) and (N, samples, ...) to (N, ...)."""
    deviations = differences(values, values.mean(1, keepdim=True))
    rewards = unit(deviations, 2) * (values.shape[1] - 1) ** 0.5  # divided by their standard deviation
    weighted: Tensor = (rewards[:, :, None] * noise.flatten(2)).sum(1).view_as(noise[:, 0])
    return weighted / values.shape[1]
