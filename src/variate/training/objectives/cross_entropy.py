"""Cross-entropy on the inputs as they are."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective


@objective(needs="nothing", cite="")
def cross_entropy(net: nn.Module, x: Tensor, y: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Mean cross-entropy of one fresh draw.

    Args:
        net: a network from inputs to logits; a random one draws afresh.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        temperature: that the logits are divided by, above 0.
    """
    return F.cross_entropy(net(x) / temperature, y)
