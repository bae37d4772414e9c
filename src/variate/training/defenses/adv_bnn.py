"""Adv-BNN: a Bayesian network, adversarially trained."""

from __future__ import annotations

from torch import nn

from variate.random.randomize import randomize
from variate.registry import defense


@defense(
    random=True,
    adversarial=True,
    group="randomized",
    cite="Liu et al. 2019, arXiv:1810.01279",
    differs="The scales start at 0.1 of each tensor's size; in the authors' code at 0.1 whatever its size.",
)
def adv_bnn(network: nn.Module, *, scale: float = 0.1) -> tuple[nn.Module, str]:
    """Every parameter Gaussian; adversarial training plus 0.02 times the divergence from a prior with scale 0.1.

    The authors deploy the mean over draws, so judge it as ``mean-S``.

    Args:
        network: the architecture, initialized.
        scale: initial standard deviation, relative to each tensor's size.

    Returns:
        The network to train and its objective.
    """
    return randomize(network, "normal", scale=scale), "adversarial+kl(prior=0.1):0.02"
