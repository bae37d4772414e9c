"""Everything in a set of records that a requirement can name: rates, metrics and certified rates, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.options import parse
from variate.records.accepted import accepted_rows
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import deployments_of, setting_words, shown
from variate.records.population import population_rows
from variate.records.proofs import proofs
from variate.records.rows import CLEAN, rows_of
from variate.report.gate.requirement import ANY, Kind, Requirement
from variate.statistics.notation import percent, percent_interval

PART = "table"  # the part of the records that is judged; the others are twins, and evidence for red flags
CLOSE = 1e-9  # relative difference of two sizes that are written differently


@dataclass(frozen=True)
class Measurement:
    """One number of the records with its interval.

    Attributes:
        kind, name, rule: as in ``Requirement``; the deployment of a deterministic network is ``any``.
        network, group: the network, and the name it shares with those of other seeds.
        attack: name of the attack; ``clean`` for none, empty for a certificate.
        options: the attack's options.
        setting: those that differ from its defaults, in words.
        budget: perturbation budget; None for clean inputs.
        value, low, high: the value and its interval; rates in [0, 1].
        examples, draws: numbers that it rests on.
        unfinished: how many of the examples have been judged; empty if all have.
        claim: the claim of a rate, whose answers show what a narrower interval needs.
    """

    kind: Kind
    name: str
    network: str
    value: float
    low: float
    high: float
    examples: int
    draws: int
    attack: str = ""
    budget: str | None = None
    rule: str = ""
    group: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    setting: str = ""
    unfinished: str = ""
    claim: Claim | None = None

    @property
    def label(self) -> str:
        """What it is, as a requirement names it, without its network."""
        name = " ".join(filter(None, (self.name, self.rule)))
        if self.kind == "certified":
            return f"certified {name} {self.budget}"
        return f"clean {name}" if self.attack == CLEAN else f"{name} under {self.attack} at {self.budget}"

    @property
    def shown(self) -> str:
        """The value with its interval: a rate in percent."""
        if self.kind == "metric":
            return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"
        return f"{percent(self.value)} % {percent_interval(self.low, self.high)}"

    def answers(self, requirement: Requirement) -> bool:
        """Whether a requirement speaks of it."""
        if self.kind != requirement.kind or not self.of(requirement.network) or not self._named(requirement):
            return False
        if self.kind == "certified":
            return _same_budget(self.budget, requirement.budget)
        return is_attacked_as(requirement, self.attack, self.options, self.budget)

    def of(self, network: str | None) -> bool:
        """Whether it is of a network, by its name or that of its group; None stands for all."""
        return network is None or network in (self.network, self.group)

    def _named(self, requirement: Requirement) -> bool:
        if self.kind == "metric":
            (name, options), (ours, chosen) = parse(requirement.name, "a metric"), parse(self.name, "a metric")
            return name == ours and options.items() <= chosen.items() and requirement.rule in (None, self.rule)
        return requirement.name == self.name or (self.name == ANY and " " not in requirement.name)


def is_attacked_as(requirement: Requirement, attack: str, options: Mapping[str, Any], budget: str | None) -> bool:
    """Whether inputs are those that a requirement speaks of; targeted attacks only where it names their target."""
    if requirement.clean or attack == CLEAN:
        return requirement.clean and attack == CLEAN
    name, asked = (None, {}) if requirement.attack is None else parse(requirement.attack, "an attack")
    if name not in (None, attack) or not all(str(options.get(key)) == _text(value) for key, value in asked.items()):
        return False
    return ("target" in asked or options.get("target") is None) and _same_budget(budget, requirement.budget)


def chosen(claim: Claim) -> dict[str, Any]:
    """The options of an attack, defaults included as far as they are recorded, with its draws."""
    return {**(claim.settings or {}), **claim.options, "draws": claim.draws}


def _text(value: object) -> str:
    """The value of an option as text, whole numbers without a decimal point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _same_budget(ours: str | None, asked: str | None) -> bool:
    if asked is None:
        return True
    try:
        one, other = Budget.parse(str(ours)), Budget.parse(asked)
    except UsageError:
        return False
    return (
        one.norm == other.norm
        and one.features == other.features
        and abs(float(one.size - other.size)) <= CLOSE * max(1.0, abs(float(one.size)))
    )


def measurements(records: Records) -> list[Measurement]:
    """Everything measured or proved in the records, as tables show it."""
    return [*_rates(records), *_metrics(records), *_accepted(records), *_certified(records)]


def _rates(records: Records) -> Iterator[Measurement]:
    for claim in shown(records, PART):
        fixed = claim.verdict_draws == 1
        rows = [row for row in rows_of(records, claim) if fixed or row.deployment in deployments_of(records, claim)]
        for row in rows[:1] if fixed else rows:
            yield Measurement(
                "rate",
                ANY if fixed else row.deployment,
                row.network,
                row.rate,
                row.low,
                row.high,
                row.examples,
                claim.verdict_draws,
                unfinished=row.unfinished,
                **_attack(claim),
            )


def _metrics(records: Records) -> Iterator[Measurement]:
    claims = {claim.id: claim for claim in shown(records, PART)}
    for line in records.metrics.values():
        if line.claim in claims and not line.minus:
            claim = claims[line.claim]
            counts = line.value, line.low, line.high, line.examples, line.draws
            yield Measurement("metric", line.metric, claim.network, *counts, rule=line.rule, **_attack(claim))


def _attack(claim: Claim) -> dict[str, Any]:
    of_attack = {"attack": claim.attack, "options": chosen(claim), "setting": setting_words(claim)}
    return of_attack | {"budget": claim.budget, "group": claim.group, "claim": claim}


def _accepted(records: Records) -> Iterator[Measurement]:
    """The rates of deployments that may abstain."""
    for row in accepted_rows(records):
        three = {"": row.outcomes.right, "wrong ": row.outcomes.wrong, "abstained ": row.outcomes.abstained}
        for word, rate in three.items():
            numbers = rate.rate, rate.low, rate.high, row.examples, row.answers
            attack: dict[str, Any] = {"attack": row.attack, "options": row.options, "budget": row.budget}
            yield Measurement("rate", f"{word}{row.deployment}", row.network, *numbers, **attack)


def _certified(records: Records) -> Iterator[Measurement]:
    for proven in proofs(records):
        owner = proven.certificate
        for row in proven.proved.rows:
            counts = row.rate, row.low, row.high, owner.asked, owner.draws
            budget = f"{row.norm}:{row.radius:g}"
            yield Measurement("certified", row.deployment, owner.network, *counts, budget=budget, group=owner.group)
    for free in population_rows(records):
        row, counted = free.proved, free.examples
        of_row = row.rate, row.low, row.high, counted, 0
        yield Measurement("certified", row.deployment, free.bound.network, *of_row, budget=free.bound.budget)
