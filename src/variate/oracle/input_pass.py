"""A pass through a network whose gradient ends at the inputs, for modules that other libraries call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from variate.errors import UsageError
from variate.random.slope import no_gradient

Scores = Callable[[Tensor], Tensor]


def scores_at(x: Tensor, scores: Scores, average: str, draws: int, counted: Callable[[Tensor], None]) -> Tensor:
    """Scores at inputs, in their dtype and on their device; differentiable with respect to them, and to nothing else.

    Parameters never get a gradient, however a library calls backward.

    Args:
        x: inputs, shape (B, ...).
        scores: the pass: inputs to scores, (B, ...) to (B, K).
        average: how draws become one, for the error if that has no gradient.
        draws: number of draws.
        counted: called with the inputs at every backward pass.

    Raises:
        UsageError: if a gradient is asked for and the average has none.
        GradientError: if the network has none.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        passed: Tensor = _InputPass.apply(x, scores, average, draws, counted)  # type: ignore[no-untyped-call]
        return passed
    with torch.no_grad():
        return scores(x).to(x)


class _InputPass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scores: Scores, average: str, draws: int, counted: Callable[[Tensor], None]
    ) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_(True)
            values = scores(leaf)
        if not values.requires_grad and draws > 1 and average in ("majority", "zero-one"):
            raise UsageError(
                f"the average {average!r} has no gradient",
                todo="average loss, logits or probability, or use an attack that needs no gradients",
            )
        if not values.requires_grad:
            raise no_gradient()
        ctx.counted, ctx.leaf, ctx.values = counted, leaf, values
        return values.detach().to(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
        # retained, since a library may compute the gradient of each class from one forward pass
        (gradient,) = torch.autograd.grad(
            ctx.values, ctx.leaf, slope.to(ctx.values), retain_graph=True, allow_unused=True
        )
        if gradient is None:
            raise no_gradient()
        ctx.counted(ctx.leaf)
        return gradient, None, None, None, None
