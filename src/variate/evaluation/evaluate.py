"""Evaluate a network: attack it through an oracle, judge what comes out on fresh draws, keep every answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.evaluation.batch import answers
from variate.evaluation.claims import check_part, claim_of, convergence_of, device_of, judged, look_at
from variate.evaluation.convergence import EXAMPLES, converge
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.judge import check_draws
from variate.evaluation.plan import ENSEMBLE, MEAN, Plan, Target, bounds
from variate.evaluation.suites import Suite, suite_of
from variate.fields import check_limits, overridden, takes_options
from variate.hashing import fingerprint
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, check_kind, modality_of
from variate.inputs.validation import check_classes, check_inputs
from variate.progress import Report, progress
from variate.random.network import RandomNetwork
from variate.random.seeding import left_as_found
from variate.records.file import Records
from variate.records.rows import CLEAN, Result, result_of
from variate.records.schema import Claim, Part
from variate.statistics.rates import Deployment

PILOTS = ("apgd-ce", "fmn", "hotflip")  # the first of them that fits tells how many draws are enough


@dataclass(frozen=True)
class _Batches:
    """Which examples this process takes, how many at a time, until when."""

    size: int
    shard: tuple[int, int]
    deadline: float

    def mine(self, total: int) -> list[int]:
        number, count = self.shard
        return [i for i in range(total) if i // self.size % count == number]

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline


@takes_options(Evaluation)
def evaluate(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    evaluation: Evaluation = Evaluation(),
    source: nn.Module | Mapping[str, nn.Module] | None = None,
    modality: str | Modality = "image",
    records: Records | str | Path | None = None,
    name: str = "network",
    part: Part = "table",
    twin_of: str | None = None,
    group: str | None = None,
    pictures: bool = False,
    shard: tuple[int, int] = (0, 1),
    show_progress: bool = False,
    **overrides: Any,
) -> Result:
    """How often a network is right, without attack and under each attack, for each way to deploy it.

    Args:
        network: any module from inputs to logits, in the mode it will be used in. A ``RandomNetwork`` is judged over
            its draws, a module that draws from torch's global generator over that generator.
        x: inputs in [0, 1], shape (B, ...).
        y: integer labels, shape (B,).
        evaluation: all options of the evaluation; one of them must be given, the budget.
        source: networks to transfer from, by name: a deterministic twin, a copy that was trained independently. Without
            any, the mean network of a random one, and the network itself otherwise.
        modality: what the inputs are, by name, or as ``variate.about(data).modality`` has it: what of them may be
            changed, and in which unit a budget counts.
        records: where every answer is kept: a path or ``Records``. What is there already and would come out the same is
            not computed again (see ``variate.random.identity``): the source code is not read, so a network whose code
            has changed needs a new file.
        name: the network's name in reports; it does not tell networks apart.
        part: the part of a report that the claims belong to.
        twin_of: the fingerprint of the random network whose mean or frozen draw this is (``variate.random.identity``).
        group: a name that networks share which differ in their training seed alone.
        pictures: whether to keep a few adversarial inputs for the report.
        shard: (number, count): this process takes every count-th batch, beginning with its number.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Evaluation`` by name, instead of those of ``evaluation``: ``budget="linf:8/255"``,
            ``attacks=["fgsm", {"name": "pgd", "steps": 100, "draws": 1}]``, ``draws=50``.

    Returns:
        A ``Result``; the first rows are those of the clean inputs.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for an unknown name or impossible option.
        AttackError: for an attack that leaves its budget.
    """
    asked = overridden(evaluation, overrides, evaluate)
    attacks, suite, target, deployments = asked.attacks, asked.suite, asked.target, asked.deployments
    draws, verdict_draws, seed, time_limit = asked.draws, asked.verdict_draws, asked.seed, asked.time_limit
    parsed = budget_of(asked)
    ways = [Deployment.parse(text) for text in deployments]
    check_draws(ways, verdict_draws)
    check_limits(asked)
    check_inputs(x, y)
    kept = modality_of(modality)
    kept.check(parsed)
    check_kind(kept, x)
    _planned(attacks, suite, parsed, 1 if draws == "auto" else draws, [], target, kept)  # mistakes come before any work
    check_part(part)
    inputs, x = fingerprint([x, y]), kept.prepared(x, parsed, network)
    look = look_at(network, x)
    check_classes(y, look.classes)
    facts = judged(look, inputs, kept, name=name, seed=seed, batch_size=asked.batch_size, memory=asked.memory)
    store = records if isinstance(records, Records) else Records(records)
    sources = {"source": source} if isinstance(source, nn.Module) else dict(source or {})
    aim = Target(network, look.kind, seed, name, sources, pictures, asked.memory, kept)
    batches = _Batches(asked.batch_size, shard, time.monotonic() + (float("inf") if time_limit is None else time_limit))
    with left_as_found(network):
        number = _enough(aim, parsed, x, y, facts, store, show_progress) if draws == "auto" else draws
        plans = _planned(attacks, suite, parsed, number, _transfers(aim), target, kept)
        facts |= {"verdict_draws": verdict_draws, "part": part, "twin_of": twin_of, "group": group}
        claims = [claim_of(facts, aim, plan, parsed, ways) for plan in plans]
        for plan, claim in zip(plans, claims, strict=True):
            if not batches.late:
                store.add([claim])
                _run(aim, plan, claim, x, y, store, batches, show_progress)
    return result_of(store, claims)


def budget_of(evaluation: Evaluation) -> Budget:
    """The budget, which must be given. Raises ``UsageError``."""
    if evaluation.budget is None:
        raise UsageError("an evaluation needs a budget", todo="pass budget='linf:8/255', for example")
    return Budget.parse(evaluation.budget)


def _planned(
    attacks: Sequence[str | Mapping[str, Any]],
    suite: str | None,
    budget: Budget,
    draws: int,
    transfers: Sequence[str],
    target: str | None,
    modality: Modality,
) -> list[Plan | Suite]:
    """No attack, the attacks, and the suite."""
    plans = [Plan.of(wanted, draws) for wanted in (CLEAN, *attacks)]
    for plan in plans:
        plan.check_fit(budget, modality)
    if suite is None:
        if target is not None:
            raise UsageError("a target needs a suite", todo="give each attack an option target of its own")
        return [*plans]
    return [*plans, suite_of(suite, budget, draws=draws, transfers=transfers, target=target, modality=modality)]


def _run(
    target: Target,
    plan: Plan | Suite,
    claim: Claim,
    x: Tensor,
    y: Tensor,
    store: Records,
    batches: _Batches,
    show: bool,
) -> None:
    """Attack and judge the examples that the records do not hold yet, batch by batch."""
    mine = batches.mine(len(x))
    todo = [i for i in mine if i not in store.examples.get(claim.id, {})]
    attacks = len(plan.plans) if isinstance(plan, Suite) else 1
    device = device_of(target.network, x)
    title, done = f"{target.name}: {claim.attack}", len(mine) - len(todo)
    with progress(title, len(mine) * attacks, "examples", already=done * attacks, show=show) as report:
        for start in range(0, len(todo), batches.size):
            if batches.late:
                return
            chosen = todo[start : start + batches.size]
            index = torch.tensor(chosen, device=x.device)
            told = _Told(report, done * attacks, len(chosen))
            store.add(answers(target, plan, claim, chosen, x[index].to(device), y[index].long().to(device), told))
            done += len(chosen)
            report(done * attacks)


class _Told:
    """Says, before each attack of a suite on one batch, how far the whole is."""

    def __init__(self, report: Report, done: int, size: int) -> None:
        self._report, self._done, self._size = report, done, size

    def __call__(self, attack: str, examples: int, passes: int) -> None:
        self._report(self._done, f"{attack}, {examples} not broken, {passes:,} passes")
        self._done += self._size


def _enough(
    target: Target, budget: Budget, x: Tensor, y: Tensor, facts: Mapping[str, Any], store: Records, show: bool
) -> int:
    """The number of draws from which on more of them change nothing, by what the records say or a pilot."""
    if target.kind == "deterministic":
        return 1
    pilot = next((Plan.of(name, 1) for name in PILOTS if bounds(name, budget, target.modality)), None)
    if pilot is None:
        raise UsageError(f"no attack finds out how many draws are enough at {budget}", todo="say --draws 20")
    asked = convergence_of(facts, pilot, budget, min(len(x), EXAMPLES))
    known = [line for line in store.convergences if line.id == asked.id]
    if not known:
        device = device_of(target.network, x)
        with progress(f"{target.name}: how many draws", 1, "pilots", show=show) as report:
            few, labels = x[:EXAMPLES].to(device), y[:EXAMPLES].long().to(device)
            known = [converge(target, pilot, budget, few, labels, asked, lambda draws: report(0, f"{draws} draws"))]
        store.add(known)
    return known[0].chosen


def _transfers(target: Target) -> list[str]:
    """What transfer attacks can hold: the mean network, every source, all together."""
    held = [MEAN] if isinstance(target.network, RandomNetwork) else []
    held += [*target.sources]
    return held + [ENSEMBLE] * (len(held) > 1)
