"""What a training or an evaluation will cost, before it is begun: its steps and passes, counted, and about how long.

Passes are counted by running the same attacks on one example of a network whose answer no input changes: nothing ends
early there, so they are about the most that can be asked. Seconds are those of a few real passes on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from variate.checkpoint import build
from variate.datasets._batches import Batches
from variate.defended import defended, teacher_of
from variate.doubts import doubt
from variate.drawing.keyed import kind_of, left_as_found
from variate.evaluation import evaluate
from variate.facts import about
from variate.modality import Modality, modality_of
from variate.network import RandomNetwork
from variate.oracle import GradientOracle
from variate.randomization import randomize
from variate.randomness import Stream
from variate.record import Records
from variate.study.cell import Cell
from variate.study.file import Study
from variate.study.grid import Place, fits
from variate.training.loop import train
from variate.verdicts.evidence import DOUBTS
from variate.verdicts.result import CLEAN

AUTO = 20  # draws, where they are found out on the way
PROBED = 3  # batches of training
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
    """The epochs of a training run, and of its teacher if it has one; a few batches are trained and thrown away."""
    taught = teacher_of(cell.defense) if cell.objective is None else None
    before = of_training(replace(cell, defense="deterministic", objective=taught)) if taught is not None else []
    facts = about(cell.data, folder=cell.data_folder)
    network, objective = defended(cell.defense, build(cell.network, facts))
    x, y = (part[: cell.train_examples] for part in cell.split("train"))
    batches = list(Batches(x[: (PROBED + 1) * cell.batch_size], y, batch_size=cell.batch_size, seed=cell.seed))
    teacher = build(cell.network, facts) if taught is not None else None
    run: dict[str, Any] = {
        "objective": cell.objective or objective, "epochs": 1, "lr": cell.lr, "teacher": teacher,
        "budget": cell.budget or facts.budget, "attack_steps": cell.attack_steps, "modality": facts.modality,
        "optimizer": cell.optimizer, "accelerator": cell.accelerator, "precision": cell.precision,
    }  # fmt: skip
    times = []
    for some in (batches[:1], batches[:1], batches):  # the first time warms up; what one run costs falls out
        started = time.perf_counter()
        train(network, some, **run)
        times.append(time.perf_counter() - started)
    each = max(times[2] - times[1], 0.0) / (len(batches) - 1) if len(batches) > 1 else times[1]
    steps = -(-len(x) // cell.batch_size)
    what = f"{cell.defense}: {cell.epochs} epochs of {steps} batches"
    return [*before, Cost(what, len(x), 0, 0, 0, each * steps * cell.epochs)]


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
    """
    kept, number = modality_of(modality), AUTO if draws == "auto" else int(draws)
    felt = kept.smooth(x[:batch_size], network)
    forward, both = _seconds(network, felt, y[:batch_size])
    records = Records(None)
    random = kind_of(network, felt[:2].to(next(network.parameters(), x).device)) != "deterministic"
    stub = network if felt.shape != x[:batch_size].shape else _unmoved(int(y.max()) + 1, random=random)
    common: dict[str, Any] = {"budget": budget, "draws": number, "verdict_draws": 2, "records": records, "name": "stub"}
    few, labels = x[:1], torch.zeros_like(y[:1])
    evaluate(stub, few, labels, attacks=attacks, suite=suite, deployments=["single"], modality=kept, **common)
    if doubts:
        doubt(stub, few, labels, modality=kept, **common)
    found = []
    for claim in records.claims.values():
        line = next(iter(records.examples[claim.id].values()))
        examples = min(len(x), 64) if claim.part == DOUBTS else len(x)
        batches = -(-examples // batch_size)
        judging = verdict_draws if random else 1
        passes = (line.forwards - line.backwards + judging) * forward + line.backwards * both
        what = claim.attack if claim.attack == CLEAN else f"{claim.attack}, {claim.draws} draws, {claim.budget}"
        found.append(Cost(what, examples, line.points, line.forwards, line.backwards, passes * batches))
    return found


class _Unmoved(nn.Module):
    """Answers 0 whatever it is asked; its logits move a little with the input, so that there is a gradient."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.ones(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        tilted = 0.01 * x.flatten(1).mean(1, keepdim=True) * torch.linspace(0, 1, len(self.level), device=x.device)
        return GAP * torch.eye(len(self.level), device=x.device)[0] + tilted * self.level  # (B, K)


def _unmoved(classes: int, *, random: bool) -> nn.Module:
    network = _Unmoved(max(classes, 2))
    return randomize(network, scale=0.1) if random else network


def of_study(study: Study, places: Sequence[Place]) -> list[Cost]:
    """The networks of a study, each trained and attacked once within all budgets; seeds cost alike, one is timed.

    Twins, doubts and curves are counted as one more evaluation of each random network.
    """
    known: dict[tuple[str, str, str], float] = {}
    found = []
    for place in places:
        cell = place.cell
        kind = (cell.data, cell.network, place.name.replace(f"seed {cell.seed}", ""))
        if kind not in known:
            known[kind] = _of_place(study, place)
        found.append(Cost(place.name, study.evaluation.examples or 0, 0, 0, 0, known[kind]))
    return found


def _of_place(study: Study, place: Place) -> float:
    """Seconds of one network."""
    cell, plan = place.cell, study.evaluation
    facts = about(cell.data, folder=cell.data_folder)
    network, _ = defended(cell.defense, build(cell.network, facts))
    x, y = (part[: plan.examples] for part in cell.split(plan.split))
    common: dict[str, Any] = {
        "draws": plan.draws, "verdict_draws": plan.verdict_draws, "batch_size": plan.batch_size, "suite": plan.suite,
        "modality": facts.modality, "doubts": plan.doubts,
    }  # fmt: skip
    costs = of_training(cell)
    for budget in place.budgets:
        fitting = [attack for attack in plan.attacks if fits(attack, budget, cell.data)]
        attacked = of_evaluation(network.eval(), x, y, budget=budget, attacks=fitting, **common)
        costs += attacked * (2 if isinstance(network, RandomNetwork) else 1)
    return sum(cost.seconds for cost in costs)


def _seconds(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """The seconds of a forward pass of a batch under one draw, and of one with its input gradient."""
    device = next(network.parameters(), x).device
    x, y = x.to(device), y.long().to(device)
    oracle = GradientOracle(network, stream=Stream("search", 0), examples=len(x), kind=kind_of(network, x[:2]))
    found = []
    with left_as_found(network):
        for ask in (oracle.scores, lambda inputs: oracle.gradient(inputs, y)):
            times = []
            for _ in range(3):
                started = time.perf_counter()
                ask(x)
                times.append(time.perf_counter() - started)
            found.append(min(times))
    return found[0], found[1]
