"""What the votes of a network prove: a certified radius for every example, and rates for deployments and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.certificates.acceptance import Acceptance
from variate.certificates.mechanism import Floats, Mechanism
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.records.certified import Certificate, Proved, ProvedRow, Votes
from variate.records.proofs import sentence_of
from variate.statistics.accepted import certified_radius
from variate.statistics.crossed import Crossed, crossed_counts
from variate.statistics.proved import lowest, majority
from variate.statistics.proved_names import POPULATION, VOTE
from variate.statistics.rates import Deployment, Rate, interval
from variate.statistics.sequential import lowest_always

LEVEL = 0.95  # confidence level of the intervals over examples
TINY = 1e-12  # probability that counts as 0
CURVE = 24  # radii of a curve, from 0 to the largest that the draws can certify


@dataclass(frozen=True)
class Proof:
    """The certificates of a network for some inputs.

    Attributes:
        label: the label that is certified, chosen by draws of its own; -1: abstains. Shape (B,); for answers of several
            parts, one for each, in the shape of the labels; for numbers, and for ``labels(exact=true)``, 1: most draws
            are right, and 0: most are not.
        radius: certified radius of the vote in ``norm``, 0 where it abstains. In the same shape.
        low: lower bound on the probability of the chosen label. In the same shape.
        cast: number of votes that this bound comes from. In the same shape.
        abstained: number of examples, or of parts of answers that count, without a certificate.
        norm: norm of the radii.
        rows: certified rates: ``.deployment``, ``.norm``, ``.radius``, ``.rate`` (the mean over the examples), and
            ``.low``, ``.high`` (a 95 % interval for the population that the examples are from; ``low`` also covers
            certificates that fail, each with probability alpha at most).
        curve: the same at evenly spaced radii.
        sentence: what is certified, for whom, and on what it rests.
    """

    label: Tensor
    radius: Tensor
    low: Tensor
    cast: Tensor
    abstained: int
    norm: str
    rows: list[ProvedRow]
    curve: list[ProvedRow]
    sentence: str


@dataclass(frozen=True)
class Tally:
    """What the votes on all examples say, a number for each of the P parts of each answer, (B * P,).

    Attributes:
        weights: weight of each part in the score of its answer, (B, P): alike, or 0 for one that does not count.
        chosen: the elected labels.
        found: whether the elected label is the true one.
        elected: lower bound on the probability of the elected label.
        right: lower bound on the probability of the true label, which no draw has elected.
        clean: the rate of single votes; None where votes ended early.
        cast: number of votes that bound these probabilities.
    """

    weights: Floats
    chosen: NDArray[np.int64]
    found: NDArray[np.bool_]
    elected: Floats
    right: Floats
    clean: Rate | None
    cast: NDArray[np.int64]

    @classmethod
    def of(cls, batches: Sequence[Votes], alpha: float) -> Tally:
        """From the votes of all batches, in order; an ``alpha`` of 0 is that of a deterministic network: no error."""
        labels, chosen, agreed, right = (
            np.concatenate([np.array(getattr(batch, name)) for batch in batches])
            for name in ("labels", "chosen", "agreed", "right")
        )
        counted = (labels >= 0).reshape(-1, batches[0].parts)  # (B, P)
        weights = counted / counted.sum(1, keepdims=True)
        if batches[0].cast is not None:
            cast = np.concatenate([np.array(batch.cast) for batch in batches])
            elected, true = (lowest_always(votes, cast, alpha) for votes in (agreed, right))
            return cls(weights, chosen, chosen == labels, elected, true, None, cast)
        by_draw = np.sum([batch.by_draw for batch in batches], axis=0)
        n = len(by_draw)
        elected, true = (lowest(votes, n, alpha) if alpha else votes / n for votes in (agreed, right))
        scores = (right.reshape(weights.shape) * weights).sum(1)  # (B,), summed over the draws
        clean = interval(crossed_counts(scores, by_draw.astype(float)), level=LEVEL)
        return cls(weights, chosen, chosen == labels, elected, true, clean, np.full(len(labels), n))

    def by_example(self, values: Floats) -> Floats:
        """The mean of each answer's parts: (B * P,) to (B,)."""
        averaged: Floats = (values.reshape(self.weights.shape) * self.weights).sum(1)
        return averaged


def proof_of(
    certificate: Certificate,
    parts: Sequence[tuple[Mechanism, Sequence[Budget], Sequence[Votes]]],
    deployments: Sequence[str],
    shape: tuple[int, ...],
) -> tuple[Proof, Proved]:
    """What the votes of a certificate prove, and its record.

    Args:
        certificate: how many votes there are, and alpha.
        parts: what the proof rests on, the budgets, all in one norm, and the votes on every example; several where each
            budget has its own votes.
        deployments: deployments, as from ``check_deployments``.
        shape: shape of the labels.
    """
    norm, alpha = parts[0][1][0].norm, certificate.alpha
    tallied = [(mechanism, budgets, Tally.of(votes, alpha)) for mechanism, budgets, votes in parts]
    rows = [
        row
        for mechanism, budgets, tally in tallied
        for budget in budgets
        for row in _rows(mechanism, tally, budget, deployments, certificate)
    ]
    mechanism, _, tally = tallied[0]  # whose labels are those of all
    curve = (
        rows if mechanism.apart or certificate.early_stop else _curve(mechanism, tally, certificate, norm, deployments)
    )
    counted = tally.weights.flatten() > 0
    radius = np.max([part.radius(own.elected, norm) for part, _, own in tallied], axis=0) * counted  # (B * P,)
    low = np.max([own.elected for _, _, own in tallied], axis=0)
    label = np.where(radius > 0, tally.chosen, -1)
    sentence = sentence_of(certificate, norm)
    cast = np.max([own.cast for _, _, own in tallied], axis=0)
    of_parts = shape if np.prod(shape) == len(label) else tally.weights.shape[:1]
    tensors = [torch.from_numpy(values.reshape(of_parts)) for values in (label, radius, low, cast)]
    abstained = int((counted & (radius <= 0)).sum())
    proof = Proof(tensors[0], tensors[1], tensors[2], tensors[3], abstained, norm, rows, curve, sentence)
    line = Proved(
        certificate=certificate.id,
        norm=norm,
        radii=[round(float(r), 5) for r in np.where(tally.found, radius, 0.0)],
        abstained=abstained,
        rows=rows,
        curve=curve,
    )
    return proof, line


def _curve(
    mechanism: Mechanism, tally: Tally, certificate: Certificate, norm: str, deployments: Sequence[str]
) -> list[ProvedRow]:
    """Certified rates at evenly spaced radii, from 0 to the largest that so many votes can certify."""
    most = float(mechanism.radius(lowest(certificate.draws, certificate.draws, certificate.alpha), norm))
    sizes = dict.fromkeys(_written(norm, most * i / CURVE) for i in range(CURVE + 1))
    uses = [deployment for deployment in deployments if deployment != POPULATION]
    budgets = [Budget.parse(f"{norm}:{size}") for size in sizes]
    return [row for budget in budgets for row in _rows(mechanism, tally, budget, uses, certificate)]


def check_deployments(deployments: Sequence[str]) -> list[str]:
    """The deployments as they are written. Raises ``UsageError`` for one that has no certificate."""
    checked = []
    for text in deployments:
        if certified_radius(text) is not None:
            checked.append(text)
            continue
        if text not in (VOTE, POPULATION) and Deployment.parse(text).rule == "mean":
            raise UsageError(
                f"{text} has no certificate: a mean of probabilities is not a vote",
                expected=f"{VOTE}, single, survive-N, majority-S, certified-R",
                todo=f"votes_of={Deployment.parse(text).size} lets the mean of so many draws cast each vote",
            )
        checked.append(text if text in (VOTE, POPULATION) else str(Deployment.parse(text)))
    return checked


def _rows(
    mechanism: Mechanism, tally: Tally, budget: Budget, deployments: Sequence[str], certificate: Certificate
) -> list[ProvedRow]:
    """The certified rate of every deployment within a budget."""
    rows = []
    for deployment in deployments:
        if deployment == POPULATION and tally.clean is not None:
            ends = mechanism.remains(np.array([tally.clean.rate, tally.clean.low, tally.clean.high]), budget)
            rate, low, high = (float(end) for end in ends)
        else:
            found = _mean(_values(mechanism, deployment, tally, budget, certificate))
            rate, low, high = found.rate, max(found.low - certificate.alpha, 0.0), found.high
        wrong = _wrong(mechanism, deployment, tally, budget, certificate)
        rows.append(
            ProvedRow(
                deployment=deployment, norm=budget.norm, radius=budget.eps, rate=rate, low=low, high=high, wrong=wrong
            )
        )
    return rows


def _values(mechanism: Mechanism, deployment: str, tally: Tally, budget: Budget, certificate: Certificate) -> Floats:
    """The certified score of each answer, which is the probability that a part is right, averaged over parts: (B,)."""
    if deployment == VOTE:
        return tally.by_example((tally.found & (mechanism.remains(tally.elected, budget) > 0.5)).astype(np.float64))
    left = mechanism.remains(tally.right, budget)
    accepted = acceptance_of(mechanism, certificate, budget.norm, deployment)
    if accepted is not None:
        return accepted.right(left)
    usage = Deployment.parse(deployment)
    if usage.rule == "survive":
        left = np.asarray(left**usage.size)
    elif usage.rule == "majority":
        left = majority(left, usage.size)
    return tally.by_example(left)


def _wrong(
    mechanism: Mechanism, deployment: str, tally: Tally, budget: Budget, certificate: Certificate
) -> float | None:
    """The largest rate of wrong answers of a deployment that may abstain, at the upper end; None for any other."""
    accepted = acceptance_of(mechanism, certificate, budget.norm, deployment)
    if accepted is None:
        return None
    return min(_mean(accepted.wrong(mechanism.remains(tally.right, budget))).high + certificate.alpha + TINY, 1.0)


def _mean(values: Floats) -> Rate:
    """The mean over the examples with its interval; what is too small to square is 0."""
    values = np.where(values > TINY, values, 0.0)
    return interval(Crossed(values, values.mean(keepdims=True), 0.0), level=LEVEL)


def acceptance_of(mechanism: Mechanism, certificate: Certificate, norm: str, deployment: str) -> Acceptance | None:
    """The rule of a deployment ``certified-R`` with so many votes; None for any other deployment."""
    size = certified_radius(deployment)
    if size is None:
        return None
    radius, votes = Budget.parse(f"{norm}:{size}"), (certificate.choosing, certificate.draws)
    return Acceptance(mechanism, radius, *votes, certificate.alpha, certificate.votes_of)


def _written(norm: str, size: float) -> str:
    return str(int(size)) if norm in ("l0", "words") else f"{size:.4g}"
