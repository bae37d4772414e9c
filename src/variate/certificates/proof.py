"""What the votes of a network prove: a certified radius for every example, and rates for deployments and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.certificates.mechanism import Floats, Mechanism
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.records.certified import Certificate, Proved, ProvedRow, Votes
from variate.records.proofs import sentence_of
from variate.statistics.proved import lowest, majority
from variate.statistics.rates import Crossed, Deployment, crossed_counts, interval

VOTE, POPULATION = "vote", "single, by population"
LEVEL = 0.95  # confidence level of the intervals over examples
CURVE = 24  # radii of a curve, from 0 to the largest that the draws can certify


@dataclass(frozen=True)
class Proof:
    """The certificates of a network for some inputs.

    Attributes:
        label: the label that is certified, chosen by draws of its own; -1: abstains. Shape (B,).
        radius: certified radius of the vote in ``norm``, 0 where it abstains. Shape (B,).
        low: lower bound on the probability of the chosen label. Shape (B,).
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
    norm: str
    rows: list[ProvedRow]
    curve: list[ProvedRow]
    sentence: str


@dataclass(frozen=True)
class Tally:
    """The votes on all examples, (B,) each, and the right answers of every vote, (n,)."""

    labels: NDArray[np.int64]
    chosen: NDArray[np.int64]
    agreed: Floats
    right: Floats
    by_draw: Floats

    @classmethod
    def of(cls, batches: Sequence[Votes]) -> Tally:
        """The votes of all batches, in order."""
        columns = [
            np.concatenate([np.array(getattr(batch, name)) for batch in batches])
            for name in ("labels", "chosen", "agreed", "right")
        ]
        by_draw = np.sum([batch.by_draw for batch in batches], axis=0)
        return cls(columns[0], columns[1], columns[2].astype(float), columns[3].astype(float), by_draw.astype(float))


def proof_of(
    mechanism: Mechanism,
    certificate: Certificate,
    votes: Sequence[Votes],
    budgets: Sequence[Budget],
    deployments: Sequence[str],
) -> tuple[Proof, Proved]:
    """What the votes of a certificate prove, and its record.

    Args:
        mechanism: what the proof rests on.
        certificate: how many votes there are, and alpha.
        votes: the votes on every example.
        budgets: budgets to certify, all in one norm.
        deployments: deployments, as from ``check_deployments``.
    """
    tally, norm, alpha, n = Tally.of(votes), budgets[0].norm, certificate.alpha, certificate.draws
    low = lowest(tally.agreed, n, alpha)  # (B,)
    radius = mechanism.radius(low, norm)
    found = tally.chosen == tally.labels
    rows = [row for budget in budgets for row in _rows(mechanism, tally, budget, deployments, alpha)]
    most = float(mechanism.radius(lowest(n, n, alpha), norm))
    grid = [Budget.parse(f"{norm}:{_written(norm, most * i / CURVE)}") for i in range(CURVE + 1)]
    curve = [
        row
        for budget in dict.fromkeys(grid)
        for row in _rows(mechanism, tally, budget, [d for d in deployments if d != POPULATION], alpha)
    ]
    proof = Proof(
        torch.from_numpy(np.where(radius > 0, tally.chosen, -1)),
        torch.from_numpy(radius),
        torch.from_numpy(low),
        norm,
        rows,
        curve,
        sentence_of(certificate, norm),
    )
    line = Proved(
        certificate=certificate.id,
        norm=norm,
        radii=[round(float(r), 5) for r in np.where(found, radius, 0.0)],
        abstained=int((radius <= 0).sum()),
        rows=rows,
        curve=curve,
    )
    return proof, line


def check_deployments(deployments: Sequence[str]) -> list[str]:
    """The deployments as they are written. Raises ``UsageError`` for one that has no certificate."""
    checked = []
    for text in deployments:
        if text not in (VOTE, POPULATION) and Deployment.parse(text).rule == "mean":
            raise UsageError(
                f"{text} has no certificate: a mean of probabilities is not a vote",
                expected=f"{VOTE}, single, survive-N, majority-S",
                todo=f"votes_of={Deployment.parse(text).size} lets the mean of so many draws cast each vote",
            )
        checked.append(text if text in (VOTE, POPULATION) else str(Deployment.parse(text)))
    return checked


def _rows(
    mechanism: Mechanism, tally: Tally, budget: Budget, deployments: Sequence[str], alpha: float
) -> list[ProvedRow]:
    """The certified rate of every deployment within a budget."""
    n = len(tally.by_draw)
    right = lowest(tally.right, n, alpha)  # (B,): of the true label, which no draw has chosen
    elected = np.where(tally.chosen == tally.labels, lowest(tally.agreed, n, alpha), 0.0)
    rows = []
    for deployment in deployments:
        if deployment == POPULATION:
            clean = interval(crossed_counts(tally.right, tally.by_draw), level=LEVEL)
            ends = mechanism.remains(np.array([clean.rate, clean.low, clean.high]), budget)
            rate, low, high = (float(end) for end in ends)
        else:
            values = _values(mechanism, deployment, right, elected, budget)
            found = interval(Crossed(values, values.mean(keepdims=True), 0.0), level=LEVEL)
            rate, low, high = found.rate, max(found.low - alpha, 0.0), found.high
        row = ProvedRow(deployment=deployment, norm=budget.norm, radius=budget.eps, rate=rate, low=low, high=high)
        rows.append(row)
    return rows


def _values(mechanism: Mechanism, deployment: str, right: Floats, elected: Floats, budget: Budget) -> Floats:
    """The certified probability that each example is answered right: (B,)."""
    if deployment == VOTE:
        return (mechanism.remains(elected, budget) > 0.5).astype(np.float64)
    usage, left = Deployment.parse(deployment), mechanism.remains(right, budget)
    if usage.rule == "survive":
        return np.asarray(left**usage.size)
    return left if usage.rule == "single" else majority(left, usage.size)


def _written(norm: str, size: float) -> str:
    return str(int(size)) if norm in ("l0", "words") else f"{size:.4g}"
