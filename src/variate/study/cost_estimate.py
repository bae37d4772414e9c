"""What a training or an evaluation will cost, before it is begun: its steps and passes, counted, and about how long.

Passes are counted by running the same attacks on one example of a network whose answer changes only far outside the
budget: nothing succeeds early there, and what begins outside has a place to begin at, so they are about the most that
can be asked. Seconds are those of a few real passes on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from variate.datasets.batches import Batches
from variate.datasets.info import About, about
from variate.evaluation.diagnostics import EXAMPLES, doubt
from variate.evaluation.evaluate import evaluate
from variate.flags.evidence import DOUBTS
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.oracle.oracle import GradientOracle
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.random.seeding import kind_of, left_as_found
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.study.file import Study
from variate.study.grid import Place, fits
from variate.training.cell import Cell
from variate.training.defense import teacher_of
from variate.training.recipe import Recipe
from variate.training.run_folder import made
from variate.training.saved import build
from variate.training.train import train
from variate.training.validation import accuracy, robust_accuracy

AUTO = 20  # draws, where they are found out on the way
PROBED, PROBED_EXAMPLES = 3, 250  # batches of training, examples of validation
TIMED = 3  # passes of each kind, of which the fastest counts
GAP = 4.0  # between the logits of an answer that does not move


@dataclass(frozen=True)
class Cost:
    """What one part of the work asks of the network.

    Attributes:
        what: the attack, or the epochs.
        examples: how many.
        queries: inputs that are asked about, for each example at most.
        forwards, backwards: passes, for each example at most.
        seconds: about how long all of it takes.
    """

    what: str
    examples: int
    queries: int
    forwards: int
    backwards: int
    seconds: float


def of_training(cell: Cell) -> list[Cost]:
    """The epochs of a training run, their validation, and a teacher's before them; what is trained is thrown away."""
    taught = teacher_of(cell.defense) if cell.recipe.objective is None else None
    lesson = replace(cell, defense="deterministic", recipe=replace(cell.recipe, objective=taught))
    before = [replace(cost, what=f"teacher, {cost.what}") for cost in of_training(lesson)] if taught is not None else []
    facts = about(cell.data, folder=cell.data_folder)
    network, recipe = made(cell, facts)
    x, y = (part[: cell.train_examples] for part in cell.split("train"))
    batches = list(Batches(x[: (PROBED + 1) * cell.batch_size], y, batch_size=cell.batch_size, seed=recipe.seed))
    teacher = build(cell.network, facts) if taught is not None else None
    tried = replace(recipe, epochs=1, warmup=0.0, swa=0, patience=None, keep="last", accumulate=1, devices=1, log=None)
    run = partial(train, network, recipe=tried, teacher=teacher, modality=facts.modality)
    times, counts = [], []
    for some in (batches[:1], batches[:1], batches):  # the first also starts up; what one run costs falls out
        with _counted(network) as passes:
            times.append(_timed(partial(run, loader=some)))
        counts.append(passes)
    more = len(batches) - 1
    each = max(times[2] - times[1], 0.0) / more if more else times[1]
    steps = -(-len(x) // cell.batch_size)
    gained = [(last - first) / more if more else last for first, last in zip(counts[1], counts[2], strict=True)]
    forwards, backwards = (round(count * recipe.epochs) for count in gained)
    seconds = max(times[0] - each, 0.0) + max(times[1] - each, 0.0) * (recipe.epochs - 1) + each * steps * recipe.epochs
    what = f"{cell.defense}: {recipe.epochs} epochs of {steps} batches"
    return [*before, Cost(what, len(x), 0, forwards, backwards, seconds), *_of_validation(cell, recipe, network, facts)]


def _of_validation(cell: Cell, recipe: Recipe, network: nn.Module, facts: About) -> list[Cost]:
    """The accuracies that are noted after every epoch: a clean one, and one under PGD where it chooses the epoch."""
    x, y = cell.split("validation")
    drawn: dict[str, int] = {"seed": recipe.seed, "epoch": 0}
    first, labels = x[:PROBED_EXAMPLES], y[:PROBED_EXAMPLES]
    clean = _timed(lambda: accuracy(network, first, labels, **drawn)) * len(x) / len(first)
    found = [Cost("validation", len(x), 0, recipe.epochs, 0, clean * recipe.epochs)]
    budget = recipe.budget
    if budget is None or not recipe.selects:
        return found
    examples, steps = min(recipe.validation_examples, len(x)), recipe.validation_steps
    few = min(examples, PROBED_EXAMPLES)
    attacked = _timed(
        lambda: robust_accuracy(
            network, x, y, budget=budget, steps=steps, examples=few, modality=facts.modality, **drawn
        )
    )
    seconds = attacked * examples / few * recipe.epochs
    passes = (recipe.epochs * (steps + 1), recipe.epochs * steps)
    return [*found, Cost(f"validation under PGD, {steps} steps", examples, 0, *passes, seconds)]


@contextmanager
def _counted(network: nn.Module) -> Iterator[list[int]]:
    """How often a network is passed, forward and back, meanwhile."""
    counts = [0, 0]

    def back(_: Tensor) -> None:
        counts[1] += 1

    def forward(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
        counts[0] += 1
        if isinstance(outputs, Tensor) and outputs.requires_grad:
            outputs.register_hook(back)  # type: ignore[no-untyped-call]

    hook = network.register_forward_hook(forward)
    try:
        yield counts
    finally:
        hook.remove()


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def of_evaluation(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    budget: str,
    draws: int | str,
    verdict_draws: int,
    batch_size: int,
    attacks: Sequence[str | Mapping[str, Any]] = (),
    suite: str | None = None,
    doubts: bool = False,
    modality: str | Modality = "image",
    source: Mapping[str, nn.Module] | None = None,
) -> list[Cost]:
    """Every attack of an evaluation, the arguments as ``variate.evaluate`` has them; the real network is not attacked.

    Args:
        network: the real one, of which a few passes are timed.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size.
        draws: that an attack averages over; ``auto`` is counted as 20.
        verdict_draws: of the verdict.
        batch_size: examples at a time.
        attacks: names, or mappings with options.
        suite: beside the attacks.
        doubts: whether what the red flags need is measured too.
        modality: of the inputs.
        source: networks to transfer from; passes of what a transfer holds are not counted.
    """
    kept, number = modality_of(modality), AUTO if draws == "auto" else int(draws)
    felt = kept.smooth(x[:batch_size], network)
    forward, both = _seconds(network, felt, y[:batch_size])
    records = Records(None)
    random = kind_of(network, felt[:2].to(next(network.parameters(), x).device)) != "deterministic"
    stub = network if felt.shape != x[:batch_size].shape else _still(x, y, Budget.parse(budget), random=random)
    common: dict[str, Any] = {"budget": budget, "draws": number, "verdict_draws": 2, "records": records, "name": "stub"}
    common["source"] = dict(source or {})
    few, labels = x[:1], torch.zeros_like(y[:1])
    evaluate(stub, few, labels, attacks=attacks, suite=suite, deployments=["single"], modality=kept, **common)
    if doubts:
        doubt(stub, few, labels, modality=kept, **common)
    found = []
    for claim in records.claims.values():
        line = next(iter(records.examples[claim.id].values()))
        examples = min(len(x), EXAMPLES) if claim.part == DOUBTS else len(x)
        batches = -(-examples // batch_size)
        judging = verdict_draws if random else 1
        passes = (line.forwards - line.backwards + judging) * forward + line.backwards * both
        what = claim.attack if claim.attack == CLEAN else f"{claim.attack}, {claim.draws} draws, {claim.budget}"
        found.append(Cost(what, examples, line.points, line.forwards, line.backwards, passes * batches))
    return found


class _Still(nn.Module):
    """Answers 0 near a center and 1 beyond an edge; its logits move a little everywhere, so that there is a gradient.

    Args:
        classes: how many.
        center: one input, shape (1, ...).
        edge: the mean change of a value at which the answer changes; None for an answer that no input changes.
    """

    def __init__(self, classes: int, center: Tensor, edge: float | None) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.ones(classes))
        self.center, self.edge = center, edge

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        tilted = 0.01 * x.flatten(1).mean(1, keepdim=True) * torch.linspace(0, 1, len(self.level), device=x.device)
        one = torch.eye(len(self.level), device=x.device)
        logits = GAP * one[0] + tilted * self.level  # (B, K)
        if self.edge is None:
            return logits
        away = (x - self.center.to(x)).abs().flatten(1).mean(1, keepdim=True)  # (B, 1)
        return logits + GAP * away / self.edge * one[1]


def _still(x: Tensor, y: Tensor, budget: Budget, *, random: bool) -> nn.Module:
    """A network for counting: the edge lies between twice the budget, which doubts take, and an input of noise."""
    values = x[:1].numel()
    reach = {"linf": 1.0, "l2": values**-0.5, "l1": 1 / values, "l0": 1 / values}.get(budget.norm, torch.inf)
    near, noise = 2 * reach * budget.eps, torch.rand(x[:1].shape, generator=torch.Generator().manual_seed(0))
    far = 0.8 * float((noise.to(x.device) - x[:1]).abs().mean()) if x.is_floating_point() else 0.0
    network = _Still(max(int(y.max()) + 1, 2), x[:1], (near + far) / 2 if near < far else None)
    return randomize(network, scale=0.1) if random else network


def of_study(study: Study, places: Sequence[Place]) -> list[Cost]:
    """The networks of a study, each trained and attacked once within all budgets; seeds cost alike, one is timed.

    Twins, doubts and curves are counted as one more evaluation of each random network.
    """
    known: dict[tuple[str, str, str], Cost] = {}
    found = []
    for place in places:
        cell = place.cell
        kind = (cell.data, cell.network, place.group or place.name)
        if kind not in known:
            known[kind] = _of_place(study, place)
        found.append(replace(known[kind], what=place.name))
    return found


def _of_place(study: Study, place: Place) -> Cost:
    """One network: what its attacks ask, for each example that is attacked, and the seconds of all."""
    cell, plan = place.cell, study.evaluation
    facts = about(cell.data, folder=cell.data_folder)
    network, _ = made(cell, facts)
    x, y = (part[: plan.examples] for part in cell.split(plan.split))
    common: dict[str, Any] = {
        "draws": plan.draws, "verdict_draws": plan.verdict_draws, "batch_size": plan.batch_size, "suite": plan.suite,
        "modality": facts.modality, "doubts": plan.doubts,
    }  # fmt: skip
    costs: list[Cost] = []
    for budget in place.budgets:
        fitting = [attack for attack in plan.attacks if fits(attack, budget, cell.data)]
        attacked = of_evaluation(network.eval(), x, y, budget=budget, attacks=fitting, **common)
        costs += attacked * (2 if isinstance(network, RandomNetwork) else 1)
    queries, forwards, backwards = (
        sum(getattr(cost, name) for cost in costs) for name in ("queries", "forwards", "backwards")
    )
    seconds = sum(cost.seconds for cost in [*of_training(cell), *costs])
    return Cost(place.name, len(x), queries, forwards, backwards, seconds)


def _seconds(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """The seconds of a forward pass of a batch under one draw, and of one with its input gradient."""
    device = next(network.parameters(), x).device
    x, y = x.to(device), y.long().to(device)
    oracle = GradientOracle(network, stream=Stream("search", 0), examples=len(x), kind=kind_of(network, x[:2]))
    with left_as_found(network):
        forward, both = (
            min(_timed(ask) for _ in range(TIMED))
            for ask in (partial(oracle.scores, x), partial(oracle.gradient, x, y))
        )
    return forward, both
