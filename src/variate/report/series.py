"""Series: claims that differ in one setting alone, the points of a curve."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from variate.inputs.budget import Budget
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import CLEAN, RateRow
from variate.report import single

At = Callable[[Claim], float | None]  # the value of the setting that varies


@dataclass(frozen=True)
class Series:
    """One network under one attack with one varied setting.

    Attributes:
        network, attack: their names.
        setting: the fixed options, draws and budget, in words.
        rows: rows by increasing value of the varied setting.
    """

    network: str
    attack: str
    setting: str
    rows: dict[float, RateRow]


def size(claim: Claim) -> float | None:
    """The size of the budget."""
    return Budget.parse(claim.budget).eps if claim.budget else None


def draws(claim: Claim) -> float | None:
    """Number of draws that each query of the attack averages over; None for a deterministic network."""
    return float(claim.draws) if claim.draws and claim.verdict_draws > 1 else None


def steps(claim: Claim) -> float | None:
    """Number of steps of the attack."""
    return _number(claim, "steps")


def queries(claim: Claim) -> float | None:
    """Number of queries that the attack may use."""
    return _number(claim, "queries")


def series(records: Records, at: At, *, fewest: int, part: str | None = None) -> list[Series]:
    """The longest series of each network and attack, with one draw per query.

    Args:
        records: records with the claims.
        at: the setting that varies.
        fewest: least number of values in a series.
        part: part of the records to prefer if it holds such series.
    """
    groups: dict[tuple[str, ...], dict[float, Claim]] = {}
    for claim in single.judged(records):
        value = at(claim) if claim.attack != CLEAN else None
        if value is not None:
            groups.setdefault(_fixed(claim, at), {})[value] = claim
    long = [group for group in groups.values() if len(group) >= fewest]
    preferred = [group for group in long if next(iter(group.values())).part == part]
    longest: dict[tuple[str, str, str], dict[float, Claim]] = {}
    for group in preferred or long:
        claim = next(iter(group.values()))
        key = claim.network, claim.attack, _measure(claim)
        if len(group) > len(longest.get(key, {})):
            longest[key] = group
    return [_series(records, group, at) for group in longest.values()]


def _series(records: Records, group: dict[float, Claim], at: At) -> Series:
    claim = next(iter(group.values()))
    rows = {value: single.row(records, group[value]) for value in sorted(group)}
    return Series(claim.network, claim.attack, ", ".join(_words(claim, at)), rows)


def _fixed(claim: Claim, at: At) -> tuple[str, ...]:
    """All settings but the varied one; equal within a series."""
    options = {name: value for name, value in claim.options.items() if at is not _OPTIONS.get(name)}
    fixed = [
        claim.network,
        claim.fingerprint,
        claim.inputs,
        claim.task,
        claim.part,
        claim.attack,
        str(options),
        str(claim.seed),
    ]
    fixed += [str(claim.verdict_draws)]
    fixed += [_measure(claim) if at is size else str(claim.budget)]
    return (*fixed, "" if at is draws else str(claim.draws))


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
