"""The share of symbols that are wrong, left out or put in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from variate.metrics.metric import Metric, Prepared
from variate.metrics.parts.edits import error_rate, transcripts
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("transcript",), better="low", needs="answers", cite="Levenshtein 1966")
@dataclass(frozen=True)
class CharacterErrorRate(Metric):
    """The character error rate: edits from the answers to the labels, divided by the number of symbols in the labels.

    An edit changes, leaves out or puts in one symbol. All examples are counted together, so that long ones count more;
    above 1 if answers are longer than labels.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def prepared(self, given: Responses) -> Prepared:
        """The rate."""
        return error_rate(self, *transcripts(given))
