"""Rows of rates, computed from records alone: ``evaluate`` returns them and reports show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import stats

from variate.records.adapted import adapted, stateful_notes
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.measure import measure_of
from variate.records.schema import MetricValue
from variate.statistics.notation import percent, percent_interval
from variate.statistics.rates import Deployment, rate_of

if TYPE_CHECKING:
    from variate.records.population import PopulationRow

CLEAN = "clean"  # the name of no attack


def label_of(attack: str, source: str | None = None, deployment: str | None = None, climb: str | None = None) -> str:
    """Label of an attack in a suite, which may run from several networks, on several deployments or margins."""
    words = [(" from ", source), (" of ", deployment), (" by ", climb)]
    return attack + "".join(f"{word}{what}" for word, what in words if what)


@dataclass(frozen=True)
class RateRow:
    """The accuracy (or mean score) of a network under one attack and one deployment, with its interval, in [0, 1].

    ``draws`` is the number of draws that each query of the attack averages over. For clean inputs, ``budget`` is None
    and ``draws`` is 0. ``examples`` have been judged so far, of ``asked``; None if the records do not say.
    For a suite, ``winners`` are the attacks that found the worst inputs, each with its share of the examples, largest
    first; inputs that are wrong without attack have none.
    """

    network: str
    attack: str
    options: dict[str, Any]
    budget: str | None
    draws: int
    deployment: str
    rate: float
    low: float
    high: float
    examples: int
    part: str
    asked: int | None = None
    winners: dict[str, float] = field(default_factory=dict)

    @property
    def winner(self) -> str:
        """The attack of a suite that found the worst input most often, with its share; empty for a single attack."""
        return next((f"{attack} {100 * share:.0f} %" for attack, share in self.winners.items()), "")

    @property
    def percent(self) -> str:
        """The rate in percent with its interval; of an unfinished one, also the number of examples so far."""
        rate = f"{percent(self.rate)} {percent_interval(self.low, self.high)}"
        return f"{rate} ({self.unfinished})" if self.unfinished else rate

    @property
    def unfinished(self) -> str:
        """How many of the examples have been judged, in words; empty if all have."""
        return "" if self.asked in (None, self.examples) else f"{self.examples} of {self.asked} examples"


@dataclass(frozen=True)
class OverSeeds:
    """A rate over networks that differ in their seed alone, in [0, 1].

    Attributes:
        rate: mean of the networks' rates.
        std: their sample standard deviation (n - 1).
        interval: t interval of the mean with n - 1 degrees of freedom, clipped to [0, 1]. It covers further training
            runs evaluated on the same examples, not other examples. None if all rates are equal.
        seeds: number of networks n.
    """

    rate: float
    std: float
    interval: tuple[float, float] | None
    seeds: int

    @property
    def percent(self) -> str:
        """Mean, standard deviation and interval in percent."""
        ends = "" if self.interval is None else f" {percent_interval(*self.interval)}"
        return f"{percent(self.rate)} ± {percent(self.std)}{ends}"


class Finding(Protocol):
    """A red flag, as a result shows it."""

    @property
    def level(self) -> str:
        """``warning`` or ``note``."""

    @property
    def flag(self) -> str:
        """Its name."""

    @property
    def findings(self) -> Sequence[str]:
        """One sentence for each finding."""


@dataclass(frozen=True)
class Result:
    """The rates of an evaluation, one row per attack and deployment.

    Attributes:
        rows: the rates.
        records: every answer.
        claims: the claims of the rows in the records.
        flags_of: the function that looks for red flags, when ``flags`` is first read.
        unmeasured: sentences on what was asked and could not be measured.
    """

    rows: list[RateRow]
    records: Records
    claims: Sequence[Claim]
    flags_of: Callable[[], Sequence[Finding]] = tuple
    unmeasured: Sequence[str] = ()

    @cached_property
    def flags(self) -> list[Finding]:
        """The red flags that the records raise on this network, warnings first."""
        return list(self.flags_of())

    @property
    def notes(self) -> list[str]:
        """What the rows do not say: what is unfinished, and the attacks of a suite that were left out."""
        return [
            *unfinished(self.records, self.claims),
            *left_out(self.records, self.claims),
            *self.unmeasured,
            *stateful_notes(self.records, self.claims),
        ]

    @property
    def metrics(self) -> list[MetricValue]:
        """The metrics of the claims, clean inputs first."""
        order = [claim.id for claim in self.claims]
        lines = [line for line in self.records.metrics.values() if line.claim in order]
        return sorted(lines, key=lambda line: order.index(line.claim))

    @property
    def proved(self) -> list[PopulationRow]:
        """What the clean rates prove of networks with Gaussian noise on their input, beside the measured rates."""
        from variate.records.population import population_rows  # which reads rows

        names = {claim.network for claim in self.claims}
        budgets = {claim.budget for claim in self.claims if claim.budget is not None}
        rows = [row for row in population_rows(self.records) if row.bound.network in names]
        return [row for row in rows if row.bound.budget in budgets or not budgets]

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as plain objects."""
        return [asdict(row) for row in self.rows]

    def __str__(self) -> str:
        measured = measure_of(claim.task for claim in self.claims).column
        head = ("attack", "budget", "attack draws", "deployment", f"{measured} % [95 % interval]")
        cells = [head] + [
            (row.attack, row.budget or "-", str(row.draws or "-"), row.deployment, row.percent) for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
        lines += [*metric_lines(self), *self.notes, *(row.sentence for row in self.proved)]
        for flag in self.flags:
            lines += [f"{flag.level}: {flag.flag}", *(f"  {finding}" for finding in flag.findings)]
        return "\n".join(line.rstrip() for line in lines)


def metric_lines(result: Result) -> list[str]:
    """One line for each metric, rule and claim of a result."""
    attacks = {claim.id: f"under {claim.attack}" if claim.budget else claim.attack for claim in result.claims}
    return [
        f"{line.metric}, {line.rule}, {attacks[line.claim]}{f', minus {line.minus}' if line.minus else ''}: "
        f"{line.value:{'+' if line.minus else ''}.3g} [{line.low:.3g}, {line.high:.3g}]"
        + (f" ({line.why})" if line.why and not line.minus and attacks[line.claim] == CLEAN else "")
        for line in result.metrics
    ]


def unfinished(records: Records, claims: Sequence[Claim]) -> list[str]:
    """One sentence for each network with claims that have answers to fewer examples than were asked of them."""
    counts: dict[str, list[str]] = {}
    for claim in claims:
        done = len(records.examples.get(claim.id, {}))
        if claim.asked is not None and done < claim.asked:
            what = f"{claim.attack}{f' at {claim.budget}' if claim.budget else ''}"
            counts.setdefault(claim.network, []).append(f"{what} ({done} of {claim.asked} examples)")
    again = "run the same again to continue"
    return [f"{network} is unfinished: {', '.join(parts)}; {again}" for network, parts in counts.items()]


def left_out(records: Records, claims: Sequence[Claim]) -> list[str]:
    """One sentence for each suite whose attacks did not all run, for want of a gradient."""
    sentences = []
    for claim in claims:
        examples = records.examples.get(claim.id, {}).values()
        counts = Counter(attack for example in examples for attack in example.left_out)
        if counts:
            attacks = ", ".join(f"{attack} ({count} of {len(examples)} examples)" for attack, count in counts.items())
            sentences.append(f"{claim.network} has no gradient to follow: {claim.attack} left out {attacks}")
    return sentences


def result_of(
    records: Records,
    claims: Sequence[Claim],
    flags_of: Callable[[], Sequence[Finding]] = tuple,
    unmeasured: Sequence[str] = (),
) -> Result:
    """The rows of claims, computed from their records; a claim without examples has no row.

    Nor has a claim on a detector of similar queries without the attack that adapts to it (``adapted``).

    Args:
        records: the records.
        claims: the claims.
        flags_of: looks for red flags, when they are first asked for.
        unmeasured: sentences on what was asked and could not be measured.
    """
    answered = [claim for claim in claims if records.examples.get(claim.id) and adapted(records, claim)]
    rows = [row for claim in answered for row in rows_of(records, claim)]
    return Result(rows, records, claims, flags_of, unmeasured)


def over_seeds(rates: Sequence[float], *, level: float = 0.95) -> OverSeeds:
    """Mean and spread of the rates of networks that differ in their seed alone.

    Args:
        rates: rates of two or more networks, in [0, 1].
        level: confidence level of the interval.
    """
    values = np.asarray(rates, dtype=np.float64)
    mean, std = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * std / len(values) ** 0.5
    interval = (max(mean - half, 0.0), min(mean + half, 1.0)) if std > 0 else None
    return OverSeeds(mean, std, interval, len(values))


def rows_of(records: Records, claim: Claim, *, level: float = 0.95) -> list[RateRow]:
    """One row per deployment of a claim."""
    return list(records.once(("rows", claim.key, level), lambda: _rows(records, claim, level)))


def _rows(records: Records, claim: Claim, level: float) -> list[RateRow]:
    rows = []
    for deployment in map(Deployment.parse, claim.deployments):
        answers = records.answers(claim, deployment.source)
        rate = rate_of(deployment, answers, level=level)
        rows.append(
            RateRow(
                network=claim.network,
                attack=claim.attack,
                options=claim.options,
                budget=claim.budget,
                draws=claim.draws,
                deployment=str(deployment),
                rate=rate.rate,
                low=rate.low,
                high=rate.high,
                examples=answers.shape[1],
                part=claim.part,
                asked=claim.asked,
                winners=winners_of(records, claim, deployment.source),
            )
        )
    return rows


def winners_of(records: Records, claim: Claim, source: str) -> dict[str, float]:
    """The attacks of a suite that found the worst inputs of a deployment, with their shares of the examples.

    Args:
        records: the records.
        claim: the claim of a suite; any other has no winners.
        source: ``Deployment.source`` of the deployment.
    """
    examples = records.examples.get(claim.id, {}).values()
    chosen = (example.chosen_for.get(source, example.chosen) for example in examples)
    counts = Counter(attack for attack in chosen if attack is not None and attack != CLEAN)
    return {attack: count / len(examples) for attack, count in counts.most_common()}
