"""Run a suite on one batch: each attack on the examples that are not broken yet, keeping the worst inputs of each.

Every deployment has a worst input of its own. It is selected by answers to search draws, the same draws for all
candidates: the lowest share of correct answers, then the score that is closest to an error. An example is broken once
every deployment is wrong about one of its inputs under every one of these draws. The verdict is computed elsewhere, on
other draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import GradientError
from variate.evaluation.clock import now
from variate.evaluation.judge import scores_of
from variate.evaluation.plan import perturb
from variate.evaluation.suites import Suite
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.oracle.error_score import error_score
from variate.oracle.losses import reached
from variate.oracle.queries import Queries
from variate.oracle.view import View
from variate.random.keys import Stream, hash_words
from variate.random.seeding import outputs_under
from variate.random.strata import stratified
from variate.records.rows import CLEAN
from variate.statistics.rates import Deployment
from variate.tasks.parts.aimed import aimed_at
from variate.tasks.task import Task

DRAWS = 64  # search draws that candidates are compared on
ReportAttack = Callable[[str, int, int], None]  # attack, number of examples it runs on, forward passes so far


@dataclass(frozen=True)
class Outcome:
    """The result of a suite on a batch.

    Attributes:
        perturbed: the worst input of each example, shape (B, ...), by ``Deployment.source``.
        chosen: attack that produced it, ``clean`` if none improved on the original; length B, by source.
        shares: per example, the share of correct answers of the first deployment after each attack that ran on it.
        queries: queries of all attacks and of the comparisons.
        by_attack: forward passes, backward passes and seconds of each attack that ran, without the comparisons.
    """

    perturbed: dict[str, Tensor]
    chosen: dict[str, list[str]]
    shares: list[dict[str, float]]
    queries: Queries
    by_attack: dict[str, tuple[int, int, float]]


class CandidateScorer:
    """Scores candidate inputs over search draws that are the same for all candidates.

    Args:
        target: the network.
        y: labels, shape (B, ...).
        goal: answers that targeted attacks aim at, shape (B, ...); None for untargeted attacks.
        deployments: D ways to use the network, with different sources. A deterministic network needs only one.
    """

    def __init__(
        self,
        target: Target,
        y: Tensor,
        goal: Tensor | None = None,
        deployments: Sequence[Deployment] = (Deployment("single", 1),),
    ) -> None:
        stream = Stream("search", hash_words("comparison", target.seed))
        draws = max([DRAWS, *(deployment.size for deployment in deployments if deployment.source != "single")])
        self.keys = stratified(target.network, stream.take(1 if target.kind == "deterministic" else draws))
        self._target, self._y, self._goal, self._deployments = target, y, goal, deployments

    def scores(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean score and closeness to an error of candidates for the examples ``rows``: (D, B) each."""
        y, goal = self._y[rows], None if self._goal is None else self._goal[rows]
        logits = outputs_under(self._target.network, x, self.keys)  # (S, B, K)
        if not self._target.classifies:
            return self._task_scores(logits, *aimed_at(self._target.task, y, goal))
        shares, scores = [], []
        for deployment in self._deployments:
            shares.append(1 - reached(_answers(logits, deployment), y, goal).to(x).mean(0))
            score = error_score(logits, y if goal is None else goal, deployment.rule)
            scores.append(score if goal is None else -score)
        return torch.stack(shares), torch.stack(scores)

    def _task_scores(self, outputs: Tensor, task: Task, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same for another task than classes, from outputs (S, B, M)."""
        seen, label = View(task.margin, y).of(outputs), torch.zeros(len(y), dtype=torch.long, device=outputs.device)
        shares = [scores_of(deployment, outputs, y, task).mean(0) for deployment in self._deployments]
        return torch.stack(shares), torch.stack([error_score(seen, label, d.rule) for d in self._deployments])


def _answers(logits: Tensor, deployment: Deployment) -> Tensor:
    """The label of each draw, or of each run of S draws, the last followed by the first: (S, B, K) to (G, B)."""
    if deployment.source == "single" or len(logits) == 1:
        return logits.argmax(-1)
    votes = logits.softmax(-1)
    if deployment.rule == "majority":
        votes = F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)
    around = torch.cat([votes, votes[: deployment.size - 1]])
    return around.unfold(0, deployment.size, 1).mean(-1).argmax(-1)


def cascade(
    target: Target,
    suite: Suite,
    budget: Budget,
    x: Tensor,
    y: Tensor,
    goal: Tensor | None,
    report: ReportAttack,
    deployments: Sequence[Deployment] = (Deployment("single", 1),),
) -> Outcome:
    """Run a suite on one batch.

    Args:
        target: the network.
        suite: the attacks.
        budget: the norm and the size.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        goal: answers that the suite aims at, shape (B, ...); None if it is untargeted.
        report: called before each attack.
        deployments: ways to use the network; each source gets its own worst inputs.
    """
    different = list({deployment.source: deployment for deployment in deployments}.values())
    different = different[:1] if target.kind == "deterministic" else different
    scorer = CandidateScorer(target, y, goal, different)
    queries = Queries(len(x))
    everyone = torch.arange(len(x), device=x.device)
    worst = [x.clone() for _ in different]
    chosen = [[CLEAN] * len(x) for _ in different]
    share, score = scorer.scores(x, everyone)  # (D, B)
    queries.count(everyone, scorer.keys, forwards=1, backwards=0, again=True)
    shares: list[dict[str, float]] = [{} for _ in y]
    by_attack: dict[str, tuple[int, int, float]] = {}
    for plan in suite.plans:
        rows = everyone[(share > 0).any(0)]
        report(plan.label, len(rows), int(queries.forwards.sum()))
        if not len(rows):
            continue
        started = now(x)
        try:
            perturbed, oracle = perturb(target, plan, budget, x[rows], y[rows], None if goal is None else goal[rows])
        except GradientError:
            queries.leave_out(plan.label, rows)
            if len(queries.left_out) == len(suite.plans):
                raise  # nothing attacked the network
            continue
        queries.merge(oracle.queries, rows)
        passes = int(oracle.queries.forwards.sum()), int(oracle.queries.backwards.sum())
        by_attack[plan.label] = *passes, round(now(x) - started, 3)
        new_share, new_score = scorer.scores(perturbed, rows)
        queries.count(rows, scorer.keys, forwards=1, backwards=0, again=True)
        better = (new_share < share[:, rows]) | ((new_share == share[:, rows]) & (new_score > score[:, rows]))
        for i, row in enumerate(rows.tolist()):
            shares[row][plan.label] = round(float(new_share[0, i]), 4)
        for d, improved in enumerate(better):
            at = rows[improved]
            worst[d][at], share[d, at], score[d, at] = (
                perturbed[improved],
                new_share[d, improved],
                new_score[d, improved],
            )
            for row in at.tolist():
                chosen[d][row] = plan.label
    sources = [deployment.source for deployment in different]
    return Outcome(
        dict(zip(sources, worst, strict=True)), dict(zip(sources, chosen, strict=True)), shares, queries, by_attack
    )
