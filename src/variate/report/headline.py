"""The verdict in ten seconds: a claim, the networks it speaks of, and what it rests on, each one line of plain text.

The page draws the three lines as its first box, and ``evaluate`` and ``audit`` end with them on the terminal::

    Randomness gains nothing here: -1.8 points [-3.9, +0.4]
    `random` 43.0 % [40.1, 46.0] (clean 84.8 %); `mean network` 44.8 % [41.9, 47.8] (clean 85.1 %)
    Under `pgd` averaged over 20 draws (linf:0.1), one draw per query; paired with `mean network`, the best of 2
    twins, under its own strongest attack, on the same 1000 examples.

A red flag on one of the compared networks replaces the claim: a rate that a warning doubts is never stated calmly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from variate.flags.raise_flags import Raised
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.measure import ACCURACY
from variate.records.rows import RateRow
from variate.report import single
from variate.report.estimate import Estimate, doubts_of, estimate_of, repeated_row, still_gaining
from variate.report.gains import over_seeds
from variate.report.paired import compared, twin_claims
from variate.report.single import measured
from variate.report.table import capitalized
from variate.statistics.comparison import Comparison
from variate.statistics.notation import percent, quoted
from variate.statistics.rates import Deployment

NO_VERDICT = "No verdict: no untargeted attack was evaluated with one draw per query"
ERROR = 0.05  # of the intervals
NEGLIGIBLE = 0.02  # a gain whose whole interval lies below is nothing; above it, the question is open

Tone = Literal["gain", "loss", "nothing", "open", "rate", "flagged", "none"]


@dataclass(frozen=True)
class Headline:
    """The verdict on one set of records.

    Attributes:
        tone: how certain the claim is: ``gain`` and ``loss`` if the paired interval excludes zero, ``nothing`` if it
            excludes a gain of two points, ``open`` if it does neither, or if a gain is one that choosing the best of
            several networks may explain; ``rate`` without a comparison, ``flagged`` if red flags forbid a claim, and
            ``none`` without an attack.
        finding: what is found, in words.
        number: the number that it rests on, or the flags that forbid one; empty without an attack.
        estimates: the networks that it speaks of, the measured one first.
        basis: what the claim rests on, in sentences; empty without an attack.
        difference: the paired difference to the best twin, or to the next best network; None if nothing is paired.
        rival: label of the network that the difference is to.
        measure: what the rates measure, in words.
    """

    tone: Tone
    finding: str
    number: str = ""
    estimates: Sequence[Estimate] = ()
    basis: str = ""
    difference: Comparison | None = None
    rival: str = ""
    measure: str = "accuracy"

    @property
    def claim(self) -> str:
        """The first sentence, without a period."""
        return f"{self.finding}: {self.number}" if self.number else self.finding

    @property
    def lines(self) -> list[str]:
        """The three lines of text; only the claim if there was no attack."""
        rates = "; ".join(
            f"{quoted(estimate.label)} {_percent(estimate.row)}{_clean(estimate)}{_doubt(estimate)}"
            for estimate in self.estimates
        )
        return [line for line in (self.claim, rates, self.basis) if line]


def headline(records: Records, network: str | None = None) -> Headline:
    """The verdict on a network.

    Args:
        records: records of one or more networks.
        network: the network to judge; by default the most accurate random one, or else the most accurate one.
    """
    claims = _strongest_claims(records, network)
    claim = max(claims, key=lambda one: single.share(records, one), default=None)
    if claim is None:
        return Headline("none", NO_VERDICT)
    peers = _peers(records, claim, claims)
    rival = max(peers, key=lambda one: single.share(records, one), default=None)
    difference = compared(records, claim, rival) if rival is not None else None
    estimates = [estimate_of(records, one, of=claim.network) for one in (claim, *peers)]
    sentences = _basis(records, claim, rival, claims=len(claims), peers=len(peers))
    basis = " ".join(filter(None, [*sentences, *_certainty(records, claim, rival, difference)]))
    doubts = [flag for one in (claim, rival) if one is not None for flag in doubts_of(records, one)]
    if difference is None or rival is None:
        rate = _percent(single.row(records, claim))
        noun = measured(records).noun
        finding = f"{capitalized(noun)} of {quoted(claim.network)} under attack is at most"
        open_claim = Headline("rate", finding, rate)
        return doubted(replace(open_claim, estimates=estimates, basis=basis, measure=noun), doubts)
    tone = tone_of(difference, choices=len(claims))
    finding, label = _finding(claim, rival, tone), rival.network.removeprefix(f"{claim.network}, ")
    verdict = compared_headline(tone, finding, difference, label, estimates, basis, choices=len(claims))
    return doubted(replace(verdict, measure=measured(records).noun), doubts)


def judged_claim(records: Records) -> Claim | None:
    """The claim that ``headline`` is about: the strongest attack on the network that it judges."""
    claims = _strongest_claims(records, None)
    return max(claims, key=lambda one: single.share(records, one), default=None)


def compared_headline(
    tone: Tone,
    finding: str,
    difference: Comparison,
    rival: str,
    estimates: Sequence[Estimate],
    basis: str,
    *,
    choices: int,
) -> Headline:
    """The verdict of a paired difference; a gain that the choice among several networks may explain is said to be one.

    Args:
        tone: that of ``tone_of``.
        finding: what the difference shows, in words.
        difference: the paired difference.
        rival: label of the network that it is to.
        estimates: the networks compared.
        basis: what it rests on.
        choices: number of networks from which the best was chosen.
    """
    if tone == "open" and difference.low > 0:
        finding = f"A gain that the choice among {choices} networks may explain"
    return Headline(tone, finding, difference.points, estimates, basis, difference, rival)


def doubted(verdict: Headline, doubts: Sequence[Raised]) -> Headline:
    """The verdict, or if there are warnings, the warnings in its place with the remedy of the first."""
    if not doubts:
        return verdict
    left = "" if verdict.difference is None else f"The difference of {verdict.number} may only show a weak attack. "
    basis = f"{left}First: {doubts[0].remedy} {verdict.basis}"
    return replace(verdict, tone="flagged", finding="Do not quote these rates", number=_flags(doubts), basis=basis)


def tone_of(difference: Comparison, *, choices: int) -> Tone:
    """How certain a difference is; a gain of the best of several networks must survive Bonferroni's correction."""
    if difference.low > 0:
        return "gain" if choices * difference.p <= ERROR else "open"
    if difference.high < 0:
        return "loss"
    return "nothing" if difference.high <= NEGLIGIBLE else "open"


def _strongest_claims(records: Records, network: str | None) -> list[Claim]:
    """The strongest attack on every network that may be judged, within the first budget of the first of them."""
    names = [network] if network is not None else single.random_networks(records)
    names = names or list(dict.fromkeys(claim.network for claim in single.judged(records, "table")))
    strongest = [single.strongest(records, name, budget) for name in names for budget in single.budgets(records, name)]
    claims = [claim for claim in strongest if claim is not None and claim.part == "table"]
    return [claim for claim in claims if claim.budget == claims[0].budget]


def _peers(records: Records, claim: Claim, claims: Sequence[Claim]) -> list[Claim]:
    """The claims to compare with: a random network's twins, or the next best deterministic network."""
    if claim.verdict_draws > 1:
        return twin_claims(records, claim)
    others = [one for one in claims if one is not claim and compared(records, claim, one) is not None]
    return sorted(others, key=lambda one: single.share(records, one))[-1:]


def _finding(claim: Claim, rival: Claim, tone: Tone) -> str:
    """What the paired difference shows, in words."""
    if claim.verdict_draws == 1:
        order = {"gain": "is more robust than", "loss": "is less robust than"}.get(tone, "is not shown to differ from")
        return f"{quoted(claim.network)} {order} {quoted(rival.network)}"
    if tone == "loss" and rival.twin_of is None:
        return f"{quoted(rival.network)}, which is deterministic, is more robust"
    findings = {
        "gain": "Randomness helps against these attacks",
        "loss": "Randomness costs robustness here",
        "nothing": "Randomness gains nothing here",
    }
    return findings.get(tone, "Too few examples to tell whether randomness helps")


def _flags(doubts: Sequence[Raised]) -> str:
    names = list(dict.fromkeys(flag.flag for flag in doubts))
    networks = " and ".join(dict.fromkeys(quoted(flag.network) for flag in doubts))
    return f"red flag{'s' * (len(names) > 1)} {', '.join(names)} on {networks}"


def _basis(records: Records, claim: Claim, rival: Claim | None, *, claims: int, peers: int) -> list[str]:
    """The attack, the comparison and the examples behind the claim, in sentences."""
    row, random = single.row(records, claim), claim.verdict_draws > 1
    averaged = f" averaged over {row.draws} draws" if row.draws > 1 and random else ""
    winner = f" (mostly {quoted(next(iter(row.winners)))})" if row.winners else ""
    setting = f"Under {quoted(row.attack)}{winner}{averaged} ({row.budget})" + (
        ", one draw per query" if random else ""
    )
    examples = f"{row.examples} examples"
    if rival is None:
        twin = ", without a deterministic twin to compare with" if random else ""
        basis = f"{setting}, on {examples}{twin}."
    else:
        best = f", the best of {peers} twins," if peers > 1 else ""
        name = quoted(rival.network.removeprefix(f"{claim.network}, "))
        basis = f"{setting}; paired with {name}{best} under its own strongest attack, on the same {examples}."
    sentences, repeated = [basis], repeated_row(records, claim)
    if repeated is not None:
        times = Deployment.parse(repeated.deployment).size
        asked = f"If the attacker asks {times} times and"
        if measured(records) == ACCURACY:
            sentences.append(f"{asked} one wrong answer is enough, {_percent(repeated)} stay right.")
        else:
            sentences.append(f"{asked} the worst answer counts, the {measured(records).noun} is {_percent(repeated)}.")
    if claims > 1:
        kind = "random networks" if random else "networks"
        sentences.append(f"{quoted(claim.network)} is the best of {claims} {kind}, selected on these examples.")
    return sentences


def _certainty(records: Records, claim: Claim, rival: Claim | None, difference: Comparison | None) -> Iterator[str]:
    """What the comparison could have missed, and what it is over all seeds, in sentences."""
    if rival is None or difference is None:
        return
    yield sentence_of(difference.power)
    by_seed = over_seeds(records, claim, rival)
    if by_seed is not None:
        overall, seeds = by_seed
        yield f"Over {seeds} seeds, the difference is {overall.points}; {overall.power}."
    yield still_gaining((records, claim), (records, rival))


def sentence_of(text: str) -> str:
    """A text as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def _percent(row: RateRow) -> str:
    rate, _, rest = row.percent.partition(" ")
    return f"{rate} % {rest}"


def _clean(estimate: Estimate) -> str:
    return f" (clean {percent(estimate.clean.rate)} %)" if estimate.clean is not None else ""


def _doubt(estimate: Estimate) -> str:
    return f" (flagged: {', '.join(estimate.flags)})" if estimate.flags else ""
