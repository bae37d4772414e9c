"""Judge right or abstain under attack: how often it is right, wrong, and gives no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from variate.certificates.acceptance import Acceptance, check_draws
from variate.certificates.certification import Casting
from variate.certificates.mechanism import usual_norm
from variate.certificates.subject import Subject, checked, subject_of
from variate.errors import UsageError
from variate.evaluation.claims import plain_options
from variate.evaluation.fitting import bounds
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.probes import device_of
from variate.evaluation.target import Target
from variate.fields import overridden, takes_options
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, check_kind
from variate.progress import progress
from variate.random.keys import Stream
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.accepted import AcceptedRow, accepted_rows
from variate.records.certified import Answered
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.statistics.accepted import CERTIFIED, certified_radius
from variate.tasks.classes import CLASSES

USUAL = Casting(batch_size=100)
OTHERS = ("apgd-ce", "hotflip", "jsma", "square", "noise")  # the first that fits, where none of the rule's own does


@takes_options(USUAL)
@generators_as_found()
@torch.inference_mode(False)
@torch.enable_grad()
def judge_certified(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    radius: float | str,
    budgets: Sequence[str | Budget],
    attacks: Sequence[str | Mapping[str, Any]] | None = None,
    casting: Casting = USUAL,
    answers: int = 1,
    search_draws: int = 20,
    records: Records | None = None,
    name: str = "network",
    group: str | None = None,
    modality: str | Modality = "image",
    show_progress: bool = False,
    **overrides: Any,
) -> list[AcceptedRow]:
    """Judge the deployment ``certified-R``: how often it is right, wrong, and abstains, clean and under each attack.

    Each answer takes ``100 + draws`` votes at the input that it receives, on draws of the verdict's stream, which no
    attack has seen; ``variate.Certified`` answers in the same way.

    Args:
        network: any module with noise that certifies it, in the mode it will be used in.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        radius: R: the radius that the certificate at the received input must reach.
        budgets: budgets of the attacks, such as ``["l2:0.25", "l2:0.5"]``.
        attacks: attacks as in ``variate.evaluate``. By default two: ``error-rate(deployment=certified-R)``, which looks
            for answers that are accepted and wrong, and ``error-rate``, which makes most answers abstentions; for
            budgets that they do not support, another one.
        casting: how votes are cast; the examples of a batch share them, and the seed is that of search and verdict.
        answers: number of answers to every input, each from draws of its own; with one, intervals are over examples
            alone, with more over draws too.
        search_draws: number of draws that every query of an attack averages over.
        records: records that the answers are added to; those that are there already are not computed again.
        name: name of the network in the records.
        group: name shared by networks that differ only in their training seed.
        modality: modality of the inputs.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Casting`` by name, which replace those of ``casting``: ``draws=10_000``.

    Returns:
        The three rates, each with a 95 % interval: of clean inputs first.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for a network of which nothing can be proved, and options that can prove nothing.
        AttackError: for an attack that leaves its budget.
        RecordError: if the records cannot be written.
    """
    casting = overridden(casting, overrides, judge_certified)
    kind = checked(network, x, y, modality, CLASSES, casting)
    check_kind(kind, x)
    for option, value in (("answers", answers), ("search_draws", search_draws)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{option} is {value!r}", expected="a whole number from 1")
    certified_radius(f"{CERTIFIED}{radius}")
    within = [Budget.parse(budget) for budget in budgets]
    plans = [(Plan.of(CLEAN, search_draws), None)] + [
        (plan, budget) for budget in within for plan in _plans(attacks, radius, budget, search_draws, kind)
    ]
    store = Records() if records is None else records
    with left_as_found(network), store.held():
        subject = subject_of(network, x, y, kind, CLASSES, casting, name=name, group=group)
        found, certificate = subject.mechanism, subject.certificate
        norm = usual_norm(found.norms, kind.norms) if casting.norm is None else casting.norm
        found.check_norm(norm)
        reach = Budget.parse(f"{norm}:{radius}")
        check_draws(found, [reach], certificate.draws, certificate.alpha)
        rule = Acceptance(found, reach, certificate.choosing, certificate.draws, certificate.alpha, casting.votes_of)
        store.add([certificate])
        repeats = answers if found.random else 1
        lines = [(plan, budget, _line(subject, rule, plan, budget, repeats)) for plan, budget in plans]
        for plan, budget, line in lines:
            _judge(subject, rule, plan, budget, line, store, casting.batch_size, show_progress)
    return accepted_rows(store, {line.key for _, _, line in lines})


def _plans(
    attacks: Sequence[str | Mapping[str, Any]] | None,
    radius: float | str,
    budget: Budget,
    draws: int,
    modality: Modality,
) -> list[Plan]:
    """The attacks to run within a budget. Raises ``UsageError`` for one that does not support it."""
    modality.check(budget)
    if attacks is None:
        own = [f"error-rate(deployment={CERTIFIED}{radius})", "error-rate"] * bounds("error-rate", budget, modality)
        attacks = own or [name for name in OTHERS if bounds(name, budget, modality)][:1]
    if not attacks:
        raise UsageError(f"no attack of this deployment supports {budget}", todo="name one: attacks=['noise']")
    plans = [Plan.of(attack, draws) for attack in attacks]
    for plan in plans:
        plan.check_fit(budget, modality)
    return plans


def _line(subject: Subject, rule: Acceptance, plan: Plan, budget: Budget | None, repeats: int) -> Answered:
    """The record of one measurement, without answers to any example."""
    return Answered(
        certificate=subject.certificate.id,
        deployment=f"{CERTIFIED}{rule.radius.text.partition(':')[2]}",
        radius=rule.radius.text,
        attack=plan.attack,
        options=plain_options(plan.choices()),
        settings=plain_options({**plan.settings(), "draws": plan.draws}),
        budget=None if budget is None else budget.text,
        first=0,
        labels=[],
        answers=[[] for _ in range(repeats)],
    )


def _judge(
    subject: Subject,
    rule: Acceptance,
    plan: Plan,
    budget: Budget | None,
    line: Answered,
    store: Records,
    size: int,
    show: bool,
) -> None:
    """Attack and answer the examples that are not in the records yet, batch by batch."""
    network, x, y, certificate = subject.network, subject.x, subject.y, subject.certificate
    count = rule.keys * len(line.answers)
    target = Target(network, subject.look.kind, certificate.seed, certificate.network, modality=subject.modality)
    done, start = store.answered.get(line.key, {}), 0
    title = f"{certificate.network}: {line.deployment}, {plan.attack}" + (f" within {budget}" if budget else "")
    with progress(title, len(x), "examples", show=show) as report:
        while start < len(x):
            if start not in done:
                part, labels = (values[start : start + size].to(device_of(network, x)) for values in (x, y))
                if budget is not None:
                    part = subject.modality.prepared(part, budget, network)
                    part, _ = perturb(target, plan, budget, part, labels)
                keys = Stream("verdict", certificate.seed, start * count).take(count)  # every batch has its own
                answers = [
                    rule.labels(network, part, keys[i : i + rule.keys]).tolist() for i in range(0, len(keys), rule.keys)
                ]
                facts = {"first": start, "labels": labels.tolist(), "answers": answers}
                store.add([line.model_copy(update=facts)])
                done = store.answered[line.key]
            start += len(done[start].labels)
            report(start)
