"""Estimate the cost of an evaluation: count its passes and time one real batch.

The passes of an attack are counted on one example under one draw of a network whose answer changes only far outside the
budget. No attack succeeds early there, so the counts are close to an upper bound. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from variate.certificates.acceptance import CHOOSING
from variate.evaluation.cascade import DRAWS as COMPARISON_DRAWS
from variate.evaluation.diagnostics import EXAMPLES, measurements
from variate.evaluation.evaluate import budget_of
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.stateful import facing
from variate.evaluation.suites import Suite, suite_of
from variate.evaluation.target import ENSEMBLE, MEAN, Target
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.oracle.white_box import GradientOracle
from variate.random.ablation import layers as layers_of
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.random.seeding import kind_of, left_as_found
from variate.records.rows import CLEAN
from variate.statistics.rates import Deployment
from variate.study.certifying import mechanism_in
from variate.study.dry_training import Workload
from variate.study.file import Certification, EvaluationTable
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.task import Task, task_of

FEW, MANY = (60, 90), 2000  # queries to count passes with, where an attack has more than many
AUTO = 20  # draws assumed for ``auto``
GAP = 4.0  # difference between the logits of ``_Still``
Attacks = Sequence[str | Mapping[str, Any]]
Counts = dict[str, tuple[int, int]]  # forward and backward passes per example and draw, by budget and plan


@dataclass(frozen=True)
class Evaluated:
    """A network with the inputs that it would be attacked on.

    Args:
        network: network to time on one batch.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        batch_size: examples per batch.
        modality: modality of the inputs.
        task: what the answers are.
        sources: names of the networks to transfer from.
        counts: passes counted earlier for inputs of the same data; extended in place.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    batch_size: int
    modality: Modality
    task: Task = CLASSES
    sources: Sequence[str] = ()
    counts: Counts = field(default_factory=dict)

    @cached_property
    def random(self) -> bool:
        """Whether the network's answers are averaged over draws."""
        return kind_of(self._answering, self._batch[0][:2]) != "deterministic"

    @cached_property
    def _answering(self) -> nn.Module:
        return self.task.answers(self.network)

    @cached_property
    def _batch(self) -> tuple[Tensor, Tensor]:
        """One batch in differentiable form, on the network's device."""
        device = next(chain(self.network.parameters(), self.network.buffers()), self.x).device
        size = self.batch_size
        return self.modality.smooth(self.x[:size], self.network).to(device), self.task.typed(self.y[:size]).to(device)

    @cached_property
    def _seconds(self) -> tuple[float, float]:
        """Seconds of one batch under one draw: forward only, and forward with the gradient of the inputs."""
        x, y = self._batch
        network = self._answering
        kind, (view, y) = kind_of(network, x[:2]), self.task.seen(y)
        oracle = GradientOracle(network, stream=Stream("search", 0), examples=len(x), kind=kind, view=view)
        with left_as_found(self.network):
            started = perf_counter()
            oracle.scores(x).cpu()  # waits for the device
            forward_done = perf_counter()
            oracle.gradient(x, y)[1].cpu()
            return forward_done - started, perf_counter() - forward_done

    def suite(self, table: Evaluation | EvaluationTable, budget: Budget, draws: int) -> Suite:
        """The suite of an evaluation, or of a study's table."""
        names = [MEAN] * isinstance(self.network, RandomNetwork) + [*self.sources]
        return suite_of(
            str(table.suite),
            budget,
            draws=draws,
            transfers=names + [ENSEMBLE] * (len(names) > 1),
            target=table.target,
            modality=self.modality,
            deployments=[Deployment.parse(text) for text in table.deployments] if self.random else [],
            task=self.task,
        )

    def workload(self, plan: Plan | Suite, budget: Budget, verdict_draws: int, **how: Any) -> Workload:
        """The workload of an attack or a suite.

        Args:
            plan: attack or suite.
            budget: norm and size.
            verdict_draws: number of verdict draws.
            how: ``examples``, all by default; ``times``, number of networks of equal cost; ``mean``, whether they are
                deterministic networks made from this one; ``prefix`` of the description.
        """
        random = self.random and not how.get("mean", False)
        plans = plan.plans if isinstance(plan, Suite) else [plan] if plan.attack != CLEAN else []
        passes = [self._passes_of(p, budget, p.draws if random and p.keys != "one" else 1) for p in plans]
        forwards, backwards = (sum(counts) for counts in zip((0, 0), *passes, strict=True))
        if isinstance(plan, Suite):
            forwards += (len(plans) + 1) * (COMPARISON_DRAWS if random else 1)
        judging, examples = verdict_draws if random else 1, min(how.get("examples") or len(self.x), len(self.x))
        forward, both = self._seconds
        what = CLEAN if plan.attack == CLEAN else f"{plan.attack}, {plan.draws if random else 1} draws, {budget}"
        batches = how.get("times", 1) * -(-examples // self.batch_size)
        seconds = (forwards - backwards + judging) * forward + backwards * both
        each = {p.label: (f, b, (f - b) * forward + b * both) for p, (f, b) in zip(plans, passes, strict=True)}
        by_attack = each if isinstance(plan, Suite) else {}
        return Workload(how.get("prefix", "") + what, batches, forwards, backwards, judging, seconds, by_attack)

    def certification(self, asked: Certification, sizes: int) -> Iterator[Workload]:
        """The workload of a certification at several radii; none for a network without what it needs."""
        mechanism = mechanism_in(asked, self.network, self.x)
        if mechanism is None:
            return
        votes = (asked.draws * (sizes if mechanism.apart else 1) + CHOOSING) * asked.votes_of if mechanism.random else 1
        examples = min(asked.examples or len(self.x), len(self.x))
        batches = -(-examples // self.batch_size)
        yield Workload(f"certify by {mechanism.name}", batches, 0, 0, votes, votes * self._seconds[0])

    def _passes_of(self, plan: Plan, budget: Budget, draws: int) -> tuple[int, int]:
        """Forward and backward passes of one attack per example."""
        single = replace(plan, draws=1)
        key = f"{budget} {single}"
        if key not in self.counts:
            self.counts[key] = self._passes_alone(single, budget)
        forwards, backwards = self.counts[key]
        return forwards * draws, backwards * draws

    def _passes_alone(self, plan: Plan, budget: Budget) -> tuple[int, int]:
        """Passes of one attack under one draw; one that uses up every small number of queries uses up a large one."""
        queries = plan.settings().get("queries")
        if isinstance(queries, int) and queries > MANY:
            counts = [self._counted(replace(plan, options=plan.options | {"queries": few}), budget) for few in FEW]
            if counts == [(few, 0) for few in FEW]:
                return queries, 0
        return self._counted(plan, budget)

    def _counted(self, plan: Plan, budget: Budget) -> tuple[int, int]:
        """Passes of one attack on one example, from running it on a network that it does not fool."""
        network, label = self._unbreakable(budget)
        target = Target(network, "deterministic", sources=dict.fromkeys(self.sources, network), modality=self.modality)
        x = self.modality.prepared(self.x[:1], budget, network).to(label.device)
        with left_as_found(network):
            _, oracle = perturb(target, plan, budget, x, label, checked=False)
        return int(oracle.queries.forwards[0]), int(oracle.queries.backwards[0])

    def _unbreakable(self, budget: Budget) -> tuple[nn.Module, Tensor]:
        """A network to count passes on, and its label for the first example; for texts, the real network."""
        if self._batch[0].shape[1:] == self.x.shape[1:]:
            classes = max(int(self.y.max()) + 1, 2) if isinstance(self.task, Classes) else 2
            return _Still(classes, self.x[:1], budget), torch.zeros(1, dtype=torch.long, device=self.y.device)
        with torch.no_grad(), left_as_found(self.network):
            return self._answering, self._answering(self._batch[0][:1].clone()).argmax(1)


class _Still(nn.Module):
    """Predicts 0 near a center and 1 beyond an edge; its logits have a small slope everywhere, so gradients exist.

    The edge, measured as the mean absolute change of the values, lies between twice the budget, the largest that red
    flags use, and an input of noise, the start of attacks that need a misclassified input.

    Args:
        classes: number of classes, K.
        center: one input, shape (1, ...).
        budget: norm and size.
    """

    def __init__(self, classes: int, center: Tensor, budget: Budget) -> None:
        super().__init__()
        self.classes, self.center, values = classes, center, center.numel()
        reach = {"linf": 1.0, "l2": values**-0.5, "l1": 1 / values, "l0": 1 / values}.get(budget.norm, torch.inf)
        near, noise = 2 * reach * budget.eps, torch.rand(center.shape, generator=torch.Generator().manual_seed(0))
        far = 0.8 * float((noise.to(center.device) - center).abs().mean()) if center.is_floating_point() else 0.0
        self.edge = (near + far) / 2 if near < far else torch.inf

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs of shape (B, ...) to logits of shape (B, K)."""
        one_hot = torch.eye(self.classes, device=x.device)
        slope = 0.01 * x.flatten(1).mean(1, keepdim=True) * torch.linspace(0, 1, self.classes, device=x.device)
        distance = (x - self.center).abs().flatten(1).mean(1, keepdim=True)  # (B, 1)
        return GAP * one_hot[0] + slope + GAP * distance / self.edge * one_hot[1]


def of_evaluation(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    evaluation: Evaluation,
    *,
    doubts: bool = False,
    layers: bool = False,
    modality: str | Modality = "image",
    task: str | Task = CLASSES,
    sources: Sequence[str] = (),
) -> Iterator[Workload]:
    """The workloads of an evaluation: every attack, then the measurements for red flags and the noise by layer.

    ``auto`` draws are counted as 20. Passes of the networks that an attack transfers from are not counted. A query that
    a detector would reject is counted as answered.
    """
    input_kind, draws = modality_of(modality), AUTO if evaluation.draws == "auto" else evaluation.draws
    evaluated = Evaluated(network, x, y, evaluation.batch_size, input_kind, task_of(task), sources)
    budget, verdict_draws = budget_of(evaluation), evaluation.verdict_draws
    plans = [Plan.of(attack, draws) for attack in (CLEAN, *facing(evaluation.attacks, evaluation.detector))]
    for plan in plans:
        yield evaluated.workload(replace(plan, detector=None), budget, verdict_draws)
    if evaluation.suite is not None:
        yield evaluated.workload(evaluated.suite(evaluation, budget, draws), budget, verdict_draws)
    if doubts:
        yield from of_doubts(evaluated, budget, draws, verdict_draws)
    if layers and isinstance(network, RandomNetwork):
        count = len(layers_of(network))
        networks = 2 + 2 * count * (count > 1)  # all noise, no noise; without each layer's noise, with only that
        for plan in (Plan.of(CLEAN, 1), Plan.of({"name": "pgd", "steps": 20}, 20)):
            yield evaluated.workload(plan, budget, verdict_draws, times=networks, prefix="by layer: ")


def of_doubts(evaluated: Evaluated, budget: Budget, draws: int, verdict_draws: int) -> Iterator[Workload]:
    """The measurements that red flags need in addition to the attacks."""
    has_source = isinstance(evaluated.network, RandomNetwork) or not evaluated.random
    transfers = has_source or bool(evaluated.sources)
    for allowed, attacks, _ in measurements(
        evaluated.x[:EXAMPLES], budget, evaluated.modality, has_gradient=True, transfers=transfers
    ):
        plans = [Plan.of(CLEAN, draws), *(Plan.of(attack, draws) for attack in attacks)]
        for plan in plans:
            yield evaluated.workload(plan, allowed, verdict_draws, examples=EXAMPLES, prefix="for red flags: ")
