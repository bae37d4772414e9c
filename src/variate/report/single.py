"""Claims evaluated with one draw per query, the deployment by which networks are compared."""

from __future__ import annotations

from collections.abc import Callable

from variate.records import groups
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.measure import Measure, measure_of
from variate.records.rows import CLEAN, RateRow, winners_of
from variate.statistics.crossed import Scores
from variate.statistics.rates import Deployment, rate_of

SINGLE = Deployment("single", 1)
SEEN = ("table", "twins")  # parts of the records that compare networks


def judged(records: Records, *parts: str) -> list[Claim]:
    """The claims shown with one-draw answers, from the given parts (default: all).

    Targeted attacks are omitted: their answers count as correct unless they equal the target.
    """
    claims = records.once(
        "judged one draw per query", lambda: [claim for claim in groups.shown(records) if _has_single(records, claim)]
    )
    return [claim for claim in claims if not parts or claim.part in parts]


def bits(records: Records, claim: Claim) -> Scores:
    """Whether each answer is correct, or its score, shape (draws, examples)."""
    return records.answers(claim, SINGLE.source)


def share(records: Records, claim: Claim) -> float:
    """The accuracy (or mean score) of one draw per query."""
    return records.once(("share", claim.id), lambda: float(bits(records, claim).mean()))


def measured(*runs: Records) -> Measure:
    """What the rates that are shown measure."""
    return measure_of(claim.task for records in runs for claim in groups.shown(records))


def row(records: Records, claim: Claim) -> RateRow:
    """The row of one draw per query."""
    return records.once(("row", claim.key), lambda: _row(records, claim))


def _has_single(records: Records, claim: Claim) -> bool:
    sources = {Deployment.parse(word).source for word in groups.deployments_of(records, claim)}
    return "target" not in claim.options and SINGLE.source in sources


def _row(records: Records, claim: Claim) -> RateRow:
    answers = bits(records, claim)
    rate = rate_of(SINGLE, answers)
    fields = (claim.network, claim.attack, claim.options, claim.budget, claim.draws, str(SINGLE))
    counts = (answers.shape[1], claim.part, claim.asked, winners_of(records, claim, SINGLE.source))
    return RateRow(*fields, rate.rate, rate.low, rate.high, *counts)


def strongest(
    records: Records, network: str, budget: str | None, *, among: Callable[[Claim], bool] = lambda claim: True
) -> Claim | None:
    """The claim with the lowest one-draw accuracy of a network within a budget; ``budget=None`` for clean inputs."""
    claims = [
        claim
        for claim in _by_network(records, network)
        if claim.part in SEEN
        and claim.budget == budget
        and (claim.attack == CLEAN) == (budget is None)
        and among(claim)
    ]
    return min(claims, key=lambda claim: share(records, claim), default=None)


def _by_network(records: Records, network: str) -> list[Claim]:
    """The claims of ``judged`` on one network."""

    def by_network() -> dict[str, list[Claim]]:
        groups: dict[str, list[Claim]] = {}
        for claim in judged(records):
            groups.setdefault(claim.network, []).append(claim)
        return groups

    return records.once("judged, by network", by_network).get(network, [])


def random_networks(records: Records) -> list[str]:
    """The networks that were evaluated over several draws."""
    names = (claim.network for claim in judged(records) if claim.verdict_draws > 1)
    return records.once("random networks", lambda: list(dict.fromkeys(names)))


def budgets(records: Records, network: str) -> list[str]:
    """The budgets of the attacks on a network in the main table."""
    ours = [claim.budget for claim in _by_network(records, network) if claim.part == "table"]
    return [budget for budget in dict.fromkeys(ours) if budget is not None]


def attack_words(claim: Claim, *, draws: bool = True) -> str:
    """An attack with its options, as in ``pgd (40 steps, 20 draws)``."""
    setting = groups.setting_words(claim)
    words = [setting] if setting else []
    if draws and claim.verdict_draws > 1 and claim.draws:
        words.append(f"{claim.draws} draw{'s' * (claim.draws != 1)}")
    return f"{claim.attack} ({', '.join(words)})" if words else claim.attack
