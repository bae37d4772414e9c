"""Claims that differ in one thing alone: the points of a curve."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from variate.inputs.budget import Budget
from variate.records.file import Records
from variate.records.rows import CLEAN, RateRow
from variate.records.schema import Claim
from variate.report import single

At = Callable[[Claim], float | None]


@dataclass(frozen=True)
class Series:
    """One network under one attack, of which one thing was varied.

    Attributes:
        network, attack: their names.
        setting: what was held, where the attack's name does not say it: options, draws, budget.
        rows: by what was varied, growing.
    """

    network: str
    attack: str
    setting: str
    rows: dict[float, RateRow]


def size(claim: Claim) -> float | None:
    """The size of the budget."""
    return Budget.parse(claim.budget).eps if claim.budget else None


def draws(claim: Claim) -> float | None:
    """How many draws every query of the attack averages over; none of a deterministic network."""
    return float(claim.draws) if claim.draws and claim.verdict_draws > 1 else None


def steps(claim: Claim) -> float | None:
    """How many steps the attack takes."""
    return _number(claim, "steps")


def queries(claim: Claim) -> float | None:
    """How many inputs the attack may ask about."""
    return _number(claim, "queries")


def series(records: Records, at: At, *, fewest: int, part: str | None = None) -> list[Series]:
    """The longest series of each network and attack, judged one draw per query.

    Args:
        records: where the claims are.
        at: what is varied.
        fewest: values that a series must have.
        part: of the records that is preferred, where it holds such series.
    """
    groups: dict[tuple[str, ...], dict[float, Claim]] = {}
    for claim in single.judged(records):
        value = at(claim) if claim.attack != CLEAN else None
        if value is not None:
            groups.setdefault(_held(claim, at), {})[value] = claim
    found = [group for group in groups.values() if len(group) >= fewest]
    preferred = [group for group in found if next(iter(group.values())).part == part]
    longest: dict[tuple[str, str, str], dict[float, Claim]] = {}
    for group in preferred or found:
        claim = next(iter(group.values()))
        key = claim.network, claim.attack, _measure(claim)
        if len(group) > len(longest.get(key, {})):
            longest[key] = group
    return [_series(records, group, at) for group in longest.values()]


def _series(records: Records, group: dict[float, Claim], at: At) -> Series:
    claim = next(iter(group.values()))
    rows = {value: single.row(records, group[value]) for value in sorted(group)}
    return Series(claim.network, claim.attack, ", ".join(_words(claim, at)), rows)


def _held(claim: Claim, at: At) -> tuple[str, ...]:
    """What must be alike: everything but what is varied."""
    options = {name: value for name, value in claim.options.items() if at is not _OPTIONS.get(name)}
    held = [claim.network, claim.fingerprint, claim.inputs, claim.part, claim.attack, str(options), str(claim.seed)]
    held += [str(claim.verdict_draws)]
    held += [_measure(claim) if at is size else str(claim.budget)]
    return (*held, "" if at is draws else str(claim.draws))


def _words(claim: Claim, at: At) -> Iterable[str]:
    for name, option in _OPTIONS.items():
        if name in claim.options and at is not option:
            yield f"{claim.options[name]} {name}"
    if at is not draws and claim.verdict_draws > 1:
        yield f"{claim.draws} draw{'s' * (claim.draws != 1)}"
    if at is not size:
        yield str(claim.budget)


def _measure(claim: Claim) -> str:
    return Budget.parse(claim.budget).measure if claim.budget else ""


def _number(claim: Claim, option: str) -> float | None:
    value = claim.options.get(option)
    return float(value) if isinstance(value, int | float) else None


_OPTIONS: dict[str, At] = {"steps": steps, "queries": queries}
