"""One batch of one claim: attacked, judged on fresh draws, and written down example by example."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.evaluation.cascade import cascade
from variate.evaluation.judge import confidences, right_by_source, verdict
from variate.evaluation.plan import Plan, Target, goal_of, perturb
from variate.evaluation.suites import Suite
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.oracle.oracle import GradientOracle
from variate.oracle.queries import Queries
from variate.random.keys import Stream
from variate.records.file import pack
from variate.records.schema import Claim, Example, Picture, Record, Timing
from variate.statistics.rates import Bits, Deployment

PICTURES = 6


@dataclass(frozen=True)
class Attacked:
    """What an attack or a suite made of a batch."""

    perturbed: Tensor
    queries: Queries
    rising: list[float | None]
    chosen: list[str | None]
    shares: list[dict[str, float]]


def answers(
    target: Target,
    plan: Plan | Suite,
    claim: Claim,
    numbers: list[int],
    x: Tensor,
    y: Tensor,
    told: Callable[[str, int, int], None],
) -> list[Record]:
    """Attack and judge one batch: a record for each of its examples, pictures of the first few, and how long it took.

    All of it is there when it is returned, so that it is written at once or not at all.

    Args:
        target: the network.
        plan: what is run.
        claim: what the records say of it.
        numbers: of the examples in the whole set.
        x: their inputs, shape (B, ...).
        y: their labels, shape (B,).
        told: called before each attack of a suite.
    """
    budget = Budget.parse(claim.budget) if claim.budget else None
    begun = _now(x)
    goal = goal_of(target, plan.target, x, y)
    made = _attacked(target, plan, budget, x, y, goal, told)
    found = _now(x)
    right, sure = _judged(target, claim, numbers, made.perturbed, y, goal)
    spent = Timing(
        claim=claim.id,
        first=numbers[0],
        examples=len(numbers),
        attack=round(found - begun, 3),
        verdict=round(_now(x) - found, 3),
    )
    distance = x.new_zeros(len(x)) if budget is None else target.modality.reach(x, budget).distance(made.perturbed)
    lines: list[Record] = []
    for j, example in enumerate(numbers):
        line = Example(
            claim=claim.id,
            example=example,
            label=int(y[j]),
            answers={source: pack(bits[:, j]) for source, bits in right.items()},
            distance=round(float(distance[j]), 7),
            forwards=int(made.queries.forwards[j]),
            backwards=int(made.queries.backwards[j]),
            points=int(made.queries.points[j]),
            rising=made.rising[j],
            chosen=made.chosen[j],
            shares=made.shares[j],
            confidences={name: round(p[j], 4) for name, p in sure.items() if math.isfinite(p[j])},
        )
        lines.append(line)
        if target.pictures and budget is not None and example < PICTURES:
            lines += _shown(target.modality, claim, example, int(y[j]), x[j], made.perturbed[j])
    return [*lines, spent]


def _judged(
    target: Target, claim: Claim, numbers: list[int], perturbed: Tensor, y: Tensor, goal: Tensor | None
) -> tuple[dict[str, Bits], dict[str, list[float]]]:
    """Right or wrong by deployment on fresh draws, and how sure the network was; not of aimed attacks."""
    ways = [Deployment.parse(text) for text in claim.deployments]
    logits = verdict(
        target.network,
        perturbed,
        deployments=ways,
        draws=claim.verdict_draws,
        stream=Stream("verdict", target.seed),
        kind=target.kind,
    )  # (n, B, K)
    if goal is not None:
        return right_by_source(ways, logits, y, goal), {}
    sure = {name: found.tolist() for name, found in confidences(ways, logits, numbers).items()}
    return right_by_source(ways, logits, y), sure


def _now(x: Tensor) -> float:
    """The wall's clock, once the device of these inputs has done what it was told."""
    if x.device.type != "cpu":
        torch.accelerator.synchronize(x.device)
    return time.perf_counter()


def _attacked(
    target: Target,
    plan: Plan | Suite,
    budget: Budget | None,
    x: Tensor,
    y: Tensor,
    goal: Tensor | None,
    told: Callable[[str, int, int], None],
) -> Attacked:
    nothing: list[None] = [None] * len(x)
    none_each: list[dict[str, float]] = [{} for _ in nothing]
    if budget is None:
        return Attacked(x, Queries(len(x)), [*nothing], [*nothing], none_each)
    if isinstance(plan, Suite):
        outcome = cascade(target, plan, budget, x, y, goal, told)
        return Attacked(outcome.perturbed, outcome.queries, [*nothing], [*outcome.chosen], outcome.shares)
    perturbed, oracle = perturb(target, plan, budget, x, y, goal)
    rising = oracle.trace.rising() if isinstance(oracle, GradientOracle) else None
    moved = [*nothing] if rising is None else [round(value, 4) for value in rising.tolist()]
    return Attacked(perturbed, oracle.queries, moved, [*nothing], none_each)


def _shown(
    modality: Modality, claim: Claim, example: int, label: int, original: Tensor, perturbed: Tensor
) -> Iterator[Picture]:
    """What the report shows of one example, if anything."""
    kept = modality.kept(original, perturbed)
    if kept is None:
        return
    yield Picture(
        claim=claim.id,
        example=example,
        label=label,
        shape=list(original.shape),
        original=kept.original,
        adversarial=kept.adversarial,
        modality=name_of(modality),
        details=dict(kept.details),
    )
