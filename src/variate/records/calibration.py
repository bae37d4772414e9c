"""Calibration from records alone: whether confidence matches accuracy (Guo et al. 2017, arXiv:1706.04599)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from variate.errors import UsageError
from variate.records.claim import Claim
from variate.records.file import Records
from variate.statistics.rates import Bits, Floats, clopper_pearson
from variate.statistics.resampling import resamples

BINS = 15  # as in Guo et al. 2017, but with equal numbers of examples instead of equal widths
EACH = 40  # least number of examples per bin, where there are enough
FEWEST = 10  # examples in total; fewer show nothing
SAMPLES = 200  # simulated samples of a calibrated network


@dataclass(frozen=True)
class Bin:
    """Examples with similar confidence.

    Attributes:
        confidence: mean confidence.
        right: number of correct answers.
        examples: number of examples.
        low, high: exact 95 % interval of the accuracy.
    """

    confidence: float
    right: int
    examples: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return self.right / self.examples


@dataclass(frozen=True)
class Calibration:
    """Distance between confidence and accuracy, over the answers of one deployment.

    Attributes:
        bins: bins with equal numbers of examples, by increasing confidence.
        error: expected calibration error (ECE): the mean over bins of |confidence - accuracy|, weighted by examples.
            Chance inflates it, the more so with fewer examples.
        low, high: basic bootstrap 95 % interval of the error over examples (Davison & Hinkley 1997, section 5.2),
            reflected about the estimate, which removes the inflation by chance. ``low`` is 0 where the error is at
            most ``chance``. Simulated coverage: 87 to 96 % for 100 to 1000 examples of networks that are off by 0, 7
            and 23 points.
        chance: 95 % quantile of the error of a perfectly calibrated network with the same confidences (Bröcker &
            Smith 2007, "Increasing the reliability of reliability diagrams"). A lower error shows nothing.
        brier: mean squared distance of the confidence from 1 for correct and 0 for wrong answers.
        confidence, accuracy: their means.
        examples: number of examples.
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


def answered(records: Records, claim: Claim, source: str) -> tuple[Floats, Bits] | None:
    """Confidence and correctness of one answer of a deployment per example; None if the records hold none or too few.

    None also for answers that may be right in part: a confidence is the probability of being right.
    """
    examples = [records.examples[claim.id][i] for i in sorted(records.examples.get(claim.id, {}))]
    if len(examples) < FEWEST or any(source not in line.confidences for line in examples):
        return None
    answers = records.answers(claim, source)  # (G, B)
    if answers.dtype != np.bool_:
        return None
    draw_of = np.array([line.example for line in examples]) % len(answers)  # the draw whose confidence was kept
    confidences = np.array([line.confidences[source] for line in examples])
    return confidences, answers[draw_of, np.arange(len(examples))].astype(np.bool_)


def calibration(confidences: Floats, right: Bits, *, bins: int = BINS, seed: int = 0) -> Calibration:
    """Compare confidence with accuracy.

    Args:
        confidences: confidence in each answer, shape (B,), in [0, 1].
        right: whether each answer was correct, shape (B,).
        bins: number of bins with equal numbers of examples; fewer if a bin would hold less than forty.
        seed: seed of the resampling.

    Raises:
        UsageError: for scores other than right and wrong.
    """
    if right.dtype.kind == "f":
        raise UsageError("calibration is of right and wrong answers", expected="bits, not scores")
    count = max(1, min(bins, len(right) // EACH))
    order = np.argsort(confidences, kind="stable")
    confidence, correct = confidences[order], right[order]
    starts = np.arange(count, dtype=np.int64) * len(right) // count
    error = float(_errors((correct - confidence)[None], starts)[0])
    resampled = _resampled_errors(correct - confidence, starts, seed)
    simulated = np.random.default_rng(seed).random((SAMPLES, len(right))) < confidence
    limit = float(np.quantile(_errors(simulated - confidence, starts), 0.95))
    low, high = 2 * error - np.quantile(resampled, [0.975, 0.025])
    return Calibration(
        bins=[
            _bin(*part) for part in zip(np.split(confidence, starts[1:]), np.split(correct, starts[1:]), strict=True)
        ],
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
    """Calibration error of each of R samples from ``correct - confidence`` sorted by confidence: (R, B) to (R,)."""
    errors: Floats = np.abs(np.add.reduceat(gaps, starts, axis=1)).sum(1) / gaps.shape[1]
    return errors


def _resampled_errors(gaps: Floats, starts: NDArray[np.int64], seed: int) -> Floats:
    """Calibration errors of resampled examples with the bins kept fixed: (B,) to (R,)."""
    in_bin = np.zeros((len(gaps), len(starts)))  # (B, bins)
    in_bin[np.arange(len(gaps)), np.searchsorted(starts, np.arange(len(gaps)), side="right") - 1] = gaps
    blocks = [np.abs(counts.astype(np.float64) @ in_bin).sum(1) for (counts,) in resamples((len(gaps),), seed)]
    return np.concatenate(blocks) / len(gaps)


def _bin(confidences: Floats, right: Bits) -> Bin:
    hits, total = int(right.sum()), len(right)
    return Bin(float(confidences.mean()), hits, total, *clopper_pearson(hits, total))
