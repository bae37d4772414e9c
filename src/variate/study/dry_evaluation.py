"""What an evaluation or a study would do: its passes, counted, and the time of one real batch times their number.

Passes of an attack are counted on one example under one draw of a network whose answer changes only far outside the
budget: nothing succeeds early there, so they are about the most that can be asked. Nothing is written.
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

from variate.datasets.info import about
from variate.evaluation.cascade import DRAWS as COMPARED
from variate.evaluation.diagnostics import EXAMPLES, measurements
from variate.evaluation.evaluate import budget_of
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.plan import ENSEMBLE, MEAN, Plan, Target, perturb
from variate.evaluation.suites import Suite, suite_of
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.oracle.oracle import GradientOracle
from variate.random.ablation import layers as layers_of
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.random.seeding import kind_of, left_as_found
from variate.records.rows import CLEAN
from variate.study.dry_training import Part, of_training
from variate.study.file import Study
from variate.study.grid import TWINS, Place, fits
from variate.study.work import CLEAN_DRAWS
from variate.training.cell import Cell
from variate.training.processes import device_of
from variate.training.run_folder import made

AUTO = 20  # draws, where the command finds their number itself
GAP = 4.0  # between the logits of an answer that does not move
Attacks = Sequence[str | Mapping[str, Any]]
Counts = dict[str, tuple[int, int]]  # forward and backward passes for one example and one draw, by budget and plan


@dataclass(frozen=True)
class Evaluated:
    """A network with the inputs that it would be attacked on.

    Args:
        network: the network, of which one batch is timed.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        batch_size: examples at a time.
        modality: what the inputs are.
        sources: names of the networks to transfer from.
        counts: passes of attacks that were counted before, for inputs of the same data.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    batch_size: int
    modality: Modality
    sources: Sequence[str] = ()
    counts: Counts = field(default_factory=dict)

    @cached_property
    def random(self) -> bool:
        """Whether its answers are averaged over draws."""
        return kind_of(self.network, self._batch[0][:2]) != "deterministic"

    @cached_property
    def _batch(self) -> tuple[Tensor, Tensor]:
        """One batch as the network takes it, where it is."""
        device = next(chain(self.network.parameters(), self.network.buffers()), self.x).device
        size = self.batch_size
        return self.modality.smooth(self.x[:size], self.network).to(device), self.y[:size].long().to(device)

    @cached_property
    def _seconds(self) -> tuple[float, float]:
        """The time of one batch under one draw: forward, and forward with the gradient of the inputs."""
        x, y = self._batch
        kind = kind_of(self.network, x[:2])
        oracle = GradientOracle(self.network, stream=Stream("search", 0), examples=len(x), kind=kind)
        with left_as_found(self.network):
            begun = perf_counter()
            oracle.scores(x).cpu()  # waits for the device
            between = perf_counter()
            oracle.gradient(x, y)[1].cpu()
            return between - begun, perf_counter() - between

    @cached_property
    def transfers(self) -> list[str]:
        """The networks that a suite transfers from, as an evaluation has them."""
        held = [MEAN] * isinstance(self.network, RandomNetwork) + [*self.sources]
        return held + [ENSEMBLE] * (len(held) > 1)

    def part(self, plan: Plan | Suite, budget: Budget, verdict_draws: int, **how: Any) -> Part:
        """What an attack or a suite asks.

        Args:
            plan: the attack.
            budget: the norm and the size.
            verdict_draws: of its verdict.
            how: ``examples``, all without it; ``times``, networks that cost alike; ``mean``, whether they are
                deterministic ones made of this one.
        """
        random = self.random and not how.get("mean", False)
        plans = plan.plans if isinstance(plan, Suite) else [plan] if plan.attack != CLEAN else []
        passes = [self._passes_of(one, budget, one.draws if random and one.keys != "one" else 1) for one in plans]
        forwards, backwards = (sum(counts) for counts in zip((0, 0), *passes, strict=True))
        if isinstance(plan, Suite):
            forwards += (len(plans) + 1) * (COMPARED if random else 1)
        judging, examples = verdict_draws if random else 1, min(how.get("examples") or len(self.x), len(self.x))
        forward, both = self._seconds
        what = CLEAN if plan.attack == CLEAN else f"{plan.attack}, {plan.draws if random else 1} draws, {budget}"
        batches = how.get("times", 1) * -(-examples // self.batch_size)
        seconds = (forwards - backwards + judging) * forward + backwards * both
        return Part(how.get("prefix", "") + what, batches, forwards, backwards, judging, seconds)

    def _passes_of(self, plan: Plan, budget: Budget, draws: int) -> tuple[int, int]:
        """Forward and backward passes of one attack for each example."""
        one = replace(plan, draws=1)
        known = f"{budget} {one}"
        if known not in self.counts:
            network, label = self._unbreakable(budget)
            target = Target(
                network, "deterministic", sources=dict.fromkeys(self.sources, network), modality=self.modality
            )
            x = self.modality.prepared(self.x[:1], budget, network).to(label.device)
            with left_as_found(network):
                _, oracle = perturb(target, one, budget, x, label, checked=False)
            self.counts[known] = int(oracle.queries.forwards[0]), int(oracle.queries.backwards[0])
        forwards, backwards = self.counts[known]
        return forwards * draws, backwards * draws

    def _unbreakable(self, budget: Budget) -> tuple[nn.Module, Tensor]:
        """A network to count with, and its label for the first example; texts need the real one."""
        if self._batch[0].shape[1:] == self.x.shape[1:]:
            return _Still(max(int(self.y.max()) + 1, 2), self.x[:1], budget), torch.zeros_like(self.y[:1]).long()
        with torch.no_grad(), left_as_found(self.network):
            return self.network, self.network(self._batch[0][:1]).argmax(1)


class _Still(nn.Module):
    """Answers 0 near a center and 1 beyond an edge; its logits move a little everywhere, so that there is a gradient.

    The edge, a mean change of the values, lies between twice the budget, which doubts take, and an input of noise,
    where attacks begin that need a wrong answer to begin with.

    Args:
        classes: how many.
        center: one input, shape (1, ...).
        budget: the norm and the size.
    """

    def __init__(self, classes: int, center: Tensor, budget: Budget) -> None:
        super().__init__()
        self.classes, self.center, values = classes, center, center.numel()
        reach = {"linf": 1.0, "l2": values**-0.5, "l1": 1 / values, "l0": 1 / values}.get(budget.norm, torch.inf)
        near, noise = 2 * reach * budget.eps, torch.rand(center.shape, generator=torch.Generator().manual_seed(0))
        far = 0.8 * float((noise.to(center.device) - center).abs().mean()) if center.is_floating_point() else 0.0
        self.edge = (near + far) / 2 if near < far else torch.inf

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        one = torch.eye(self.classes, device=x.device)
        tilted = 0.01 * x.flatten(1).mean(1, keepdim=True) * torch.linspace(0, 1, self.classes, device=x.device)
        away = (x - self.center).abs().flatten(1).mean(1, keepdim=True)  # (B, 1)
        return GAP * one[0] + tilted + GAP * away / self.edge * one[1]


def of_evaluation(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    evaluation: Evaluation,
    *,
    doubts: bool = False,
    layers: bool = False,
    modality: str | Modality = "image",
    sources: Sequence[str] = (),
) -> Iterator[Part]:
    """Every attack of an evaluation, and what its command measures beside it.

    ``auto`` draws are counted as 20. Passes of the networks that a transfer holds are not counted.
    """
    kept, averaged = modality_of(modality), AUTO if evaluation.draws == "auto" else evaluation.draws
    evaluated = Evaluated(network, x, y, evaluation.batch_size, kept, sources)
    ball, verdict_draws = budget_of(evaluation), evaluation.verdict_draws
    plans = [Plan.of(attack, averaged) for attack in (CLEAN, *evaluation.attacks)]
    for plan in plans:
        yield evaluated.part(plan, ball, verdict_draws)
    if evaluation.suite is not None:
        held, aim = evaluated.transfers, evaluation.target
        whole = suite_of(evaluation.suite, ball, draws=averaged, transfers=held, target=aim, modality=kept)
        yield evaluated.part(whole, ball, verdict_draws)
    if doubts:
        yield from _of_doubts(evaluated, ball, averaged, verdict_draws)
    if layers and isinstance(network, RandomNetwork):
        parts = len(layers_of(network))
        networks = 2 + 2 * parts * (parts > 1)  # all of the noise, none; each layer's off, each layer's alone
        for plan in (Plan.of(CLEAN, 1), Plan.of({"name": "pgd", "steps": 20}, 20)):
            yield evaluated.part(plan, ball, verdict_draws, times=networks, prefix="by layer: ")


def _of_doubts(evaluated: Evaluated, budget: Budget, draws: int, verdict_draws: int) -> Iterator[Part]:
    """What red flags need beside the attacks."""
    holds = isinstance(evaluated.network, RandomNetwork) or not evaluated.random
    transfers = holds or bool(evaluated.sources)
    for ball, attacks, _ in measurements(
        evaluated.x[:EXAMPLES], budget, evaluated.modality, sees=True, transfers=transfers
    ):
        plans = [Plan.of(CLEAN, draws), *(Plan.of(attack, draws) for attack in attacks)]
        for plan in plans:
            yield evaluated.part(plan, ball, verdict_draws, examples=EXAMPLES, prefix="for red flags: ")


def of_study(study: Study, places: Sequence[Place]) -> Iterator[tuple[str, list[Part]]]:
    """The parts of each network of a study by its name; of networks that differ in their seed only, one is measured."""
    known: dict[tuple[Cell, int], list[Part]] = {}
    counts: dict[str, Counts] = {}
    for place in places:
        kind = replace(place.cell, recipe=replace(place.cell.recipe, seed=0)), len(place.sources)
        if kind not in known:
            own = counts.setdefault(place.cell.data, {})
            known[kind] = [*of_training(place.cell), *_of_judging(study, place, own)]
        yield place.name, known[kind]


def _of_judging(study: Study, place: Place, counts: Counts) -> Iterator[Part]:
    """What ``variate.study.work`` asks of one network: the whole split, table, twins, doubts and curves."""
    cell, plan, curves = place.cell, study.evaluation, study.curves
    facts = about(cell.data, folder=cell.data_folder)
    network = made(cell, facts)[0].eval().to(device_of(cell.recipe.accelerator))
    x, y = cell.split(plan.split)
    whole = Evaluated(network, x, y, plan.batch_size, facts.modality, place.sources, counts)
    examples: dict[str, Any] = {"examples": plan.examples}
    draws = plan.verdict_draws
    first = Budget.parse(place.budgets[0])
    yield whole.part(Plan.of(CLEAN, 1), first, CLEAN_DRAWS)
    for ball in map(Budget.parse, place.budgets):
        names = [attack for attack in plan.attacks if fits(attack, ball.text, cell.data)]
        table = [Plan.of(CLEAN, plan.draws), *(Plan.of(attack, plan.draws) for attack in names)]
        for one in table:
            yield whole.part(one, ball, draws, **examples)
        if plan.suite is not None:
            held, aim = whole.transfers, plan.target
            suite = suite_of(plan.suite, ball, draws=plan.draws, transfers=held, target=aim, modality=facts.modality)
            yield whole.part(suite, ball, draws, **examples)
        for one in table if isinstance(network, RandomNetwork) else ():
            yield whole.part(one, ball, draws, **examples, mean=True, times=len(TWINS), prefix="twins: ")
    if plan.doubts:
        yield from _of_doubts(whole, first, plan.draws, draws)
    pgd = {"name": "pgd", "steps": curves.steps}
    points = [(first.with_size(size), plan.draws) for size in curves.sizes_for(cell.data)]
    points += [(first, number) for number in curves.draws if isinstance(network, RandomNetwork)]
    for ball, number in points:
        yield whole.part(Plan.of(pgd, number), ball, draws, examples=curves.examples, prefix="curve: ")
