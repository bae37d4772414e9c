"""The term that aligns the noise of WCA with the weights of the next layer."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.registry import objective
from variate.training.noise_layers import CorrelatedNoise, Surrounded


@objective(labels=False, needs="layers", cite="Eustratiadis et al. 2021, arXiv:2010.08852, as in its public code")
def weight_covariance(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Minus the log of sum(diag(W Sigma W^T)), the variance that the noise adds to all logits together.

    Args:
        net: a network with correlated noise in front of a linear layer: see the defense ``wca``.
        x: unused; all objectives have the same arguments.
        y: unused.

    Raises:
        UsageError: if the network has no such layer.
    """
    factors = [
        cast(Tensor, module.layer.weight) @ module.front.factor  # W L, (K, D)
        for module in net.modules()
        if isinstance(module, Surrounded) and isinstance(module.front, CorrelatedNoise)
    ]
    if not factors:
        raise UsageError(
            f"weight-covariance needs correlated noise before a linear layer, but {type(net).__name__} has none",
            todo="use the defense wca",
        )
    return -torch.stack([factor.square().sum() for factor in factors]).sum().log()
