"""Layers whose random parameter acts on the input itself: a shift of its values, or a mask that hides most of them.

In front of any network they make the noise that certificates need (``variate.certificates``) a parameter like every
other: drawn anew at each forward, with a key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError
from variate.inputs.words import hidden_word


class Shift(nn.Module):
    """Adds its bias to the input: z = x + bias. With a random bias, this is the noise of randomized smoothing.

    The bias starts at 0. Give it a standard deviation that training leaves alone, in units of the input:
    ``randomize(nn.Sequential(Shift((1, 28, 28)), net), {"0.bias": "normal(scale=0.25, learn=no)", "*": "normal"})``.

    Args:
        shape: shape of one input.
        levels: number of steps between 0 and 1 to which inputs and bias are rounded, 255 for 8-bit images; the noise is
            then a discrete Gaussian. For inputs on that grid every sum is exact, so a certificate does not depend on
            floating-point rounding. The gradient ignores the rounding. None: no rounding.

    Example:
        >>> Shift((2,))(torch.tensor([[0.25, 0.5]]))
        tensor([[0.2500, 0.5000]], grad_fn=<AddBackward0>)
    """

    def __init__(self, shape: Sequence[int], *, levels: int | None = None) -> None:
        super().__init__()
        if levels is not None and (isinstance(levels, bool) or not isinstance(levels, int) or levels < 1):
            raise UsageError(f"levels is {levels!r}", expected="a whole number from 1, such as 255, or None")
        self.levels = levels
        self.bias = nn.Parameter(torch.zeros(_checked(shape)))

    def forward(self, x: Tensor) -> Tensor:
        """Add the bias to inputs of shape (B, *shape). Raises ``InputError`` for another shape."""
        if x.shape[1:] != self.bias.shape:
            raise InputError(
                f"Shift has the shape {tuple(self.bias.shape)}, but inputs have {tuple(x.shape[1:])}",
                expected=f"inputs of shape (B, {', '.join(map(str, self.bias.shape))})",
            )
        shifted = x + self.bias
        if self.levels is None:
            return shifted
        rounded = ((x * self.levels).round() + (self.bias * self.levels).round()) / self.levels
        return rounded.detach() + (shifted - shifted.detach())  # the last term is 0, and carries the gradient

    def extra_repr(self) -> str:
        """Shape and levels."""
        return f"{tuple(self.bias.shape)}" + ("" if self.levels is None else f", levels={self.levels}")


class Mask(nn.Module):
    """Hides all but ``keep`` values of the input, chosen at random: randomized ablation.

    The values with the largest ``order`` stay. With a random ``order`` (any family of independent elements, alike for
    all), every subset of ``keep`` positions is equally likely: ``{"0.order": "normal(scale=1, learn=no)"}``.

    Args:
        shape: shape of the positions: trailing dimensions of an input, such as (28, 28) for images, where all channels
            of a pixel are hidden together, (T, 1) for texts in either form, and (D,) for tables.
        keep: number of positions that stay, from 1 to all but one.
        hidden: value of hidden positions; in texts 0 is the padding.

    Example:
        >>> Mask((3,), keep=2)(torch.ones(1, 3)).sum()
        tensor(2.)
    """

    def __init__(self, shape: Sequence[int], *, keep: int, hidden: float = 0.0) -> None:
        super().__init__()
        size = math.prod(_checked(shape))
        if isinstance(keep, bool) or not isinstance(keep, int) or not 1 <= keep < size:
            raise UsageError(f"keep is {keep!r}", expected=f"a whole number from 1 to {size - 1}")
        self.keep, self.hidden = keep, hidden
        self.order = nn.Parameter(torch.zeros(tuple(shape)), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Hide positions of inputs (B, ..., *shape); the same for all of a batch. Raises ``InputError``."""
        shape = self.order.shape
        words = x.dim() > len(shape) and shape[-1] == 1 and x.shape[-len(shape) : -1] == shape[:-1]
        if x.dim() <= len(shape) or not (words or x.shape[-len(shape) :] == shape):
            raise InputError(
                f"Mask has the shape {tuple(shape)}, but inputs have {tuple(x.shape[1:])}",
                expected=f"inputs that end in {tuple(shape)}",
            )
        kept = self.order.flatten().topk(self.keep).indices  # (keep,)
        shown = torch.zeros_like(self.order).flatten().scatter(0, kept, 1.0).reshape(shape)
        return torch.where(shown > 0, x, hidden_word(x, self.hidden) if words else self.hidden)

    def extra_repr(self) -> str:
        """Shape, number of kept positions and value of hidden ones."""
        return f"{tuple(self.order.shape)}, keep={self.keep}, hidden={self.hidden:g}"


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not sizes or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise UsageError(f"{shape!r} is not the shape of an input", expected="sizes such as (1, 28, 28)")
    return sizes
