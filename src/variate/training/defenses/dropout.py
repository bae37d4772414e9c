"""Dropout that stays on at inference."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.noise import LastingDropout
from variate.training.defenses.parts.ranges import check_above_zero
from variate.training.defenses.parts.surgery import layers_after_first, replaced
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Wang et al. 2018 (defensive dropout), arXiv:1809.05165; Gal & Ghahramani 2016, arXiv:1506.02142",
    differs="The rate at inference is that of training; defensive dropout tunes it against an attacker. In eval mode "
    "all examples of a batch share the mask.",
)
def dropout(network: nn.Module, *, rate: float = 0.3) -> tuple[nn.Module, str]:
    """Dropout before every linear layer except one that takes the input, in training and after.

    In a convolutional network these are all its linear layers.

    Args:
        network: the architecture, initialized.
        rate: probability that a feature is zeroed, in (0, 1).

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: if the network has no such layer.
    """
    check_above_zero("rate", rate, below=1)
    linear_layers = layers_after_first(network, nn.Linear)
    return replaced(
        network, {layer: Surrounded(layer, front=LastingDropout(rate)) for layer in linear_layers}
    ), "cross-entropy"
