"""RSE: random self-ensemble."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.noise import GaussianNoise
from variate.training.defenses.parts.ranges import above_zero
from variate.training.defenses.parts.surgery import layers, replaced
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Liu et al. 2018, arXiv:1712.00673",
    differs="The first noise comes after the network's own normalization, if it has one, so it is in those units.",
)
def rse(network: nn.Module, *, first: float = 0.2, inner: float = 0.1) -> tuple[nn.Module, str]:
    """Gaussian noise of fixed size in front of every convolution, in training and after; plain cross-entropy.

    The authors deploy the mean over draws: judge it as ``mean-S``. In eval mode all examples of a batch share a draw.

    Args:
        network: the architecture, initialized.
        first: standard deviation in front of the first convolution.
        inner: in front of the others.

    Returns:
        The network to train, and its objective.

    Raises:
        UsageError: for a network without convolutions.
    """
    above_zero("first", first)
    above_zero("inner", inner)
    found = layers(network, nn.Conv2d)
    stds = [first, *(inner for _ in found[1:])]
    noisy = {layer: Surrounded(layer, front=GaussianNoise(std)) for layer, std in zip(found, stds, strict=True)}
    return replaced(network, noisy), "cross-entropy"
