"""The members of an ensemble: made from the values of the first, and trained on shares of every batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from variate.random.reseeding import reseed_after_fork

reseed_after_fork()


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


def answered_in_shares(members: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Logits (B, K), each example's by one member, chosen at random and evenly.

    A batch with fewer than two examples per member goes to a single member: batch norm needs two.
    """
    first = int(torch.randint(len(members), ()))
    if len(x) < 2 * len(members):
        logits: Tensor = members[first](x)
        return logits
    turns = (torch.randperm(len(x)) + first) % len(members)  # (B,), the member of each example
    shares = [(turns == i).nonzero()[:, 0].to(x.device) for i in range(len(members))]
    answers = [member(x[share]) for member, share in zip(members, shares, strict=True)]
    return torch.cat(answers)[torch.cat(shares).argsort()]  # (B, K), in the order of the batch
