"""RSE: random self-ensemble."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.noise import GaussianNoise
from variate.training.defenses.parts.ranges import check_above_zero
from variate.training.defenses.parts.surgery import layers, replaced
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Liu et al. 2018, arXiv:1712.00673",
    differs="The first noise is added after the network's own normalization, if any, so it is in normalized units.",
)
def rse(network: nn.Module, *, first: float = 0.2, inner: float = 0.1) -> tuple[nn.Module, str]:
    """Gaussian noise of fixed size before every convolution, in training and after; plain cross-entropy.

    The authors deploy the mean over draws, so judge it as ``mean-S``. In eval mode all examples of a batch share the
    noise.

    Args:
        network: the architecture, initialized.
        first: standard deviation before the first convolution.
        inner: standard deviation before the others.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: if the network has no convolutions.
    """
    check_above_zero("first", first)
    check_above_zero("inner", inner)
    convolutions = layers(network, nn.Conv2d)
    stds = [first, *(inner for _ in convolutions[1:])]
    noisy = {layer: Surrounded(layer, front=GaussianNoise(std)) for layer, std in zip(convolutions, stds, strict=True)}
    return replaced(network, noisy), "cross-entropy"
