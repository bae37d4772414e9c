"""Evaluate a network: attack it through an oracle, judge what comes out on fresh draws, keep every answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError
from variate.evaluation.batch import answers
from variate.evaluation.convergence import converge
from variate.evaluation.judge import check_draws
from variate.evaluation.plan import ENSEMBLE, MEAN, Plan, Target, bounds
from variate.evaluation.suites import Suite, suite_of
from variate.hashing import fingerprint
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, check_kind, modality_of
from variate.inputs.validation import check_classes, check_inputs, checked_logits
from variate.progress import Report, progress
from variate.random.network import RandomNetwork
from variate.random.seeding import Kind, identity, kind_of, left_as_found
from variate.records.file import Records
from variate.records.rows import CLEAN, Result, result_of
from variate.records.schema import Claim
from variate.statistics.rates import Deployment

DEPLOYMENTS = ("single", "mean-16", "majority-16", "survive-10")
PILOTS = ("apgd-ce", "fmn", "hotflip")  # the first of them that fits tells how many draws are enough
Draws = int | Literal["auto"]


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


def evaluate(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    budget: str | Budget,
    attacks: Sequence[str | Mapping[str, Any]] = ("pgd",),
    suite: str | None = None,
    target: str | None = None,
    draws: Draws = 20,
    deployments: Sequence[str] = DEPLOYMENTS,
    verdict_draws: int = 160,
    modality: str | Modality = "image",
    seed: int = 0,
    batch_size: int = 256,
    source: nn.Module | Mapping[str, nn.Module] | None = None,
    memory: int | None = None,
    records: Records | str | Path | None = None,
    name: str = "network",
    part: str = "table",
    pictures: bool = False,
    time_limit: float | None = None,
    shard: tuple[int, int] = (0, 1),
    show_progress: bool = False,
) -> Result:
    """How often a network is right, without attack and under each attack, for each way to deploy it.

    Args:
        network: any module from inputs to logits, in the mode it will be used in. A ``RandomNetwork`` is judged over
            its draws, a module that draws from torch's global generator over that generator.
        x: inputs in [0, 1], shape (B, ...).
        y: integer labels, shape (B,).
        budget: such as ``linf:8/255`` or ``l2:0.5``.
        attacks: names, or mappings with options: ``{"name": "pgd", "steps": 100, "draws": 1}``.
        suite: ``quick``, ``standard`` or ``full``, beside the attacks: its attacks run one after another on what is
            not broken yet, and the worst input of each example is judged (see ``variate.evaluation.cascade``).
        target: what the suite aims at: ``next``, ``random``, ``least-likely`` or a label. An attack of its own aims by
            its option ``target``. Under an aimed attack every answer but the target counts as right.
        draws: how many draws each query of an attack averages over; ``auto`` raises them on the first examples until
            the accuracy is flat (see ``variate.evaluation.convergence``).
        deployments: ``single``, ``mean-S``, ``majority-S``, ``survive-N``.
        verdict_draws: fresh draws of the verdict, which no attack has seen.
        modality: what the inputs are, by name, or as ``variate.about(data).modality`` has it: what of them may be
            changed, and in which unit a budget counts.
        seed: of the search and verdict streams; the same seed gives the same records.
        batch_size: examples at a time; the answers do not depend on it.
        source: networks to transfer from, by name: a deterministic twin, a copy that was trained independently. Without
            any, the mean network of a random one, and the network itself otherwise.
        memory: the most bytes that an attack's inputs and draws may take at once in the network.
        records: where every answer is kept: a path or ``Records``. What is there already for the same tensors, mode,
            inputs and attack is not computed again, so a network whose code has changed needs a new file.
        name: the network's name in the records.
        part: the part of a report that the claims belong to.
        pictures: whether to keep a few adversarial inputs for the report.
        time_limit: seconds after which no further batch is begun; the same call goes on from there.
        shard: (number, count): this process takes every count-th batch, beginning with its number.
        show_progress: show a progress bar on standard error.

    Returns:
        A ``Result``; the first rows are those of the clean inputs.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for an unknown name or impossible option.
        AttackError: for an attack that leaves its budget.
    """
    parsed = Budget.parse(budget)
    ways = [Deployment.parse(text) for text in deployments]
    check_draws(ways, verdict_draws)
    check_inputs(x, y)
    kept = modality_of(modality)
    kept.check(parsed)
    check_kind(kept, x)
    _planned(attacks, suite, parsed, 1 if draws == "auto" else draws, [], target, kept)  # mistakes come before any work
    inputs, x = fingerprint([x, y]), kept.prepared(x, parsed, network)
    kind = _checked_kind(network, x, y)
    store = records if isinstance(records, Records) else Records(records)
    sources = {"source": source} if isinstance(source, nn.Module) else dict(source or {})
    aim = Target(network, kind, seed, identity(network), name, sources, pictures, memory, kept)
    batches = _Batches(batch_size, shard, time.monotonic() + (float("inf") if time_limit is None else time_limit))
    with left_as_found(network):
        number = _enough(aim, parsed, x, y, inputs, store, show_progress) if draws == "auto" else draws
        plans = _planned(attacks, suite, parsed, number, _transfers(aim), target, kept)
        claims = [_claim(aim, plan, parsed, inputs, ways, verdict_draws, part) for plan in plans]
        for plan, claim in zip(plans, claims, strict=True):
            if not batches.late:
                store.add([claim])
                _run(aim, plan, claim, x, y, store, batches, show_progress)
    return result_of(store, claims)


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
    device = _device(target.network, x)
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


def _enough(target: Target, budget: Budget, x: Tensor, y: Tensor, inputs: str, store: Records, show: bool) -> int:
    """The number of draws from which on more of them change nothing, by what the records say or a pilot."""
    if target.kind == "deterministic":
        return 1
    pilot = next((Plan.of(name, 1) for name in PILOTS if bounds(name, budget, target.modality)), None)
    if pilot is None:
        raise UsageError(f"no attack finds out how many draws are enough at {budget}", todo="say --draws 20")
    asked = (target.fingerprint, inputs, pilot.attack, budget.text, target.seed)
    known = [c for c in store.convergences if (c.fingerprint, c.inputs, c.attack, c.budget, c.seed) == asked]
    if not known:
        device = _device(target.network, x)
        with progress(f"{target.name}: how many draws", 1, "pilots", show=show) as report:
            few, labels = x[:256].to(device), y[:256].long().to(device)
            known = [converge(target, pilot, budget, few, labels, inputs, lambda draws: report(0, f"{draws} draws"))]
        store.add(known)
    return known[0].chosen


def _transfers(target: Target) -> list[str]:
    """What transfer attacks can hold: the mean network, every source, all together."""
    held = [MEAN] if isinstance(target.network, RandomNetwork) else []
    held += [*target.sources]
    return held + [ENSEMBLE] * (len(held) > 1)


def _checked_kind(network: nn.Module, x: Tensor, y: Tensor) -> Kind:
    """The network's kind of randomness, after one look at what it returns for two examples."""
    few = x[:2].to(_device(network, x))
    parameter = next(network.parameters(), few)
    if parameter.dtype != few.dtype:
        raise InputError(
            f"x is {few.dtype}, and the network's parameters are {parameter.dtype}",
            todo=f"pass x.to({parameter.dtype})",
        )
    with torch.no_grad(), left_as_found(network):
        try:
            outputs = network(few)
        except RuntimeError as error:
            raise InputError(f"the network cannot take inputs of shape {tuple(few.shape)}: {error}") from error
    check_classes(y, checked_logits(outputs, few).shape[1])
    return kind_of(network, few)


def _device(network: nn.Module, x: Tensor) -> torch.device:
    """Where the network is; the inputs are brought there batch by batch."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), x.device)


def _claim(
    target: Target,
    plan: Plan | Suite,
    budget: Budget,
    inputs: str,
    ways: Sequence[Deployment],
    verdict_draws: int,
    part: str,
) -> Claim:
    random = target.kind != "deterministic"
    options = plan.choices()
    if isinstance(plan, Suite) and target.sources:
        options["sources"] = {name: fingerprint(held.state_dict()) for name, held in target.sources.items()}
    elif isinstance(plan, Plan) and plan.holds and target.sources:
        held = target.held(plan.source)
        options["source"] = f"{plan.source or 'all'} {fingerprint(held.state_dict())}"
    return Claim(
        network=target.name,
        fingerprint=target.fingerprint,
        inputs=inputs,
        attack=plan.attack,
        options=options,
        budget=None if plan.attack == CLEAN else budget.text,
        draws=plan.draws if random else min(plan.draws, 1),
        verdict_draws=verdict_draws if random else 1,
        deployments=[str(way) for way in ways],
        seed=target.seed,
        part=part,
    )
