"""A suite on one batch: attack after attack on what is not broken yet, the worst input of each example kept.

The worst is chosen by scores averaged over draws of the search, the same for all candidates: the lowest share of right
answers, then the largest mean margin. An example is broken once it is wrong under every one of these draws. The verdict
is not spoken here, and uses other draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.evaluation.plan import Target, perturb
from variate.evaluation.suites import Suite
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, margin, reached
from variate.oracle.queries import Queries
from variate.random.keys import Stream, hash_words
from variate.random.seeding import outputs_under
from variate.records.rows import CLEAN, label_of

DRAWS = 64  # of the search, that candidates are compared by
Told = Callable[[str, int, int], None]  # attack, examples that it is run on, forward passes so far


@dataclass(frozen=True)
class Outcome:
    """What a suite leaves of a batch.

    Attributes:
        perturbed: the worst input of each example, shape (B, ...).
        chosen: the attack that found it, ``clean`` if none did better than the original, shape (B,).
        shares: by example, the share of right answers that each attack left, of those that were run on it.
        queries: what all attacks and the comparisons asked.
    """

    perturbed: Tensor
    chosen: list[str]
    shares: list[dict[str, float]]
    queries: Queries


class Comparison:
    """Scores of candidates over draws of the search that are the same for all.

    Args:
        target: the network.
        y: labels, shape (B,).
        goal: the labels that aimed attacks want, shape (B,); None if they do not aim.
    """

    def __init__(self, target: Target, y: Tensor, goal: Tensor | None = None) -> None:
        stream = Stream("search", hash_words("comparison", target.seed))
        self.keys = stream.take(1 if target.kind == "deterministic" else DRAWS)
        self._target, self._y, self._goal = target, y, goal

    def scores(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The share of right answers and the mean margin of inputs for the examples ``rows``: (B,) each."""
        y, goal = self._y[rows], None if self._goal is None else self._goal[rows]
        logits = outputs_under(self._target.network, x, self.keys)  # (S, B, K)
        share = 1 - reached(logits.argmax(-1), y, goal).to(x).mean(0)
        loss, labels = aimed(margin, y, goal)
        return share, torch.stack([loss(one, labels) for one in logits]).mean(0)


def cascade(
    target: Target, suite: Suite, budget: Budget, x: Tensor, y: Tensor, goal: Tensor | None, told: Told
) -> Outcome:
    """Run a suite on one batch.

    Args:
        target: the network.
        suite: the attacks.
        budget: the norm and the size.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        goal: the labels that the suite aims at, shape (B,); None if it does not aim.
        told: called before each attack.
    """
    comparison = Comparison(target, y, goal)
    queries = Queries(len(x))
    everyone = torch.arange(len(x), device=x.device)
    worst, chosen = x.clone(), [CLEAN] * len(x)
    share, gap = comparison.scores(x, everyone)
    queries.count(everyone, comparison.keys, forwards=1, backwards=0, again=True)
    shares: list[dict[str, float]] = [{} for _ in chosen]
    for plan in suite.plans:
        rows = everyone[share > 0]
        name = label_of(plan.attack, plan.source)
        told(name, len(rows), int(queries.forwards.sum()))
        if not len(rows):
            continue
        found, oracle = perturb(target, plan, budget, x[rows], y[rows], None if goal is None else goal[rows])
        queries.merge(oracle.queries, rows)
        left, gained = comparison.scores(found, rows)
        queries.count(rows, comparison.keys, forwards=1, backwards=0, again=True)
        better = (left < share[rows]) | ((left == share[rows]) & (gained > gap[rows]))
        for i, row in enumerate(rows.tolist()):
            shares[row][name] = round(float(left[i]), 4)
            chosen[row] = name if better[i] else chosen[row]
        at = rows[better]
        worst[at], share[at], gap[at] = found[better], left[better], gained[better]
    return Outcome(worst, chosen, shares, queries)
