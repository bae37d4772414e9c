"""Attack one batch for one claim, judge it on fresh draws, and return one record per example."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from variate.evaluation.cascade import cascade
from variate.evaluation.clock import now
from variate.evaluation.goals import goal_of
from variate.evaluation.judge import by_strata, confidences, scores_by_source, verdict
from variate.evaluation.measuring import Outputs
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.suites import Suite
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.oracle.queries import Queries
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.schema import TASK, Example, Picture, Record, Timing
from variate.statistics.rates import Bits, Deployment, Floats

PICTURES = 6


@dataclass(frozen=True)
class Attacked:
    """The result of an attack or a suite on one batch.

    Attributes:
        perturbed: the inputs to judge, shape (B, ...), by ``Deployment.source``; the first also serves all others.
        queries: queries of the attack.
        rising: how far the loss still rose, by example.
        chosen: for a suite, the attack that found the input of each source, by example.
        shares: for a suite, the accuracy left by each attack, by example.
        by_attack: for a suite, forward passes, backward passes and seconds of each attack.
    """

    perturbed: dict[str, Tensor]
    queries: Queries
    rising: list[float | None]
    chosen: list[dict[str, str]]
    shares: list[dict[str, float]]
    by_attack: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    @property
    def first(self) -> Tensor:
        """The inputs of the first deployment, which distances and pictures are about: (B, ...)."""
        return next(iter(self.perturbed.values()))


def answers(
    target: Target,
    plan: Plan | Suite,
    claim: Claim,
    indices: list[int],
    x: Tensor,
    y: Tensor,
    report: Callable[[str, int, int], None],
    outputs: Outputs | None = None,
) -> list[Record]:
    """Attack and judge one batch: one record per example, pictures of the first few examples, and the time taken.

    The records are returned together, so that a batch is written as a whole or not at all.

    Args:
        target: the network.
        plan: attack or suite to run.
        claim: record of the claim.
        indices: positions of the examples in the whole data set.
        x: inputs, shape (B, ...).
        y: labels, shape (B, ...).
        report: called before each attack of a suite.
        outputs: collects the outputs that metrics take.
    """
    budget = Budget.parse(claim.budget) if claim.budget else None
    started = now(x)
    goal = goal_of(target, plan.target, x, y)
    deployments = [Deployment.parse(text) for text in claim.deployments]
    attacked = _attacked(target, plan, budget, x, y, goal, report, deployments)
    if target.kept is not None and budget is not None:
        target.kept.add(claim, indices, attacked.perturbed)  # before the records, which promise them
    judging = now(x)
    right, confidence, answered = _judged(target, claim, deployments, indices, attacked.perturbed, y, goal, outputs)
    timing = Timing(
        claim=claim.id,
        first=indices[0],
        examples=len(indices),
        attack=round(judging - started, 3),
        verdict=round(now(x) - judging, 3),
        by_attack=attacked.by_attack,
    )
    distance = x.new_zeros(len(x)) if budget is None else target.modality.reach(x, budget).distance(attacked.first)
    lines: list[Record] = []
    for j, example in enumerate(indices):
        line = Example(
            claim=claim.id,
            example=example,
            label=int(y[j]) if target.classifies else None,
            answers={source: pack(values[:, j]) for source, values in right.items()},
            distance=round(float(distance[j]), 7),
            forwards=int(attacked.queries.forwards[j]),
            backwards=int(attacked.queries.backwards[j]),
            points=int(attacked.queries.points[j]),
            rejected=int(attacked.queries.rejected[j]),
            flat=int(attacked.queries.flat[j]),
            left_out=[name for name, rows in attacked.queries.left_out.items() if j in rows],
            rising=attacked.rising[j],
            chosen=_first(attacked.chosen[j]),
            chosen_for={s: name for s, name in attacked.chosen[j].items() if name != _first(attacked.chosen[j])},
            shares=attacked.shares[j],
            confidences={name: round(p[j], 4) for name, p in confidence.items() if math.isfinite(p[j])},
        )
        lines.append(line)
        if target.pictures and budget is not None and example < PICTURES:
            lines += _pictures(target.modality, claim, example, (line.label, answered[j]), x[j], attacked.first[j])
    return [*lines, timing]


def _judged(
    target: Target,
    claim: Claim,
    deployments: Sequence[Deployment],
    indices: list[int],
    perturbed: Mapping[str, Tensor],
    y: Tensor,
    goal: Tensor | None,
    outputs: Outputs | None,
) -> tuple[dict[str, Bits | Floats], dict[str, list[float]], list[int | dict[str, Any]]]:
    """Scores by deployment on fresh draws, the confidences, and the label that most draws gave each example.

    There are no confidences for targeted attacks. Other tasks than classes have none; a report shows ``Task.shown``.
    """

    def judged(x: Tensor, together: int) -> Tensor:
        stream = Stream("verdict", target.seed)
        return verdict(
            target.network,
            x,
            deployments=deployments,
            draws=claim.verdict_draws,
            stream=stream,
            kind=target.kind,
            together=together,
        )

    first, *_ = perturbed.values()
    answered: list[int | dict[str, Any]] = []  # (B,)
    right: dict[str, Bits | Floats] = {}
    confidence: dict[str, list[float]] = {}
    different = list({d.source: d for d in deployments}.values())
    for together, alike in by_strata(target.network, different).items():
        shared = judged(first, together)  # (n, B, K)
        if outputs is not None and not right:
            outputs.add(indices, shared)
        answered = answered or _answered(target, shared, indices, y)
        for deployment in alike:
            own, logits = perturbed.get(deployment.source, first), shared
            moved = (own != first).flatten(1).any(1).nonzero()[:, 0]
            if len(moved):
                logits = shared.index_copy(1, moved, judged(own[moved], together))
            right |= scores_by_source([deployment], logits, y, target.task, goal)
            if goal is None and target.classifies:
                highest = confidences([deployment], logits, indices)
                confidence |= {name: values.tolist() for name, values in highest.items()}
    order = [deployment.source for deployment in different]
    return {name: right[name] for name in order}, {n: confidence[n] for n in order if n in confidence}, answered


def _attacked(
    target: Target,
    plan: Plan | Suite,
    budget: Budget | None,
    x: Tensor,
    y: Tensor,
    goal: Tensor | None,
    report: Callable[[str, int, int], None],
    deployments: Sequence[Deployment],
) -> Attacked:
    missing: list[None] = [None] * len(x)
    no_shares: list[dict[str, float]] = [{} for _ in missing]
    none_chosen: list[dict[str, str]] = [{} for _ in missing]
    if budget is None:
        return Attacked({"": x}, Queries(len(x)), [*missing], none_chosen, no_shares)
    if isinstance(plan, Suite):
        outcome = cascade(target, plan, budget, x, y, goal, report, deployments)
        chosen = [dict(zip(outcome.chosen, names, strict=True)) for names in zip(*outcome.chosen.values(), strict=True)]
        return Attacked(outcome.perturbed, outcome.queries, [*missing], chosen, outcome.shares, outcome.by_attack)
    perturbed, oracle = perturb(target, plan, budget, x, y, goal)
    rising = oracle.trace.rising() if isinstance(oracle, GradientOracle) else None
    shares_rising = [*missing] if rising is None else [round(value, 4) for value in rising.tolist()]
    return Attacked({"": perturbed}, oracle.queries, shares_rising, none_chosen, no_shares)


def _answered(target: Target, outputs: Tensor, indices: Sequence[int], y: Tensor) -> list[int | dict[str, Any]]:
    """The label that most draws gave each example, or of other tasks than classes what shows the first few."""
    if target.classifies:
        return list(outputs.argmax(-1).mode(0).values.tolist())
    first = [target.pictures and index < PICTURES for index in indices]
    return [target.task.shown(outputs[:, j], y[j]) if wanted else {} for j, wanted in enumerate(first)]


def _first(chosen: Mapping[str, str]) -> str | None:
    return next(iter(chosen.values()), None)


def _pictures(
    modality: Modality,
    claim: Claim,
    example: int,
    labels: tuple[int | None, int | dict[str, Any]],
    original: Tensor,
    perturbed: Tensor,
) -> Iterator[Picture]:
    """The picture that the report shows for one example; nothing if its modality has none.

    Args:
        modality: the modality of the inputs.
        claim: the claim that the example belongs to.
        example: number of the example.
        labels: its label, and the label that most draws gave its adversarial input; or what shows both.
        original: the example, one input.
        perturbed: the adversarial input.
    """
    kept = modality.kept(original, perturbed)
    if kept is None:
        return
    yield Picture(
        claim=claim.id,
        example=example,
        label=labels[0],
        answer=labels[1] if isinstance(labels[1], int) else None,
        shape=list(original.shape),
        original=kept.original,
        adversarial=kept.adversarial,
        modality=name_of(modality),
        details=dict(kept.details) | ({} if isinstance(labels[1], int) else {TASK: labels[1]}),
    )
