"""Claims as one draw per query answers them, which is what networks are compared by."""

from __future__ import annotations

from collections.abc import Callable

from variate.records import groups
from variate.records.file import Records
from variate.records.rows import CLEAN, RateRow
from variate.records.schema import Claim
from variate.statistics.rates import Bits, Deployment, rate_of

SINGLE = Deployment("single", 1)
SEEN = ("table", "twins")  # parts of the records that compare networks


def judged(records: Records, *parts: str) -> list[Claim]:
    """The claims whose single answers are shown, of some parts or of all.

    Aimed attacks are left out: their answers are right if they are anything but what was aimed at.
    """
    every = records.once(
        "judged one draw per query", lambda: [claim for claim in groups.shown(records) if _single(records, claim)]
    )
    return [claim for claim in every if not parts or claim.part in parts]


def bits(records: Records, claim: Claim) -> Bits:
    """Right or wrong, by draw and example."""
    return records.answers(claim, SINGLE.source)


def share(records: Records, claim: Claim) -> float:
    """The share of right answers of one draw per query."""
    return records.once(("share", claim.id), lambda: float(bits(records, claim).mean()))


def row(records: Records, claim: Claim) -> RateRow:
    """The rate of one draw per query."""
    return records.once(("row", claim.key), lambda: _row(records, claim))


def _single(records: Records, claim: Claim) -> bool:
    sources = {Deployment.parse(word).source for word in groups.deployments_of(records, claim)}
    return "target" not in claim.options and SINGLE.source in sources


def _row(records: Records, claim: Claim) -> RateRow:
    answers = bits(records, claim)
    rate = rate_of(SINGLE, answers)
    said = (claim.network, claim.attack, claim.options, claim.budget, claim.draws, str(SINGLE))
    return RateRow(*said, rate.rate, rate.low, rate.high, answers.shape[1], claim.part)


def strongest(
    records: Records, network: str, budget: str | None, *, among: Callable[[Claim], bool] = lambda claim: True
) -> Claim | None:
    """The claim that leaves one draw of a network the fewest right answers within a budget; None for no attack."""
    claims = [
        claim
        for claim in _of(records, network)
        if claim.part in SEEN
        and claim.budget == budget
        and (claim.attack == CLEAN) == (budget is None)
        and among(claim)
    ]
    return min(claims, key=lambda claim: share(records, claim), default=None)


def _of(records: Records, network: str) -> list[Claim]:
    """The claims of one network that ``judged`` holds."""

    def by_network() -> dict[str, list[Claim]]:
        groups: dict[str, list[Claim]] = {}
        for claim in judged(records):
            groups.setdefault(claim.network, []).append(claim)
        return groups

    return records.once("judged, by network", by_network).get(network, [])


def random_networks(records: Records) -> list[str]:
    """The networks that were judged over several draws."""
    every = (claim.network for claim in judged(records) if claim.verdict_draws > 1)
    return records.once("random networks", lambda: list(dict.fromkeys(every)))


def budgets(records: Records, network: str) -> list[str]:
    """The budgets within which a network was attacked, in the main table."""
    ours = [claim.budget for claim in _of(records, network) if claim.part == "table"]
    return [budget for budget in dict.fromkeys(ours) if budget is not None]


def attack_words(claim: Claim, *, draws: bool = True) -> str:
    """An attack with its options, as in ``pgd (40 steps, 20 draws)``."""
    said = groups.setting_words(claim)
    words = [said] if said else []
    if draws and claim.verdict_draws > 1 and claim.draws:
        words.append(f"{claim.draws} draw{'s' * (claim.draws != 1)}")
    return f"{claim.attack} ({', '.join(words)})" if words else claim.attack
