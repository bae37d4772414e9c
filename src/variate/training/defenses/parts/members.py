"""The other members of an ensemble, from the values of the first."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def permuted_copy(network: nn.Module, apart: float = 1.0) -> nn.Module:
    """A copy whose parameters have other values of the same mean and variance.

    v' = mean(v) + sqrt(1 - apart^2) (v - mean(v)) + apart (permuted v - mean(v)), with a random permutation of every
    tensor. It keeps the scale of an initialization.

    Args:
        network: any module.
        apart: 1: only permuted; smaller values stay near the values of the network.
    """
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in copied.parameters():
            order = torch.randperm(parameter.numel()).to(parameter.device)
            permuted = parameter.flatten()[order].view_as(parameter)
            if apart < 1:
                center = parameter.mean()
                permuted = center + math.sqrt(1 - apart**2) * (parameter - center) + apart * (permuted - center)
            parameter.copy_(permuted)
    return copied
