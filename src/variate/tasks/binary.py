"""Yes or no: one logit per example, read as two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.errors import InputError
from variate.registry import task
from variate.tasks.classes import Classes


@task(cite="", labels="0 or 1, shape (B,)", answers="one logit for 1, shape (B,) or (B, 1)")
@dataclass(frozen=True)
class Binary(Classes):
    """Yes or no for every input: one logit, above 0 for 1. Everything else is as for two classes."""

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The logits 0 and z, (B, 2), whose softmax is the sigmoid of z."""
        if answer.shape[1:].numel() != 1:
            raise InputError(
                f"the network returned shape {tuple(answer.shape)}",
                expected="one logit per example, of shape (B,) or (B, 1)",
                todo="the task classes takes two logits or more",
            )
        logit = answer.reshape(-1, 1)
        return torch.cat([torch.zeros_like(logit), logit], 1)

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Labels are 0 or 1."""
        found = list(super().label_findings(y, examples))
        if not found and int(y.max()) > 1:
            found.append(f"y has the label {int(y.max())}: a binary label is 0 or 1")
        return iter(found)

    def width(self, classes: int) -> int:
        """One logit."""
        return 1
