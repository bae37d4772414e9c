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

    def lowest(self, right: Floats, alpha: float) -> Floats:
        """Lower bounds on probabilities, from numbers of votes; exact where alpha is 0, for a deterministic network."""
        return lowest(right, len(self.by_draw), alpha) if alpha else right / len(self.by_draw)


def proof_of(
    certificate: Certificate,
    parts: Sequence[tuple[Mechanism, Sequence[Budget], Sequence[Votes]]],
    deployments: Sequence[str],
) -> tuple[Proof, Proved]:
    """What the votes of a certificate prove, and its record.

    Args:
        certificate: how many votes there are, and alpha.
        parts: what the proof rests on, the budgets, all in one norm, and the votes on every example; several where each
            budget has its own votes.
        deployments: deployments, as from ``check_deployments``.
    """
    rows: list[ProvedRow] = []
    curve: list[ProvedRow] = []
    radius, low, chosen, found = np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    norm = parts[0][1][0].norm
    for mechanism, budgets, votes in parts:
        tally = Tally.of(votes)
        bound = tally.lowest(tally.agreed, certificate.alpha)  # (B,)
        reached = mechanism.radius(bound, norm)
        first = not len(radius)
        low = bound if first else np.maximum(low, bound)
        radius = reached if first else np.maximum(radius, reached)
        chosen, found = tally.chosen, tally.chosen == tally.labels
        rows += [row for budget in budgets for row in _rows(mechanism, tally, budget, deployments, certificate.alpha)]
        if not mechanism.apart:
            most = float(mechanism.radius(lowest(certificate.draws, certificate.draws, certificate.alpha), norm))
            grid = [Budget.parse(f"{norm}:{_written(norm, most * i / CURVE)}") for i in range(CURVE + 1)]
            uses = [deployment for deployment in deployments if deployment != POPULATION]
            curve = [
                row
                for budget in dict.fromkeys(grid)
                for row in _rows(mechanism, tally, budget, uses, certificate.alpha)
            ]
    proof = Proof(
        torch.from_numpy(np.where(radius > 0, chosen, -1)),
        torch.from_numpy(radius),
        torch.from_numpy(low),
        norm,
        rows,
        curve or rows,
        sentence_of(certificate, norm),
    )
    line = Proved(
        certificate=certificate.id,
        norm=norm,
        radii=[round(float(r), 5) for r in np.where(found, radius, 0.0)],
        abstained=int((radius <= 0).sum()),
        rows=rows,
        curve=curve or rows,
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
    right = tally.lowest(tally.right, alpha)  # (B,): of the true label, which no draw has chosen
    elected = np.where(tally.chosen == tally.labels, tally.lowest(tally.agreed, alpha), 0.0)
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
