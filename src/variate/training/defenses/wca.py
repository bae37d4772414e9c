"""WCA: noise at the last layer whose covariance aligns with its weights."""

from __future__ import annotations

import math

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.surgery import layers, replaced, seeded_by
from variate.training.noise_layers import CorrelatedNoise, Surrounded

FEATURES = 32  # of the authors' CIFAR-10 networks, whose noise starts with entries of L up to 1


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Eustratiadis et al. 2021, arXiv:2010.08852",
    differs="The network's own penultimate features, where the authors' code puts a layer of 32 before the last; L "
    "starts as small as gives D features the noise of 32. Nothing but weight decay bounds the last weights and the "
    "noise, as in that code; here it is decoupled, and of all parameters.",
)
def wca(network: nn.Module) -> tuple[nn.Module, str]:
    """Gaussian noise with a learned full covariance on what enters the last linear layer, rewarded along its weights.

    As in the authors' code all examples of a batch share the noise.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train, and its objective.

    Raises:
        UsageError: for a network without linear layers.
    """
    last = layers(network, nn.Linear)[-1]
    with seeded_by(network):
        noise = CorrelatedNoise(last.weight, last.in_features, size=math.sqrt(FEATURES / last.in_features))
    return replaced(network, {last: Surrounded(last, front=noise)}), "cross-entropy+weight-covariance"
