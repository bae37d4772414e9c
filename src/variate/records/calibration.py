"""Whether a network is right as often as it is sure (Guo et al. 2017, arXiv:1706.04599), from records alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from variate.records.file import Records
from variate.records.schema import Claim
from variate.statistics.rates import Bits, Floats, clopper_pearson
from variate.statistics.resampling import resamples

BINS = 15  # as many as Guo et al. 2017 have, of equal numbers of examples instead of equal widths
EACH = 40  # examples of a bin, where there are as many
FEWEST = 10  # examples in all; with fewer there is nothing to see
SAMPLES = 200  # of a network that is calibrated


@dataclass(frozen=True)
class Bin:
    """Examples that a network was about as sure of.

    Attributes:
        confidence: their mean.
        right: how many of them were answered rightly.
        examples: how many there are.
        low, high: the exact 95 % interval of the share of right answers.
    """

    confidence: float
    right: int
    examples: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.examples


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy are apart, over answers of one deployment.

    Attributes:
        bins: of equal numbers of examples, by growing confidence.
        error: expected calibration error (ECE): the mean over bins of the distance between the two, weighted by
            examples. Chance adds to it, the more the fewer examples there are.
        low, high: its 95 % interval over examples, by the bootstrap, turned about the estimate (Davison & Hinkley 1997,
            section 5.2) so that what chance adds is taken off; from 0 on where the error is no more than ``chance``.
            Simulated coverage: 87 to 96 % for 100 to 1000 examples of networks that are off by 0, 7 and 23 points.
        chance: the error that a perfectly calibrated network of the same confidences stays below in 95 of 100 such
            samples (Bröcker & Smith 2007, "Increasing the reliability of reliability diagrams"): less shows nothing.
        brier: the mean squared distance of the confidence from 1 for right and 0 for wrong answers.
        confidence, accuracy: their means.
        examples: how many.
    """

    bins: list[Bin]
    error: float
    low: float
    high: float
    chance: float
    brier: float
    confidence: float
    accuracy: float
    examples: int


def calibration_of(records: Records, claim: Claim, source: str) -> Calibration | None:
    """The calibration of a deployment under one claim; None where the records keep no or too few confidences."""
    examples = [records.examples[claim.id][i] for i in sorted(records.examples.get(claim.id, {}))]
    if len(examples) < FEWEST or any(source not in line.confidences for line in examples):
        return None
    answers = records.answers(claim, source)  # (G, B)
    asked = np.array([line.example for line in examples]) % len(answers)
    sure = np.array([line.confidences[source] for line in examples])
    return calibration(sure, answers[asked, np.arange(len(examples))])


def calibration(confidences: Floats, right: Bits, *, bins: int = BINS, seed: int = 0) -> Calibration:
    """Confidence against accuracy.

    Args:
        confidences: of the answers, shape (B,), in [0, 1].
        right: whether they were right, shape (B,).
        bins: how many, of equal numbers of examples; fewer where less than forty would be in each.
        seed: of the resampling.
    """
    number = max(1, min(bins, len(right) // EACH))
    order = np.argsort(confidences, kind="stable")
    sure, hit = confidences[order], right[order]
    starts = np.arange(number, dtype=np.int64) * len(right) // number
    error = float(_errors((hit - sure)[None], starts)[0])
    again = _resampled_errors(hit - sure, starts, seed)
    luck = np.random.default_rng(seed).random((SAMPLES, len(right))) < sure
    limit = float(np.quantile(_errors(luck - sure, starts), 0.95))
    low, high = 2 * error - np.quantile(again, [0.975, 0.025])
    return Calibration(
        bins=[_bin(*part) for part in zip(np.split(sure, starts[1:]), np.split(hit, starts[1:]), strict=True)],
        error=error,
        low=0.0 if error <= limit else min(max(float(low), 0.0), error),
        high=min(max(float(high), error), 1.0),
        chance=limit,
        brier=float(np.square(confidences - right).mean()),
        confidence=float(confidences.mean()),
        accuracy=float(right.mean()),
        examples=len(right),
    )


def _errors(gaps: Floats, starts: NDArray[np.int64]) -> Floats:
    """The calibration error of each of R samples: right less confidence, sorted by confidence, (R, B) to (R,)."""
    errors: Floats = np.abs(np.add.reduceat(gaps, starts, axis=1)).sum(1) / gaps.shape[1]
    return errors


def _resampled_errors(gaps: Floats, starts: NDArray[np.int64], seed: int) -> Floats:
    """The calibration errors of resampled examples, the bins staying where they were: (B,) to (R,)."""
    in_bin = np.zeros((len(gaps), len(starts)))  # (B, bins)
    in_bin[np.arange(len(gaps)), np.searchsorted(starts, np.arange(len(gaps)), side="right") - 1] = gaps
    blocks = [np.abs(counts.astype(np.float64) @ in_bin).sum(1) for (counts,) in resamples((len(gaps),), seed)]
    return np.concatenate(blocks) / len(gaps)


def _bin(confidences: Floats, right: Bits) -> Bin:
    hits, total = int(right.sum()), len(right)
    return Bin(float(confidences.mean()), hits, total, *clopper_pearson(hits, total))
