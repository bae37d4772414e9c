"""The learned scale of a random parameter: how it is shared, its floor, and its fixed signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import RandomizeError, UsageError

Share = Literal["element", "channel", "tensor", "network"]
ROW = 2**13  # elements summed by one thread
SHARES: tuple[Share, ...] = get_args(Share)


@dataclass(frozen=True)
class Scaling:
    """How the learned tensor ``rho`` becomes the scale s of a parameter tensor.

    s = softplus(rho) + floor * unit; with ``snr``, s then becomes s * unit / (snr * rms(s)). The unit is the current
    size of the tensor (the root mean square of its mean, detached), or 1 if the family's noise multiplies the mean.

    Attributes:
        share: one scale per ``element``, per output ``channel``, per ``tensor``, or one for the whole ``network``, in
            units of each tensor's size.
        floor: minimum scale, as a fraction of the tensor's size: noise that training cannot remove.
        snr: signal-to-noise ratio rms(mean) / rms(scale) at which every tensor is fixed; training decides only where in
            the tensor the noise goes. 0: not fixed.
        scale: initial scale as a fraction of the tensor's size; 0: the ``scale`` argument of ``randomize``.
        learn: whether training changes the scale. Otherwise ``scale`` is the standard deviation itself, in the units of
            the tensor, and stays.
    """

    share: Share = "element"
    floor: float = 0.0
    snr: float = 0.0
    scale: float = 0.0
    learn: bool = True

    def __post_init__(self) -> None:
        if self.share not in SHARES:
            raise UsageError(f"a scale cannot be shared per {self.share!r}", expected=f"one of {', '.join(SHARES)}")
        for name in ("floor", "snr", "scale"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise UsageError(f"{name} is {value!r}", expected="a finite number from 0")
        if not isinstance(self.learn, bool):
            raise UsageError(f"learn is {self.learn!r}", expected="yes or no")
        if not self.learn and (self.needs_unit or not self.scale):
            raise UsageError(
                "a scale that is not learned stays at its value",
                expected="learn=no with scale=..., and without floor, snr or share=network",
            )

    @property
    def plain(self) -> bool:
        """Whether s is just softplus(rho), element by element."""
        return self.share == "element" and not self.needs_unit

    @property
    def needs_unit(self) -> bool:
        """Whether s depends on the size of the tensor."""
        return self.share == "network" or self.floor > 0 or self.snr > 0

    def shape(self, mean: Tensor, channel: int) -> tuple[int, ...]:
        """The shape of ``rho`` for ``mean``; ``channel`` is the dimension of the output channels."""
        if self.share == "element":
            return tuple(mean.shape)
        if self.share == "channel" and mean.dim():
            return tuple(size if i == channel else 1 for i, size in enumerate(mean.shape))
        return ()

    def check_shapes(self, name: str, mean: Tensor, channel: int, rho: Tensor) -> None:
        """Raise ``RandomizeError`` if ``rho`` does not belong to a mean of this shape."""
        expected = self.shape(mean, channel)
        if tuple(rho.shape) != expected:
            raise RandomizeError(
                f"{name} has the shape {tuple(mean.shape)}, but its scale has {tuple(rho.shape)}",
                expected=f"a scale of shape {expected}",
                todo="resize the module before randomize, or randomize the resized one again",
            )

    def initial(self, mean: Tensor, channel: int, scale: float, unit: Tensor) -> Tensor:
        """The ``rho`` that gives the scale ``scale * unit``, or as close as the floor allows."""
        target = max(scale - self.floor, 1e-4 * scale) * (1.0 if self.share == "network" else float(unit))
        return mean.new_full(self.shape(mean, channel), rho_of(target))

    def rows(self, mean: Tensor, channel: int) -> Tensor:
        """The means that share a scale in a row each, in the order of ``rho``: (R, E)."""
        count = math.prod(self.shape(mean, channel))
        return (mean.movedim(channel, 0) if count > 1 else mean).reshape(count, -1)

    def scale_of(self, rho: Tensor, unit: Tensor) -> Tensor:
        """The scale s, broadcastable to the mean, differentiable in ``rho``; ``unit`` is a scalar without gradient."""
        scale = F.softplus(rho) if self.plain else _softplus(rho)
        if self.needs_unit:
            unit = unit.to(scale)
        if self.share == "network":
            scale = scale * unit
        if self.floor:
            scale = scale + self.floor * unit
        if self.snr:
            scale = scale * (unit / (self.snr * mean_square(scale).sqrt()))
        return scale


def rho_of(scale: float) -> float:
    """The rho whose softplus is a scale, stable for small and large values."""
    return scale + math.log(-math.expm1(-scale))


def _softplus(rho: Tensor) -> Tensor:
    """log(1 + exp(rho)) by operations whose last bits do not depend on where torch divides a tensor among threads."""
    return (rho + rho.abs()) / 2 + (-rho.abs()).exp().log1p()


def one(like: Tensor) -> Tensor:
    """The unit of a tensor whose scale does not depend on its size."""
    return torch.ones((), dtype=like.dtype, device=like.device)


def mean_square(tensor: Tensor) -> Tensor:
    """The mean square of all elements: the same bits for any number of threads, which split long sums otherwise."""
    squares = tensor.square().reshape(-1)
    whole = squares.numel() - squares.numel() % ROW
    if not whole:
        return squares.mean()
    rows = squares[:whole].view(-1, ROW).sum(1)  # each by one thread
    return torch.cat([rows, squares[whole:]]).sum() / squares.numel()
