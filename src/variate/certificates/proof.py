"""What was proved of a network: a certified radius for every example, and rates for every deployment and budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from variate.certificates.mechanism import Bits, Floats, Mechanism
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.statistics.proved import lowest, majority
from variate.statistics.rates import Crossed, Deployment, Rate, crossed, interval

VOTE, POPULATION = "vote", "single, by population"
LEVEL = 0.95  # confidence level of the intervals over examples


@dataclass(frozen=True)
class ProvedRate:
    """A certified rate: whatever an attacker does within the budget, the deployment is right at least so often.

    Attributes:
        deployment: ``vote``, the most frequent label of infinitely many draws; ``single``, ``survive-N`` and
            ``majority-S``; or ``single, by population``, from the rate of single draws over all examples.
        norm, radius: the budget.
        rate: the mean over the examples.
        low, high: a 95 % interval for the population that the examples are from; ``low`` also covers certificates
            that fail, each with probability alpha at most.
    """

    deployment: str
    norm: str
    radius: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Proof:
    """The certificates of a network for some inputs.

    Attributes:
        mechanism: what they rest on.
        label: the label that is certified, chosen by draws of its own; -1: abstains. Shape (B,).
        radius: certified radius of the vote in ``norm``, 0 where it abstains. Shape (B,).
        low: lower bound on the probability of ``label``, or of the label that was chosen where it abstains. Shape (B,).
        right: whether each vote was right. Shape (n, B), n the number of votes.
        y: the true labels, shape (B,).
        rows: certified rates.
        norm: norm of the radii.
        alpha: the probability, for each example, with which a certificate may be wrong.
        votes_of: number of weight draws whose mean casts one vote.
        seed: seed of the draws.
    """

    mechanism: Mechanism
    label: Tensor
    radius: Tensor
    low: Tensor
    right: Bits
    y: Tensor
    rows: list[ProvedRate]
    norm: str
    alpha: float
    votes_of: int
    seed: int

    @property
    def sentence(self) -> str:
        """What is certified, for whom, and on what it rests, in one sentence."""
        n, examples = self.right.shape
        cast = "one draw" if self.votes_of == 1 else f"the mean of {self.votes_of} draws of the weights"
        return (
            f"Certified for {examples} examples against any attacker within the given budgets in {self.norm}: the "
            f"random network itself, each vote cast by {cast}, from {n} votes at alpha = {self.alpha:g} an example. "
            f"The proof rests on {self.mechanism.sentence()}, and on draws that are fresh at every answer and unknown "
            "to the attacker; a fixed key or seed in deployment voids it."
        )


def proved_rates(
    mechanism: Mechanism,
    right: Bits,
    certified: Floats,
    budgets: Sequence[Budget],
    deployments: Sequence[str],
    alpha: float,
) -> list[ProvedRate]:
    """The certified rate of every deployment within every budget.

    Args:
        mechanism: what the proof rests on.
        right: whether each vote is right, shape (n, B).
        certified: lower bound on the probability of the certified label where it is the true one, else 0; shape (B,).
        budgets: the budgets.
        deployments: the deployments.
        alpha: the probability with which a bound may be wrong.
    """
    p = lowest(right.sum(0), len(right), alpha)  # (B,): of the true label, which no draw has chosen
    clean = interval(crossed(right)[0], level=LEVEL) if len(right) > 1 else None
    rows = []
    for budget in budgets:
        for deployment in deployments:
            if deployment == POPULATION:
                if clean is None:
                    continue
                rate, low, high = (float(mechanism.remains(np.array(v), budget)) for v in _ends(clean))
                rows.append(ProvedRate(deployment, budget.norm, budget.eps, rate, low, high))
                continue
            values = _values(mechanism, deployment, p, certified, budget)
            found = interval(Crossed(values, values.mean(keepdims=True), 0.0), level=LEVEL)
            low = max(found.low - alpha, 0.0)
            rows.append(ProvedRate(deployment, budget.norm, budget.eps, found.rate, low, found.high))
    return rows


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


def _values(mechanism: Mechanism, deployment: str, p: Floats, certified: Floats, budget: Budget) -> Floats:
    """The certified probability that each example is answered right: (B,)."""
    if deployment == VOTE:
        return (mechanism.remains(certified, budget) > 0.5).astype(np.float64)
    usage, left = Deployment.parse(deployment), mechanism.remains(p, budget)
    if usage.rule == "survive":
        return np.asarray(left**usage.size)
    return left if usage.rule == "single" else majority(left, usage.size)


def _ends(rate: Rate) -> tuple[float, float, float]:
    return rate.rate, rate.low, rate.high


def empty_labels(label: Tensor, radius: Floats) -> Tensor:
    """The labels, with -1 where nothing is certified."""
    return torch.where(torch.from_numpy(radius > 0), label, -1)
