"""Judge requirements on what is recorded, and say of each that falls short by how much, and what would be needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from variate.errors import UsageError
from variate.flags.evidence import DOUBTS
from variate.flags.raise_flags import raised
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import not_begun, shown
from variate.records.rows import Result
from variate.report.gate.measurement import PART, Measurement, chosen, is_attacked_as, measurements
from variate.report.gate.requirement import Requirement
from variate.statistics.crossed import Crossed, crossed
from variate.statistics.notation import percent
from variate.statistics.proved import draws_for
from variate.statistics.rates import Deployment, clopper_pearson

LEVEL = 0.95  # of the intervals
LISTED = 40  # measurements that an error lists


@dataclass(frozen=True)
class Judgment:
    """Whether one network meets one requirement.

    Attributes:
        requirement: what the user wrote.
        network: name of the network.
        holds: whether it is met.
        sentence: what was measured, and where it falls short what would be needed.
        value, low, high: the measurement that is farthest from the requirement, with its interval; rates in [0, 1].
            None for red flags.
        examples, draws: numbers that it rests on; None for red flags.
    """

    requirement: str
    network: str
    holds: bool
    sentence: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    examples: int | None = None
    draws: int | None = None

    def __str__(self) -> str:
        return f"{self.requirement}: {'met' if self.holds else 'falls short'}: {self.sentence}"

    def as_json(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return asdict(self)


def shortfalls(
    measured: Result | Records, requirements: str | Requirement | Sequence[str | Requirement]
) -> list[Judgment]:
    """What falls short of requirements, judged by the ends of intervals; empty if all are met.

    Args:
        measured: what ``variate.evaluate`` returned, whose networks alone are judged; or records, whose networks all
            are. Everything recorded of them counts: an earlier and stronger attack too.
        requirements: such as ``"survive-10>=40"``, ``"clean single>=80"``, ``"mean-16 under pgd at linf:8/255>=30"``,
            ``"certified vote l2:0.5>=30"``, ``"clean calibration-error<=0.05"`` or ``"no flags"``. Rates are in percent
            and, without ``clean``, under every attack and budget of the table. ``>=`` and ``>`` are judged by the lower
            end of the 95 % interval, ``<=`` and ``<`` by the upper end.

    Raises:
        UsageError: for what is no requirement, and for one that names something that was not measured.
    """
    return [judgment for judgment in judged(measured, requirements) if not judgment.holds]


def judged(
    measured: Result | Records,
    requirements: str | Requirement | Sequence[str | Requirement],
    networks: Sequence[str] | None = None,
) -> list[Judgment]:
    """One judgment for each requirement and each network that it speaks of; the arguments are those of ``shortfalls``.

    Args:
        measured: what was measured.
        requirements: the requirements.
        networks: names of the networks to judge; by default those of the result, or all of the records.
    """
    if isinstance(measured, Result):
        records, networks = measured.records, networks or list(dict.fromkeys(c.network for c in measured.claims))
    else:
        records = measured
    asked = [requirements] if isinstance(requirements, str | Requirement) else requirements
    parsed = list(map(Requirement.parse, asked))
    found = [one for one in measurements(records) if networks is None or one.network in networks]
    missing: list[str] = []
    judgments = [judgment for requirement in parsed for judgment in _judged(records, requirement, found, missing)]
    if missing:
        labels = list(dict.fromkeys(one.label for one in found))
        more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
        raise UsageError(
            "a requirement names something that was not measured",
            findings=missing,
            expected=f"one of {', '.join(labels[:LISTED])}{more}" if labels else "records of an evaluation",
            todo="measure it, or correct the requirement",
        )
    return judgments


def _judged(
    records: Records, requirement: Requirement, found: Sequence[Measurement], missing: list[str]
) -> Iterator[Judgment]:
    """The judgments on every network that a requirement speaks of; what was not measured is added to ``missing``."""
    networks = list(dict.fromkeys(one.network for one in found if one.of(requirement.network)))
    if not networks:
        missing.append(f"{requirement.text}: nothing is recorded{_of(requirement.network)}")
    for network in networks:
        if requirement.kind == "flags":
            if _has_evidence(records, network):
                yield _flags(records, requirement, network)
            else:
                missing.append(
                    f"{requirement.text}: the evidence for red flags{_of(network)} (run without --no-doubts)"
                )
            continue
        own = [one for one in found if one.network == network and one.answers(requirement)]
        if own:
            yield _number(records, requirement, network, own)
        else:
            missing.append(f"{requirement.text}{'' if requirement.network else _of(network)}")


def _of(network: str | None) -> str:
    return f" of {network}" if network else ""


def _has_evidence(records: Records, network: str) -> bool:
    """Whether what red flags look at was measured, and not the attacks of the table alone."""
    ours = {claim.fingerprint for claim in shown(records, PART) if claim.network == network}
    more = [claim.fingerprint for claim in shown(records, DOUBTS) if claim.network == network]
    return bool(ours) and not ours.isdisjoint([*more, *(line.fingerprint for line in records.gradients.values())])


def _flags(records: Records, requirement: Requirement, network: str) -> Judgment:
    flags = [flag for flag in raised(records, network) if requirement.name == "flags" or flag.level == "warning"]
    words = [f"{flag.level} {flag.flag} ({'; '.join(flag.findings)}; do: {flag.remedy})" for flag in flags]
    said = f"{network} has {' and '.join(words)}" if flags else f"{network} has none"
    return Judgment(requirement.text, network, not flags, said)


def _number(records: Records, requirement: Requirement, network: str, own: Sequence[Measurement]) -> Judgment:
    """The judgment by the measurement that is farthest from the requirement."""
    worst = min(own, key=lambda one: one.low if requirement.at_least else -one.high)
    unfinished = [f"{one.label} ({one.unfinished})" for one in own if one.unfinished]
    unfinished += [f"{claim.attack} at {claim.budget} (not begun)" for claim in _waiting(records, requirement, network)]
    enough = requirement.held_by(worst.low, worst.high)
    what = f"{worst.label}, {worst.setting}" if worst.setting else worst.label
    said = f"{network}, {what}: {worst.shown} on {worst.examples} examples{_draws(worst)}"
    if len(own) > 1:
        said += f", the {'lowest' if requirement.at_least else 'highest'} of {len(own)}"
    if not enough:
        said += f"; needed: {_needed(records, requirement, worst)}"
    if unfinished:
        said += f"; unfinished: {', '.join(unfinished)}: run the same evaluation again to continue"
    numbers = worst.value, worst.low, worst.high, worst.examples, worst.draws
    return Judgment(requirement.text, network, enough and not unfinished, said, *numbers)


def _waiting(records: Records, requirement: Requirement, network: str) -> list[Claim]:
    """The claims that a requirement speaks of, and that have no answers yet."""
    return [
        claim
        for claim in not_begun(records)
        if requirement.kind != "certified" and claim.part == PART and claim.network == network
        if is_attacked_as(requirement, claim.attack, chosen(claim), claim.budget)
    ]


def _draws(one: Measurement) -> str:
    if one.draws <= 1:
        return ""
    return f" and {one.draws:,} {'votes on each' if one.kind == 'certified' else 'draws'}"


def _needed(records: Records, requirement: Requirement, one: Measurement) -> str:
    """What would meet a requirement: a better value on as many examples, or a narrower interval."""
    sign = 1 if requirement.at_least else -1
    half = one.value - one.low if requirement.at_least else one.high - one.value
    gap = sign * (one.value - requirement.threshold)
    best = _best_end(one, requirement)
    if best is not None:
        return best
    if gap <= 0:
        wanted = _clipped(requirement.threshold + sign * half, one)
        return f"a value of about {_value(wanted, one)} on as many examples{' and draws' if one.draws > 1 else ''}"
    return f"about {_more(records, one, (gap / half) ** 2)}, if the value stays {_value(one.value, one)}"


def _best_end(one: Measurement, requirement: Requirement) -> str | None:
    """How many examples there must be at least, for a rate at its limit, or one whose best could not meet the bar."""
    share = requirement.threshold if requirement.at_least else 1 - requirement.threshold
    if one.kind == "metric" or (share < 1 and one.kind == "certified"):
        return None
    if share >= 1:
        return "no number of examples is enough: an interval never ends at its own limit"
    at_limit = one.value == (1.0 if requirement.at_least else 0.0)
    together = _together(one)
    answers = one.draws // together  # of each example
    size = min(one.examples, answers) if answers > 1 else one.examples  # that an interval at its own limit rests on
    binomial = at_limit or answers <= 1  # rates of several draws may have narrower intervals elsewhere
    if not binomial or size < 1 or share <= clopper_pearson(size, size, LEVEL)[0]:
        return None
    least = draws_for(share, (1 - LEVEL) / 2)
    draws = f" and {least * together:,} verdict draws" if one.claim is not None and answers > 1 else ""
    return f"at least {least:,} examples{draws}: fewer cannot show it"


def _together(one: Measurement) -> int:
    """How many draws answer together."""
    if one.claim is None or one.kind != "rate" or one.draws <= 1:
        return 1
    deployment = Deployment.parse(one.name)
    return deployment.size if deployment.rule in ("mean", "majority") else 1


def _more(records: Records, one: Measurement, share: float) -> str:
    """Examples, and draws where these limit the interval, that bring its variance down to a share of what it is."""
    mean = _mean(records, one)
    if mean is not None and mean.variance > 0 and one.draws > 1:
        of_draws = max(mean.by_draw - mean.residual, 0.0)  # what more examples do not change
        left = share * mean.variance - of_draws
        if left <= 0.1 * mean.by_example * share:
            return f"{ceil(one.examples / share):,} examples and {ceil(one.draws / share):,} verdict draws"
        return f"{ceil(one.examples * max(mean.by_example / left, 1.0)):,} examples"
    return f"{ceil(one.examples / share):,} examples"


def _mean(records: Records, one: Measurement) -> Crossed | None:
    """The variance components of a rate; None for what is not computed from right and wrong answers alone."""
    if one.claim is None or one.kind != "rate" or one.claim.verdict_draws == 1:
        return None
    deployment = Deployment.parse(one.name)
    size = deployment.size if deployment.rule == "survive" else 1
    return crossed(records.answers(one.claim, deployment.source), [size])[0]


def _clipped(value: float, one: Measurement) -> float:
    return value if one.kind == "metric" else min(max(value, 0.0), 1.0)


def _value(value: float, one: Measurement) -> str:
    return f"{value:.3g}" if one.kind == "metric" else f"{percent(value)} %"
