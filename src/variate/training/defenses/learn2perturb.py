"""Learn2Perturb: noise of learned size on the features."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.ranges import check_above_zero
from variate.training.defenses.parts.surgery import layers, replaced
from variate.training.noise_layers import LearnedNoise, Surrounded

FLOOR = 0.01  # where the authors' code clips the standard deviation


@defense(
    random=True,
    adversarial=True,
    group="randomized",
    cite="Jeddi et al. 2020, arXiv:2003.01090",
    differs="The paper alternates steps on weights and noise; here one loss trains both from the first epoch, and the "
    "weight of the noise term is constant. There is one learned size per channel after every convolution; in the "
    "authors' code one per activation, after the first convolution and every residual block. The inner attack uses the "
    "label, in the authors' code the network's own answer.",
)
def learn2perturb(network: nn.Module, *, std: float = 0.25) -> tuple[nn.Module, str]:
    """Gaussian noise of learned, rewarded size after every convolution; half clean, half adversarial training.

    As in the authors' code, all examples of a batch share the noise.

    Args:
        network: the architecture, initialized.
        std: initial standard deviation of the noise, above 0.01.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: if the network has no convolutions.
    """
    check_above_zero("std - 0.01", std - FLOOR)
    noisy = {
        layer: Surrounded(layer, behind=LearnedNoise(layer.weight, layer.out_channels, std=std, floor=FLOOR))
        for layer in layers(network, nn.Conv2d)
    }
    return replaced(network, noisy), "cross-entropy:0.5+adversarial:0.5+noise-growth:0.01"
