"""Every parameter Gaussian, adversarial training."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.distribution import distributed


@defense(
    random=True,
    group="ours",
    adversarial=True,
    cite="paradigm: Khan et al. 2019, arXiv:1905.10906 (abstract); design choices are ours",
)
def random_at(
    network: nn.Module, *, family: str = "normal", scale: float = 0.2, share: str = "element", only: str = "*"
) -> tuple[nn.Module, str]:
    """Every parameter Gaussian with learned mean and scale; adversarial training with PGD on fresh draws.

    Args:
        network: the architecture, initialized.
        family: family of the distributions.
        scale: initial standard deviation, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel`` or ``tensor``, or one for the whole ``network``.
        only: pattern of parameter names; parameters that do not match stay deterministic.

    Returns:
        The network to train and its objective.
    """
    return distributed(network, family=family, scale=scale, share=share, only=only), "adversarial+snr"
