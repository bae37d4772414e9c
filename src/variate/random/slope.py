"""The gradient of a loss in the inputs, which underflows in no precision, and errors where there is none."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.errors import GradientError


def slope_of(value: Tensor, logits: Tensor, leaf: Tensor, together: bool) -> Tensor:
    """The gradient of a loss per example, (B,), with respect to the inputs.

    The gradient in the logits, (S, B, K), goes through the network in units of its largest entry, so that it underflows
    on the way in no precision. The units are powers of two, which round nothing; examples that go ``together``, because
    they may depend on one another, have one unit.

    Raises:
        GradientError: if the loss does not depend on the inputs, or the gradient is not finite.
    """
    if not value.requires_grad or not logits.requires_grad:
        raise no_gradient()
    units: list[Tensor] = []

    def in_units(outer: Tensor) -> Tensor:
        units.append(_unit(outer, together))
        return outer / units[0].view(1, -1, *[1] * (outer.dim() - 2))

    hook = logits.register_hook(in_units)  # type: ignore[no-untyped-call]  # one backward pass instead of two
    try:
        pulled = torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # of an operation of the network's own
        raise GradientError(
            "the backward pass of the network fails",
            findings=[str(error).partition("\n")[0]],
            todo="mend it so that torch.autograd.grad(network(x).sum(), x) works, or use a black-box attack",
        ) from error
    finally:
        hook.remove()
    if pulled is None or not units:
        raise no_gradient()
    slope = pulled * units[0].to(pulled).view(-1, *[1] * (pulled.dim() - 1))
    if not bool(slope.isfinite().all()):
        bad = ~slope.flatten(1).isfinite().all(1)
        raise GradientError(
            f"the network's gradient is NaN or infinite at {int(bad.sum())} of {len(bad)} inputs, although its outputs "
            "are finite",
            todo="look for a root or norm at 0, a division by 0 or an overflow in its forward, or use a black-box "
            "attack (square, noise, hopskipjump)",
        )
    return slope


def _unit(outer: Tensor, together: bool) -> Tensor:
    """The power of two above the largest entry of each example's gradient, (S, B, K), or of all together: (B,).

    1 for a gradient of zeros.
    """
    each = outer.abs().amax((0, *range(2, outer.dim())))
    if together:
        each = each.amax().expand_as(each)
    most = -math.log2(torch.finfo(outer.dtype).tiny)
    return torch.exp2(each.frexp().exponent.clamp(-most, most).to(outer.dtype))


def no_gradient() -> GradientError:
    """The error for a network that has no gradient in its inputs."""
    return GradientError(
        "the network has no gradient: its output does not depend on its input in a differentiable way",
        findings=["torch.no_grad(), inference mode, detach(), .data, numpy, rounding and argmax have no gradient"],
        todo="use a black-box attack (square, noise, hopskipjump), or transfer from a differentiable network",
    )
