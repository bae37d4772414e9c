"""Cross-entropy on clean inputs."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective


@objective(needs="nothing", cite="")
def cross_entropy(net: nn.Module, x: Tensor, y: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Mean cross-entropy of one fresh draw.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        temperature: divisor of the logits, above 0.
    """
    return F.cross_entropy(net(x) / temperature, y)
