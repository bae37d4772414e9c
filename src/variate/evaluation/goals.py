"""What a targeted attack aims at: the answers that count as its success, chosen by the evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.evaluation.target import Target
from variate.oracle.oracle import ScoreOracle
from variate.random.keys import Stream
from variate.random.seeding import outputs_under

SOURCE_DRAWS = 10  # draws that the evaluation's own look at a random network averages over


def goal_of(target: Target, goal: str | None, x: Tensor, y: Tensor) -> Tensor | None:
    """The answers to aim at, in the form of labels, (B, ...). Chosen by the evaluation; no query is counted.

    Args:
        target: the network.
        goal: of classes, where no goal is the true label: the ``next`` label, a ``random`` other label, the
            ``least-likely`` by the averaged scores, or a label, replaced by the next one where it is the true label;
            of other tasks what ``Task.goal`` reads; None for an untargeted attack.
        x: inputs, shape (B, ...).
        y: labels, shape (B, ...).

    Raises:
        UsageError: for a goal that the task does not have.
        InputError: for one that the network cannot answer, such as a transcript longer than its frames.
    """
    if goal is None:
        return None
    if not target.classifies:
        (outputs,) = outputs_under(target.network, x[:1], Stream("search", target.seed).take(1))  # (1, M)
        width = outputs.shape[-1]
        wanted = target.task.goal(goal, y, width)
        target.task.check(width, wanted)
        return wanted
    oracle = ScoreOracle(
        target.network, draws=SOURCE_DRAWS, stream=Stream("search", target.seed), kind=target.kind, seed=target.seed
    )
    scores = oracle.scores(x)  # (B, K)
    classes = scores.shape[1]
    if goal == "random":
        return (y + 1 + oracle.coins(x).integers("target", (1,), classes - 1)[:, 0]) % classes
    if goal == "least-likely":
        possible = scores.masked_fill(scores.isneginf(), torch.inf)  # no attack reaches a class that is ruled out
        return possible.scatter(1, y[:, None], torch.inf).argmin(1)
    labels = y + 1 if goal == "next" else torch.full_like(y, int(goal))
    if goal.isdecimal() and int(goal) >= classes:
        raise UsageError(f"there is no label {goal}", expected=f"a label from 0 to {classes - 1}")
    return (labels + (labels == y)) % classes
