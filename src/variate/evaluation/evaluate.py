"""Evaluate a network: attack it through an oracle, judge the perturbed inputs on fresh draws, keep every answer."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import BatchWarning, GradientError, UsageError
from variate.evaluation.batch import answers
from variate.evaluation.claims import check_part, claim_of, convergence_of, judged, look_at
from variate.evaluation.convergence import EXAMPLES, converge
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.fitting import bounds
from variate.evaluation.judge import check_draws
from variate.evaluation.kept_inputs import keeping
from variate.evaluation.measuring import Outputs, check_metrics, lacking, measure_claim
from variate.evaluation.plan import Plan
from variate.evaluation.population import population_bound
from variate.evaluation.probes import check_mode, device_of
from variate.evaluation.stateful import facing
from variate.evaluation.suites import Suite, suite_of
from variate.evaluation.target import ENSEMBLE, MEAN, Target
from variate.fields import check_limits, overridden, takes_options
from variate.flags.raise_flags import raised
from variate.hashing import fingerprint
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, check_kind, modality_of
from variate.inputs.validation import check_inputs, check_module, precise
from variate.progress import Report, progress
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.claim import Claim, Part
from variate.records.file import Records
from variate.records.rows import CLEAN, Result, result_of
from variate.statistics.rates import Deployment
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task, task_of

CALLER = 4  # frames from the caller of ``evaluate``, past its decorators
PILOTS = ("apgd-ce", "fmn", "hotflip")  # the first that fits is used to find how many draws are enough
NO_PILOT = 20  # draws where there is no gradient to try numbers of draws with


def check_shard(shard: tuple[int, int]) -> None:
    """Raise ``UsageError`` unless a shard is (index, count) with an index below the count."""
    whole = isinstance(shard, tuple) and all(isinstance(n, int) and not isinstance(n, bool) for n in shard)
    if not whole or len(shard) != 2 or not 0 <= shard[0] < shard[1]:
        raise UsageError(f"shard is {shard!r}", expected="(index, count), with an index from 0 to count - 1")


@dataclass(frozen=True)
class _Batches:
    """The examples of this process, its batch size and its deadline."""

    size: int
    shard: tuple[int, int]
    deadline: float

    def mine(self, total: int) -> list[int]:
        index, count = self.shard
        return [i for i in range(total) if i // self.size % count == index]

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline


@takes_options(Evaluation)
@torch.inference_mode(False)
@torch.enable_grad()
def evaluate(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    evaluation: Evaluation = Evaluation(),
    source: nn.Module | Mapping[str, nn.Module] | None = None,
    modality: str | Modality = "image",
    task: str | Task = CLASSES,
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
    """Measure how often a network is right, on clean inputs and under each attack, for each way to deploy it.

    Args:
        network: any module from inputs to answers of the task, in the mode it will be used in. A ``RandomNetwork`` is
            judged over its draws, a module that draws from torch's global generator over that generator.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,) for classes.
        evaluation: all options of the evaluation; only the budget is required.
        source: networks to transfer from, by name, such as a deterministic twin or a copy trained independently. By
            default the mean network of a random network, and otherwise the network itself.
        modality: modality of the inputs, by name or as ``variate.about(data).modality``: which values may be changed,
            and the unit of the budget.
        task: what answers mean and how they are scored, as ``variate.about(data).task``: ``classes``, ``binary``,
            ``labels``, ``positions``, ``regression(tolerance=0.5)``, ... (``variate list tasks``).
        records: a path or ``Records`` that keeps every answer. Answers that are there already and would come out the
            same are not computed again. A network is recognized by its tensors, modes and settings
            (``variate.random.identity``) and by what it answers to the first inputs, so that changed code counts.
        name: name of the network in reports; it need not be unique.
        part: part of a report that the claims belong to.
        twin_of: fingerprint of the random network whose mean or frozen draw this is, from its claims.
        group: name shared by networks that differ only in their training seed.
        pictures: whether to keep a few adversarial inputs for the report.
        shard: (index, count): this process takes every ``count``-th batch, starting at ``index``.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Evaluation`` by name, which replace those of ``evaluation``: ``budget="linf:8/255"``,
            ``attacks=["fgsm", {"name": "pgd", "steps": 100, "draws": 1}]``, ``draws=50``.

    Returns:
        A ``Result`` whose first rows are those of the clean inputs.

    Raises:
        InputError: for inputs or labels that cannot be judged, and for batch norm left in train mode.
        UsageError: for an unknown name or an impossible option.
        AttackError: for an attack that leaves its budget.
        RecordError: if the records cannot be written, or another process writes to the same file.
    """
    settings = overridden(evaluation, overrides, evaluate)
    suite, goal, time_limit = settings.suite, settings.target, settings.time_limit
    draws, verdict_draws, seed = settings.draws, settings.verdict_draws, settings.seed
    budget, attacks = budget_of(settings), facing(settings.attacks, settings.detector)
    check_module(network)
    check_shard(shard)
    if isinstance(settings.deployments, str) or not settings.deployments:
        raise UsageError(
            f"deployments is {settings.deployments!r}", expected="a list of single, mean-S, majority-S and survive-N"
        )
    deployments = [Deployment.parse(text) for text in settings.deployments]
    check_limits(settings)
    check_draws(deployments, verdict_draws)
    kind = task_of(task)
    check_inputs(x, y, kind.label_findings)
    input_kind = modality_of(modality)
    input_kind.check(budget)
    check_kind(input_kind, x)
    check_metrics(settings.metrics, kind)
    _plans(
        attacks, suite, budget, 1 if draws == "auto" else draws, [], goal, input_kind, deployments, kind
    )  # before any work
    check_part(part)
    sources = {"source": source} if isinstance(source, nn.Module) else dict(source or {})
    network, sources = kind.answers(network), {name: kind.answers(held) for name, held in sources.items()}
    store = records if isinstance(records, Records) else Records(records)
    size, memory = settings.batch_size, settings.memory
    batches = _Batches(size, shard, time.monotonic() + (float("inf") if time_limit is None else time_limit))
    with generators_as_found(), left_as_found(network, *sources.values()), store.held():
        inputs, x, y = fingerprint([x, y]), input_kind.prepared(precise(x.detach()), budget, network), kind.typed(y)
        look = look_at(network, x)
        kind.check(look.width, y)
        check_mode(network, look.kind)
        if look.coupled is not None and part == "table":
            warnings.warn(f"answers depend on the batch: {look.coupled}", BatchWarning, stacklevel=CALLER)
        facts = judged(look, inputs, input_kind, kind, name=name, seed=seed, batch_size=size, memory=memory)
        target = Target(network, look.kind, seed, name, sources, pictures, memory, input_kind, kind)
        if draws == "auto":
            draws = _draws_needed(target, budget, x, y, facts, store, show_progress)
        uses = deployments if look.kind != "deterministic" else []
        plans = _plans(attacks, suite, budget, draws, _transfer_sources(target), goal, input_kind, uses, kind)
        target = replace(target, kept=keeping(target, settings, store.path, inputs, x, y, plans))
        facts |= {"verdict_draws": verdict_draws, "part": part, "twin_of": twin_of, "group": group, "asked": len(x)}
        asks_bound = part == "table" and target.classifies
        bound = population_bound(network, x, look, input_kind, budget, name) if asks_bound else None
        store.add([] if bound is None else [bound])
        claims = [claim_of(facts, target, plan, budget, deployments, x) for plan in plans]
        measured: dict[str, bool] = {}
        for plan, claim in zip(plans, claims, strict=True):
            store.add([claim])
            outputs = Outputs(deployments, len(x)) if settings.metrics and plan.target is None else None
            if not batches.late:
                _run(target, plan, claim, x, y, store, batches, show_progress, outputs)
            if outputs is not None:
                alone = shard[1] == 1 and not batches.late
                of_claim = partial(measure_claim, target, claim, outputs, x, y, store, settings.metrics)
                measured[claim.attack] = of_claim(batch_size=size, alone=alone)
    return result_of(store, claims, partial(raised, store, name), lacking(measured))


def budget_of(evaluation: Evaluation) -> Budget:
    """The budget of an evaluation. Raises ``UsageError`` if there is none."""
    if evaluation.budget is None:
        raise UsageError("an evaluation needs a budget", todo="pass budget='linf:8/255', for example")
    return Budget.parse(evaluation.budget)


def _plans(
    attacks: Sequence[str | Mapping[str, Any]],
    suite: str | None,
    budget: Budget,
    draws: int,
    transfers: Sequence[str],
    target: str | None,
    modality: Modality,
    deployments: Sequence[Deployment],
    task: Task,
) -> list[Plan | Suite]:
    """The plans to run: clean inputs, the attacks, and the suite."""
    plans = [Plan.of(attack, draws) for attack in (CLEAN, *attacks)]
    for plan in plans:
        plan.check_fit(budget, modality, task)
    if suite is None:
        if target is not None:
            raise UsageError("a target needs a suite", todo="give each attack its own option target")
        return [*plans]
    found = suite_of(
        suite,
        budget,
        draws=draws,
        transfers=transfers,
        target=target,
        modality=modality,
        deployments=deployments,
        task=task,
    )
    return [*plans, found]


def _run(
    target: Target,
    plan: Plan | Suite,
    claim: Claim,
    x: Tensor,
    y: Tensor,
    store: Records,
    batches: _Batches,
    show: bool,
    outputs: Outputs | None,
) -> None:
    """Attack and judge the examples that are not in the records yet, batch by batch."""
    mine = batches.mine(len(x))
    todo = [i for i in mine if i not in store.examples.get(claim.id, {})]
    attacks = len(plan.plans) if isinstance(plan, Suite) else 1
    device = device_of(target.network, x)
    title, done = f"{target.name}: {claim.attack}", len(mine) - len(todo)
    with progress(title, len(mine) * attacks, "examples", already=done * attacks, show=show) as report:
        for start in range(0, len(todo), batches.size):
            if batches.late:
                return
            batch = todo[start : start + batches.size]
            index = torch.tensor(batch, device=x.device)
            suite_report = _SuiteReport(report, done * attacks, len(batch))
            inputs, labels = x[index].to(device), y[index].to(device)
            store.add(answers(target, plan, claim, batch, inputs, labels, suite_report, outputs))
            done += len(batch)
            report(done * attacks)


class _SuiteReport:
    """Reports progress before each attack of a suite on one batch."""

    def __init__(self, report: Report, done: int, size: int) -> None:
        self._report, self._done, self._size = report, done, size

    def __call__(self, attack: str, examples: int, passes: int) -> None:
        self._report(self._done, f"{attack}, {examples} not broken, {passes:,} passes")
        self._done += self._size


def _draws_needed(
    target: Target, budget: Budget, x: Tensor, y: Tensor, facts: Mapping[str, Any], store: Records, show: bool
) -> int:
    """The smallest number of draws at which accuracy is flat, from the records or a pilot attack."""
    if target.kind == "deterministic":
        return 1
    pilot = next((Plan.of(name, 1) for name in PILOTS if bounds(name, budget, target.modality)), None)
    if pilot is None:
        raise UsageError(f"no attack can find how many draws are enough at {budget}", todo="pass draws=20 (--draws 20)")
    record = convergence_of(facts, pilot, budget, min(len(x), EXAMPLES))
    measured = [line for line in store.convergences if line.id == record.id]
    if not measured:
        device = device_of(target.network, x)
        with progress(f"{target.name}: how many draws", 1, "pilots", show=show) as report:
            few, labels = x[:EXAMPLES].to(device), y[:EXAMPLES].to(device)
            try:
                measured = [converge(target, pilot, budget, few, labels, record, lambda n: report(0, f"{n} draws"))]
            except GradientError:
                return NO_PILOT
        store.add(measured)
    return measured[0].chosen


def _transfer_sources(target: Target) -> list[str]:
    """Names of the networks to transfer from: the mean network, every source, and their ensemble."""
    names = [MEAN] if target.has_mean else []
    names += [*target.sources]
    return names + [ENSEMBLE] * (len(names) > 1)
