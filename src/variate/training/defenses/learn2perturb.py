"""Learn2Perturb: noise on the features, of learned size."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.ranges import above_zero
from variate.training.defenses.parts.surgery import layers, replaced
from variate.training.noise_layers import LearnedNoise, Surrounded

FLOOR = 0.01  # where the authors' code clips the standard deviation


@defense(
    random=True,
    adversarial=True,
    group="randomized",
    cite="Jeddi et al. 2020, arXiv:2003.01090",
    differs="The paper alternates steps of the weights and of the noise; here one loss trains both, from the first "
    "epoch and with a constant weight of the noise's term. One learned size per channel behind every convolution; in "
    "the authors' code one per activation, behind the first convolution and every residual block. Inputs are attacked "
    "on their label, there on the network's own answer.",
)
def learn2perturb(network: nn.Module, *, std: float = 0.25) -> tuple[nn.Module, str]:
    """Gaussian noise behind every convolution, its size learned and rewarded; half clean, half adversarial.

    As in the authors' code all examples of a batch share the noise.

    Args:
        network: the architecture, initialized.
        std: standard deviation of the noise at the start, above 0.01.

    Returns:
        The network to train, and its objective.

    Raises:
        UsageError: for a network without convolutions.
    """
    above_zero("std - 0.01", std - FLOOR)
    noisy = {
        layer: Surrounded(layer, behind=LearnedNoise(layer.weight, layer.out_channels, std=std, floor=FLOOR))
        for layer in layers(network, nn.Conv2d)
    }
    return replaced(network, noisy), "cross-entropy:0.5+adversarial:0.5+noise-growth:0.01"
