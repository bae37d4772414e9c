"""Every parameter a Gaussian, plain training."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.distribution import distributed


@defense(
    random=True,
    group="ours",
    adversarial=False,
    cite="paradigm of Khan et al. 2019, arXiv:1905.10906 (abstract); design choices are ours",
)
def random(
    network: nn.Module, *, family: str = "normal", scale: float = 0.2, share: str = "element", only: str = "*"
) -> tuple[nn.Module, str]:
    """Every parameter a Gaussian with learned mean and scale; cross-entropy and a ceiling on the signal-to-noise ratio.

    Args:
        network: the architecture, initialized.
        family: of the random parameters.
        scale: the starting standard deviation, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel``, ``tensor``, or one for the ``network``.
        only: a pattern of the parameters' names; those that it does not match stay deterministic.

    Returns:
        The network to train, and its objective.
    """
    return distributed(network, family=family, scale=scale, share=share, only=only), "cross-entropy+snr"
