"""Broadcasting one value per example over the dimensions of the inputs."""

from __future__ import annotations

from torch import Tensor


def unsqueeze_to(values: Tensor, like: Tensor) -> Tensor:
    """Append dimensions until ``values``, of shape (B,) or (B, C), broadcasts with ``like``, of shape (B, ...)."""
    return values.view(*values.shape, *[1] * (like.dim() - values.dim()))
