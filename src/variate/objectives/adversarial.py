"""Adversarial training."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective


@objective(needs="perturb", cite="Madry et al. 2018, arXiv:1706.06083, equation 2.1")
def adversarial(net: nn.Module, x: Tensor, y: Tensor, *, perturb: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean cross-entropy on adversarial inputs, under a draw that the inner attack has not seen.

    min over the distribution of E_w max_delta CE(net_w(x + delta), y); the inner PGD takes a fresh draw at every step.

    Args:
        net: a network from inputs to logits; a random one draws afresh.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack, from (x, y) to perturbed inputs; wired by the training.
    """
    return F.cross_entropy(net(perturb(x, y)), y)
