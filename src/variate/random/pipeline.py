"""Several networks in a row as one: any stage may raise the alarm (veto), or most of them decide (majority)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from variate.errors import UsageError, unknown_name
from variate.inputs.asking import asked
from variate.random.shares import answers_in_shares

PipelineRule = Literal["veto", "majority"]


class Pipeline(nn.Module):
    """Several networks as one, attacked and judged as one: the answer is that of one rule over all stages.

    Every forward pass runs all stages, and every random stage makes a fresh draw. The logits have a gradient, and their
    largest is always the label that the rule gives:

    - ``veto``: ``positive`` exactly if any stage says so. The lead of its logit over the others is the largest lead at
      any stage; the logits of the others are the mean log probabilities of all stages.
    - ``majority``: the mean log probabilities of the stages that gave the most frequent label; of labels that are
      equally frequent, the one with the larger mean log probability over all stages.

    Args:
        stages: modules with the same inputs and classes; shared, not copied.
        rule: ``veto`` or ``majority``.
        positive: the class that raises the alarm, such as 1 for malicious; for ``veto``.
    """

    def __init__(self, stages: Sequence[nn.Module], rule: PipelineRule = "veto", *, positive: int = 1) -> None:
        super().__init__()
        if not stages or not all(isinstance(stage, nn.Module) for stage in stages):
            raise UsageError("a pipeline has no stages, or some that are not networks", expected="one or more modules")
        if rule not in get_args(PipelineRule):
            raise unknown_name("rule of a pipeline", rule, get_args(PipelineRule))
        if isinstance(positive, bool) or not isinstance(positive, int) or positive < 0:
            raise UsageError(f"the positive class is {positive!r}", expected="the index of a class, such as 1")
        self.stages = nn.ModuleList(stages)
        self.rule, self.positive = rule, positive

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to log probabilities of shape (B, K).

        In train mode each stage learns alone, from a random share of the batch: see ``answers_in_shares``.
        """
        if self.training:
            return answers_in_shares(list(self.stages), x)
        logs = torch.stack([asked(stage, x) for stage in self.stages]).log_softmax(-1)  # (S, B, K)
        if logs.shape[-1] <= self.positive:
            raise UsageError(
                f"the positive class is {self.positive}, and the stages have {logs.shape[-1]} classes",
                expected=f"a class below {logs.shape[-1]}",
            )
        return self._of_any(logs) if self.rule == "veto" else _of_most(logs)

    def _of_any(self, logs: Tensor) -> Tensor:
        """The logits of a veto: (S, B, K) to (B, K)."""
        alarm = nn.functional.one_hot(torch.tensor(self.positive), logs.shape[-1]).bool().to(logs.device)  # (K,)
        leads = logs[..., self.positive] - logs.masked_fill(alarm, -torch.inf).amax(-1)  # (S, B)
        others = logs.mean(0)  # (B, K)
        highest = others.masked_fill(alarm, -torch.inf).amax(-1)  # (B,)
        return torch.where(alarm, (highest + leads.amax(0))[:, None], others)


def _of_most(logs: Tensor) -> Tensor:
    """The mean log probabilities of the stages with the most frequent label: (S, B, K) to (B, K)."""
    labels = logs.detach().argmax(-1)  # (S, B)
    votes = nn.functional.one_hot(labels, logs.shape[-1]).sum(0)  # (B, K)
    most = votes == votes.amax(-1, keepdim=True)
    winner = logs.detach().clamp(min=torch.finfo(logs.dtype).min / len(logs)).mean(0)
    winner = winner.masked_fill(~most, -torch.inf).argmax(-1)  # (B,)
    voters = labels == winner  # (S, B)
    return logs.masked_fill(~voters[..., None], 0.0).sum(0) / voters.sum(0)[:, None]


def pipeline(stages: Sequence[nn.Module], rule: PipelineRule = "veto", *, positive: int = 1) -> Pipeline:
    """Several networks as one detector: any stage may raise the alarm (veto), or most of them decide.

    The modes of the stages stay as they are.

    Args:
        stages: modules with the same inputs and classes, any of them random; shared, not copied.
        rule: ``veto``: ``positive`` if any stage says so; ``majority``: the most frequent label.
        positive: the class that raises the alarm, such as 1 for malicious.

    Raises:
        UsageError: for no stages, another rule, or a class that is not an index.

    Example:
        >>> detector = variate.pipeline([nn.Linear(9, 2), variate.randomize(nn.Linear(9, 2))], "veto")
        >>> variate.evaluate(detector, x, y, budget="linf:0.1", attacks=["square"])
    """
    made = Pipeline(stages, rule, positive=positive)
    made.training = False  # the mode of the stages is the user's
    return made
