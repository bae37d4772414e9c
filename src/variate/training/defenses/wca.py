"""WCA: noise before the last layer whose covariance aligns with the weights."""

from __future__ import annotations

import math

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.surgery import layers, replaced, seeded_by
from variate.training.noise_layers import CorrelatedNoise, Surrounded

FEATURES = 32  # in the authors' CIFAR-10 networks, whose L starts with entries up to 1


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Eustratiadis et al. 2021, arXiv:2010.08852",
    differs="It uses the network's own penultimate features; the authors' code inserts a layer of 32 before the last. "
    "L is initialized so that D features get as much noise as 32. As in that code, only weight decay bounds the "
    "last weights and the noise; here it is decoupled and applies to all parameters.",
)
def wca(network: nn.Module) -> tuple[nn.Module, str]:
    """Gaussian noise of learned covariance before the last linear layer, rewarded along its weights.

    As in the authors' code, all examples of a batch share the noise.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: if the network has no linear layers.
    """
    last = layers(network, nn.Linear)[-1]
    with seeded_by(network):
        noise = CorrelatedNoise(last.weight, last.in_features, size=math.sqrt(FEATURES / last.in_features))
    return replaced(network, {last: Surrounded(last, front=noise)}), "cross-entropy+weight-covariance"
