"""What aligns the noise of WCA with the weights that it passes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.registry import objective
from variate.training.noise_layers import CorrelatedNoise, Surrounded


@objective(needs="layers", cite="Eustratiadis et al. 2021, arXiv:2010.08852, as its public code has it")
def weight_covariance(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Minus the logarithm of sum(diag(W Sigma W^T)), the variance that the noise gives the logits, summed over classes.

    Args:
        net: a network with correlated noise in front of a linear layer: see the defense ``wca``.
        x: unused; every objective has the same arguments.
        y: unused.

    Raises:
        UsageError: for a network without such a layer.
    """
    passed = [
        cast(Tensor, part.layer.weight) @ part.front.factor  # W L, (K, D)
        for part in net.modules()
        if isinstance(part, Surrounded) and isinstance(part.front, CorrelatedNoise)
    ]
    if not passed:
        raise UsageError(
            f"weight-covariance needs correlated noise at a linear layer, and {type(net).__name__} has none",
            todo="use the defense wca",
        )
    return -torch.stack([product.square().sum() for product in passed]).sum().log()
