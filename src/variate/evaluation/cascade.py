"""Run a suite on one batch: each attack on the examples that are not broken yet, keeping the worst input of each.

The worst input is selected by scores averaged over search draws, the same draws for all candidates: the lowest share of
correct answers, then the largest mean margin. An example is broken once it is misclassified under every one of these
draws. The verdict is computed elsewhere, on other draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.errors import GradientError
from variate.evaluation.plan import Target, perturb
from variate.evaluation.suites import Suite
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, margin, reached
from variate.oracle.queries import Queries
from variate.random.keys import Stream, hash_words
from variate.random.seeding import outputs_under
from variate.records.rows import CLEAN, label_of

DRAWS = 64  # search draws that candidates are compared on
ReportAttack = Callable[[str, int, int], None]  # attack, number of examples it runs on, forward passes so far


@dataclass(frozen=True)
class Outcome:
    """The result of a suite on a batch.

    Attributes:
        perturbed: the worst input of each example, shape (B, ...).
        chosen: attack that produced it, ``clean`` if none improved on the original; length B.
        shares: per example, the share of correct answers after each attack that ran on it.
        queries: queries of all attacks and of the comparisons.
    """

    perturbed: Tensor
    chosen: list[str]
    shares: list[dict[str, float]]
    queries: Queries


class CandidateScorer:
    """Scores candidate inputs over search draws that are the same for all candidates.

    Args:
        target: the network.
        y: labels, shape (B,).
        goal: labels that targeted attacks aim at, shape (B,); None for untargeted attacks.
    """

    def __init__(self, target: Target, y: Tensor, goal: Tensor | None = None) -> None:
        stream = Stream("search", hash_words("comparison", target.seed))
        self.keys = stream.take(1 if target.kind == "deterministic" else DRAWS)
        self._target, self._y, self._goal = target, y, goal

    def scores(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Share of correct answers and mean margin of candidates for the examples ``rows``: (B,) each."""
        y, goal = self._y[rows], None if self._goal is None else self._goal[rows]
        logits = outputs_under(self._target.network, x, self.keys)  # (S, B, K)
        share = 1 - reached(logits.argmax(-1), y, goal).to(x).mean(0)
        loss, labels = aimed(margin, y, goal)
        return share, torch.stack([loss(draw, labels) for draw in logits]).mean(0)


def cascade(
    target: Target, suite: Suite, budget: Budget, x: Tensor, y: Tensor, goal: Tensor | None, report: ReportAttack
) -> Outcome:
    """Run a suite on one batch.

    Args:
        target: the network.
        suite: the attacks.
        budget: the norm and the size.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        goal: labels that the suite aims at, shape (B,); None if it is untargeted.
        report: called before each attack.
    """
    scorer = CandidateScorer(target, y, goal)
    queries = Queries(len(x))
    everyone = torch.arange(len(x), device=x.device)
    worst, chosen = x.clone(), [CLEAN] * len(x)
    share, mean_margin = scorer.scores(x, everyone)
    queries.count(everyone, scorer.keys, forwards=1, backwards=0, again=True)
    shares: list[dict[str, float]] = [{} for _ in chosen]
    for plan in suite.plans:
        rows = everyone[share > 0]
        name = label_of(plan.attack, plan.source)
        report(name, len(rows), int(queries.forwards.sum()))
        if not len(rows):
            continue
        try:
            perturbed, oracle = perturb(target, plan, budget, x[rows], y[rows], None if goal is None else goal[rows])
        except GradientError:
            queries.leave_out(name, rows)
            if len(queries.left_out) == len(suite.plans):
                raise  # nothing attacked the network
            continue
        queries.merge(oracle.queries, rows)
        new_share, new_margin = scorer.scores(perturbed, rows)
        queries.count(rows, scorer.keys, forwards=1, backwards=0, again=True)
        better = (new_share < share[rows]) | ((new_share == share[rows]) & (new_margin > mean_margin[rows]))
        for i, row in enumerate(rows.tolist()):
            shares[row][name] = round(float(new_share[i]), 4)
            chosen[row] = name if better[i] else chosen[row]
        at = rows[better]
        worst[at], share[at], mean_margin[at] = perturbed[better], new_share[better], new_margin[better]
    return Outcome(worst, chosen, shares, queries)
