"""A pass through a network whose gradient ends at the inputs, for modules that other libraries call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from variate.errors import UsageError

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
        UsageError: if a gradient is asked for and there is none.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        passed: Tensor = _InputPass.apply(x, scores, average, draws, counted)  # type: ignore[no-untyped-call]
        return passed
    with torch.no_grad():
        return scores(x).to(x)


def like_of(network: nn.Module, x: Tensor) -> Tensor:
    """An empty tensor of the dtype and device in which a network takes inputs ``x``."""
    tensors = [tensor for tensor in chain(network.parameters(), network.buffers()) if tensor.is_floating_point()]
    if not x.is_floating_point() or not tensors:
        return x.new_zeros(0)
    return tensors[0].detach().new_zeros(0)


class _InputPass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scores: Scores, average: str, draws: int, counted: Callable[[Tensor], None]
    ) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_(True)
            values = scores(leaf)
        if not values.requires_grad:
            raise UsageError(
                f"the average {average!r} has no gradient"
                if draws > 1
                else "the network's outputs have no gradient with respect to its inputs",
                todo="average loss, logits or probability, or use an attack that needs no gradients",
            )
        ctx.counted, ctx.leaf, ctx.values = counted, leaf, values
        return values.detach().to(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
        # retained, since a library may compute the gradient of each class from one forward pass
        (gradient,) = torch.autograd.grad(ctx.values, ctx.leaf, slope.to(ctx.values), retain_graph=True)
        ctx.counted(ctx.leaf)
        return gradient, None, None, None, None
