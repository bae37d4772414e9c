"""The answers that a deployment gives: one for each draw, or for each group of draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from variate.errors import InputError, UsageError
from variate.inputs.validation import precise
from variate.statistics.rates import Deployment
from variate.tasks.task import Task

T = TypeVar("T")


@dataclass(frozen=True)
class Responses:
    """Answers of one deployment.

    Attributes:
        task: what they mean.
        outputs: shape (G, N, M): G draws or groups of draws, N examples; G is 1 for a deterministic network.
        y: labels, shape (N, ...).
        deployment: how draws answer.
        members: outputs of the draws of each group, shape (G, S, N, M); None where an answer is that of one draw.
        computed: what several metrics share.
    """

    task: Task
    outputs: Tensor
    y: Tensor
    deployment: Deployment
    members: Tensor | None = None
    computed: dict[str, Any] = field(default_factory=dict, compare=False)

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """What metrics share, computed by the first that needs it."""
        if name not in self.computed:
            self.computed[name] = compute()
        found: T = self.computed[name]
        return found

    @property
    def voted(self) -> bool:
        """Whether an answer is a vote, which has no probabilities."""
        return self.deployment.rule == "majority" and len(self.outputs) > 1


def responses(task: Task, outputs: Tensor, y: Tensor, rule: str | Deployment = "single") -> Responses:
    """The answers under a deployment rule.

    Args:
        task: what the outputs mean.
        outputs: outputs under every verdict draw, shape (n, N, M); n is 1 for a deterministic network, where all rules
            are the same.
        y: labels, shape (N, ...).
        rule: ``single``, ``mean-S`` or ``majority-S``; draws that fill no group are left out.

    Raises:
        InputError: for outputs and labels that do not fit the task or each other.
        UsageError: for another rule, and for fewer than two groups.
    """
    deployment = Deployment.parse(rule)
    if deployment.rule == "survive":
        raise UsageError(
            f"{deployment} is about several answers to one input, and has no metrics",
            expected="single, mean-S or majority-S",
        )
    _check(task, outputs, y)
    outputs = precise(outputs.detach()).cpu()
    y = y.detach().cpu()
    size = deployment.size
    if deployment.rule == "single" or len(outputs) == 1:
        return Responses(task, outputs, y, deployment)
    if len(outputs) < 2 * size:
        raise UsageError(
            f"{len(outputs)} draws are too few for metrics of {deployment}", expected=f"at least {2 * size} draws"
        )
    groups = outputs[: len(outputs) // size * size].reshape(-1, size, *outputs.shape[1:])  # (G, S, N, M)
    together = task.mean if deployment.rule == "mean" else task.majority
    return Responses(task, torch.stack([together(group, y) for group in groups]), y, deployment, groups)


def _check(task: Task, outputs: Tensor, y: Tensor) -> None:
    if not isinstance(outputs, Tensor) or outputs.dim() != 3 or not outputs.is_floating_point() or not outputs.numel():
        shown = f"shape {tuple(outputs.shape)}, {outputs.dtype}" if isinstance(outputs, Tensor) else type(outputs)
        raise InputError(f"the outputs are {shown}", expected="floats of shape (draws, examples, outputs)")
    task.check_labels(y, outputs.shape[1])
    task.check(outputs.shape[-1], y)
    undefined = outputs.isnan().flatten(2).any(2)  # (n, N)
    if bool(undefined.any()):
        draw, example = undefined.nonzero()[0].tolist()
        raise InputError(
            f"{int(undefined.sum())} of {undefined.numel()} outputs are NaN; the first is of draw {draw} and "
            f"example {example}",
            todo="check the network that gave them",
        )
