"""Accuracy over draws as a torchmetrics metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from variate.errors import InputError
from variate.evaluation.judge import check_draws, right_answers
from variate.inputs.validation import check_classes, check_labels
from variate.statistics.rates import Deployment, Rate, rate_of

if TYPE_CHECKING:
    Metric: Any
else:
    try:
        from torchmetrics import Metric
    except ImportError:

        class Metric(nn.Module):
            """A minimal replacement if torchmetrics is not installed: states that can be reset."""

            def __init__(self) -> None:
                super().__init__()
                self._states: list[str] = []

            def add_state(self, name: str, default: list[Tensor], dist_reduce_fx: str) -> None:
                """Register a list that ``update`` extends."""
                self._states.append(name)
                setattr(self, name, default)

            def reset(self) -> None:
                """Clear all states."""
                for name in self._states:
                    setattr(self, name, [])


class DrawAccuracy(Metric):  # type: ignore[misc]
    """The rate of right answers over examples and draws, for one deployment of a random network.

    A torchmetrics metric if torchmetrics is installed, otherwise a module with the same methods. Do not pass draws that
    guided an attack.

    Args:
        deployment: ``single``, ``mean-S``, ``majority-S`` or ``survive-N``.

    Example:
        >>> metric = DrawAccuracy("mean-2")
        >>> metric.update(torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]]), torch.tensor([0]))
        >>> float(metric.compute())
        0.5
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    right: list[Tensor]

    def __init__(self, deployment: str = "single") -> None:
        super().__init__()
        self.deployment = Deployment.parse(deployment)
        self.add_state("right", default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, y: Tensor) -> None:
        """Add a batch.

        Args:
            logits: logits of n fresh draws, shape (n, B, K), such as ``net.draws(x, keys)``; n is the same for all
                batches.
            y: labels, shape (B,).

        Raises:
            InputError: for shapes that do not fit, logits that are NaN, and labels that are no classes.
        """
        if logits.dim() != 3 or y.shape != logits.shape[1:2]:
            raise InputError(
                f"logits of shape {tuple(logits.shape)} and labels of shape {tuple(y.shape)}",
                expected="(draws, B, classes) and (B,)",
            )
        if logits.isnan().any():
            raise InputError("these logits contain NaN", todo="check the network that gave them")
        check_labels(y, logits.shape[1])
        check_classes(y, logits.shape[2])
        y = y.long()
        check_draws([self.deployment], len(logits))
        self.right.append(right_answers(self.deployment, logits, y).T)  # (B, n) or (B, n // S)

    def compute(self) -> Tensor:
        """The rate so far, a scalar."""
        return torch.tensor(self.rate().rate)

    def rate(self, level: float = 0.95) -> Rate:
        """The rate so far with its interval, over examples and draws."""
        if len(self.right) == 0:
            raise InputError("there are no answers yet", todo="call update with the logits of a batch first")
        batches = (
            self.right if isinstance(self.right, list) else [self.right]
        )  # torchmetrics concatenates them across processes
        return rate_of(self.deployment, torch.cat(batches).T.cpu().numpy().astype(np.bool_), level=level)
