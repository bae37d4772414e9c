"""The term that makes the learned noise of Learn2Perturb grow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.registry import objective
from variate.training.noise_layers import LearnedNoise


@objective(
    labels=False,
    needs="layers",
    cite="Jeddi et al. 2020, arXiv:2003.01090, the term in its equation 7, as in its public code",
)
def noise_growth(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Minus the sum of the square roots of all learned standard deviations.

    It is steeper for smaller noise, so no size vanishes. The public code weights it by 1e-4 per activation, so a size
    shared by n activations counts n times as much.

    Args:
        net: a network with layers of learned noise: see the defense ``learn2perturb``.
        x: unused; all objectives have the same arguments.
        y: unused.

    Raises:
        UsageError: if the network has no such layers.
    """
    stds = [module.std.flatten() for module in net.modules() if isinstance(module, LearnedNoise)]
    if not stds:
        raise UsageError(
            f"noise-growth needs layers with learned noise, but {type(net).__name__} has none",
            todo="use the defense learn2perturb",
        )
    return -torch.cat(stds).sqrt().sum()
