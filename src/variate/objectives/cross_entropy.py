"""Cross-entropy on the inputs as they are."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective


@objective(needs="nothing", cite="")
def cross_entropy(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of one fresh draw.

    Args:
        net: a network from inputs to logits; a random one draws afresh.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
    """
    return F.cross_entropy(net(x), y)
