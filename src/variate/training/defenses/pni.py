"""PNI: parametric noise injection into the weights."""

from __future__ import annotations

from typing import cast

from torch import nn

from variate.random.randomize import randomize
from variate.random.scale import Share
from variate.registry import defense
from variate.training.defenses.parts.surgery import layers, paths_of


@defense(
    random=True,
    adversarial=True,
    group="randomized",
    cite="He, Rakin & Fan 2019, arXiv:1811.09310",
    differs="The learned scale is absolute and starts at 0.25 of the weight's root mean square; in the paper it is a "
    "factor of the weight's current standard deviation. The authors' code starts attacking after some epochs.",
)
def pni(network: nn.Module, *, share: str = "tensor", scale: float = 0.25) -> tuple[nn.Module, str]:
    """Gaussian noise of learned scale on the weights of convolutions and linear layers; half clean, half adversarial.

    Biases and norms stay deterministic.

    Args:
        network: the architecture, initialized.
        share: one learned scale per ``tensor`` (layer), output ``channel`` or ``element``.
        scale: initial standard deviation, relative to each weight's size.

    Returns:
        The network to train and its objective.
    """
    noisy = paths_of(network, layers(network, nn.Conv2d, nn.Linear))
    families = dict.fromkeys((f"{path}.weight" if path else "weight" for path in noisy), "normal")
    random = randomize(network, {**families, "*": "fixed"}, scale=scale, share=cast(Share, share))
    return random, "cross-entropy:0.5+adversarial:0.5"
