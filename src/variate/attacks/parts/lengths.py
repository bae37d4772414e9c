"""Lengths that neither underflow nor overflow on the way: a gradient may be as small as the logits it comes from."""

from __future__ import annotations

from torch import Tensor


def lengths(values: Tensor, order: float) -> Tensor:
    """The norm of each row of values: (..., D) to (...)."""
    largest = values.abs().amax(-1, keepdim=True)
    scaled = values / largest.where(largest > 0, 1.0)
    norms: Tensor = largest[..., 0] * scaled.norm(p=order, dim=-1)
    return norms


def unit(values: Tensor, order: float) -> Tensor:
    """Each example scaled to norm 1, and zero where it is zero: (B, ...) to (B, ...)."""
    flat = values.flatten(1)
    largest = flat.abs().amax(1, keepdim=True)
    scaled = flat / largest.where(largest > 0, 1.0)
    norms = scaled.norm(p=order, dim=1, keepdim=True)  # at least 1, or 0
    normed: Tensor = (scaled / norms.where(norms > 0, 1.0)).view_as(values)
    return normed
