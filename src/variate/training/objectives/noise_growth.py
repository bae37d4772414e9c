"""What makes the learned noise of Learn2Perturb grow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.registry import objective
from variate.training.noise_layers import LearnedNoise


@objective(
    needs="layers", cite="Jeddi et al. 2020, arXiv:2003.01090, the term of its equation 7 as its public code has it"
)
def noise_growth(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Minus the square roots of all learned standard deviations, summed.

    The smaller the noise, the steeper: no size vanishes. The public code weighs it by 1e-4 for each activation, so a
    size that n activations share is worth n times as much.

    Args:
        net: a network with layers of learned noise: see the defense ``learn2perturb``.
        x: unused; every objective has the same arguments.
        y: unused.

    Raises:
        UsageError: for a network without such layers.
    """
    stds = [part.std.flatten() for part in net.modules() if isinstance(part, LearnedNoise)]
    if not stds:
        raise UsageError(
            f"noise-growth needs layers of learned noise, and {type(net).__name__} has none",
            todo="use the defense learn2perturb",
        )
    return -torch.cat(stds).sqrt().sum()
