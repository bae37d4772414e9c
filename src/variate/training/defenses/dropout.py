"""Dropout that is left on."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.noise import LastingDropout
from variate.training.defenses.parts.ranges import above_zero
from variate.training.defenses.parts.surgery import behind_the_first, replaced
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Wang et al. 2018 (defensive dropout), arXiv:1809.05165; Gal & Ghahramani 2016, arXiv:1506.02142",
    differs="The rate at inference is that of the training; defensive dropout searches for one against an attacker. In "
    "eval mode all examples of a batch share the mask.",
)
def dropout(network: nn.Module, *, rate: float = 0.3) -> tuple[nn.Module, str]:
    """Dropout in front of every linear layer that does not see the input, in training and after.

    Of a convolutional network these are all its linear layers.

    Args:
        network: the architecture, initialized.
        rate: the chance of a feature to be zeroed, in (0, 1).

    Returns:
        The network to train, and its objective.

    Raises:
        UsageError: for a network without such a layer.
    """
    above_zero("rate", rate, below=1)
    found = behind_the_first(network, nn.Linear)
    return replaced(network, {x: Surrounded(x, front=LastingDropout(rate)) for x in found}), "cross-entropy"
