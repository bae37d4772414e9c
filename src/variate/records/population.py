"""What the clean rate of a network with Gaussian input noise proves of its rate under any attack, for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scipy.special import ndtr, ndtri

from variate.inputs.budget import Budget
from variate.records.certified import PopulationBound, ProvedRow
from variate.records.file import Records
from variate.records.groups import shown
from variate.records.rows import CLEAN, RateRow, rows_of
from variate.statistics.notation import percent
from variate.statistics.proved_names import POPULATION


@dataclass(frozen=True)
class PopulationRow:
    """A rate of single draws that is proved for the population of examples, beside the measured one.

    Attributes:
        bound: what it rests on.
        proved: Phi(Phi^-1(p) - t) at the clean rate p and at both ends of its interval.
        measured: what the strongest attack within the same budget has left; None if none was run.
        examples: number of examples of the clean rate.
    """

    bound: PopulationBound
    proved: ProvedRow
    measured: RateRow | None
    examples: int

    @property
    def sentence(self) -> str:
        """What is proved, on what it rests, and what was measured."""
        attacked = "" if self.measured is None else f"; {self.measured.attack} has left {percent(self.measured.rate)} %"
        return (
            f"{self.bound.network}: proved for single draws within {self.bound.budget}: at least "
            f"{percent(self.proved.low)} % are right under any attack{attacked}. It follows from the clean rate and "
            f"{self.bound.noise}; draws must be fresh at every answer and unknown to the attacker."
        )

    def as_json(self) -> dict[str, Any]:
        """The bound as a plain object."""
        facts = self.proved.model_dump(exclude={"wrong"})
        measured = None if self.measured is None else self.measured.rate
        return {"network": self.bound.network, "budget": self.bound.budget, **facts, "measured": measured}


def population_rows(records: Records) -> list[PopulationRow]:
    """The proved rates of all networks that are shown, in the order they were evaluated."""
    return records.once("population", lambda: _rows(records))


def _rows(records: Records) -> list[PopulationRow]:
    found = []
    for bound in records.bounds.values():
        claims = [claim for claim in shown(records, "table") if claim.network == bound.network]
        own = [claim for claim in claims if claim.fingerprint == bound.fingerprint]
        singles = [row for claim in own for row in rows_of(records, claim) if row.deployment == "single"]
        clean = next((row for row in singles if row.attack == CLEAN), None)
        if clean is None:
            continue
        attacked = [row for row in singles if row.budget == bound.budget and "target" not in row.options]
        rate, low, high = (float(ndtr(ndtri(p) - bound.distance)) for p in (clean.rate, clean.low, clean.high))
        budget = Budget.parse(bound.budget)
        proved = ProvedRow(deployment=POPULATION, norm=budget.norm, radius=budget.eps, rate=rate, low=low, high=high)
        found.append(
            PopulationRow(bound, proved, min(attacked, key=lambda row: row.rate, default=None), clean.examples)
        )
    return found
