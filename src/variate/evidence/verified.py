"""What came of verifying an evidence file: checks, rates judged again, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from variate.evidence.manifest import Manifest
from variate.metrics.measure import Measured
from variate.records.rows import CLEAN, RateRow
from variate.records.schema import MetricValue
from variate.statistics.comparison import Comparison
from variate.statistics.notation import percent
from variate.statistics.rates import Rate

ALPHA = 0.01  # error of all tests of an evidence file together


@dataclass(frozen=True)
class Check:
    """One thing that must be so.

    Attributes:
        what: what was checked, in words.
        holds: whether it is so.
        findings: what is wrong.
    """

    what: str
    holds: bool
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejudged:
    """A recorded rate beside the one on fresh draws.

    Attributes:
        recorded: the row in the records.
        again: the rate on fresh draws.
        difference: the rate on fresh draws minus the recorded one, with the interval at ``level``.
        draws: number of fresh draws, or groups of draws.
        level: confidence level of the test.
    """

    recorded: RateRow
    again: Rate
    difference: Comparison
    draws: int
    level: float

    @property
    def holds(self) -> bool:
        """Whether the two rates may be the same: the interval of their difference contains 0."""
        return self.difference.low <= 0 <= self.difference.high

    def __str__(self) -> str:
        row = self.recorded
        what = (
            f"clean {row.deployment}" if row.attack == CLEAN else f"{row.deployment} under {row.attack} at {row.budget}"
        )
        return (
            f"{what}: recorded {row.percent}, on {self.draws} fresh draws {self.again}; difference "
            f"{self.difference.points} at {100 * self.level:.4g} %; a change under {percent(self.unseen)} points could "
            "be missed"
        )

    @property
    def unseen(self) -> float:
        """The size of a change that the test may miss, in [0, 1]: half the width of its interval."""
        return (self.difference.high - self.difference.low) / 2


@dataclass(frozen=True)
class Remeasured:
    """A recorded metric beside the one on fresh draws.

    Attributes:
        what: the metric in words.
        recorded: the value in the records.
        again: the value on fresh draws.
        apart: how far apart the two may lie.
    """

    what: str
    recorded: MetricValue
    again: Measured
    apart: float

    @property
    def holds(self) -> bool:
        """Whether the two values lie close enough together."""
        return abs(self.again.value - self.recorded.value) <= self.apart

    def __str__(self) -> str:
        old, new = self.recorded, self.again
        return (
            f"{self.what}: recorded {old.value:.3g} [{old.low:.3g}, {old.high:.3g}], on {new.draws} fresh draws "
            f"{new.value:.3g} [{new.low:.3g}, {new.high:.3g}]; they may lie {self.apart:.3g} apart"
        )


@dataclass(frozen=True)
class Verified:
    """What came of verifying an evidence file.

    Attributes:
        manifest: its manifest.
        checks: hashes, the table, budgets, and the network.
        rates: every rate that was judged again.
        metrics: every metric that was measured again.
        skipped: what cannot be judged again, and why.
        seed: seed of the fresh draws.
    """

    manifest: Manifest
    checks: list[Check]
    rates: list[Rejudged]
    metrics: list[Remeasured]
    skipped: list[str]
    seed: int

    @property
    def holds(self) -> bool:
        """Whether every check and every number that was judged again holds."""
        numbers = all(rate.holds for rate in self.rates) and all(metric.holds for metric in self.metrics)
        return numbers and all(check.holds for check in self.checks)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        words = {True: "holds", False: "does not hold"}
        for check in self.checks:
            yield f"{words[check.holds]}: {check.what}"
            yield from (f"  {finding}" for finding in check.findings)
        yield from (f"{words[rate.holds]}: {rate}" for rate in self.rates)
        yield from (f"{words[metric.holds]}: {metric}" for metric in self.metrics)
        yield from (f"not judged again: {what}" for what in self.skipped)
        if self.rates:
            held = [rate.holds for rate in self.rates] + [metric.holds for metric in self.metrics]
            yield f"{sum(held)} of {len(held)} numbers hold on fresh draws (seed {self.seed})"

    def as_json(self) -> dict[str, Any]:
        """Everything as plain objects."""
        return {
            "holds": self.holds,
            "checks": [asdict(check) for check in self.checks],
            "rates": [{"holds": rate.holds, **asdict(rate)} for rate in self.rates],
            "metrics": [
                {"holds": one.holds, "recorded": one.recorded.model_dump(), "again": one.again.as_json()}
                for one in self.metrics
            ],
            "skipped": self.skipped,
            "seed": self.seed,
        }
