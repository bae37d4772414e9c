"""Every parameter Gaussian, trained by variational inference."""

from __future__ import annotations

from torch import nn

from variate.random.randomize import randomize
from variate.registry import defense


@defense(
    random=True,
    adversarial=False,
    group="ours",
    cite="Blundell et al. 2015, arXiv:1505.05424",
    differs="A single Gaussian prior, and a divergence weighted by 0.1 (a cold posterior): with few examples per "
    "parameter, the full bound would leave nothing but the prior.",
)
def random_elbo(network: nn.Module, *, scale: float = 0.2, weight: float = 0.1) -> tuple[nn.Module, str]:
    """Every parameter Gaussian with learned mean and scale; trained on the evidence lower bound, no attacks.

    Args:
        network: the architecture, initialized.
        scale: initial standard deviation, relative to each tensor's size.
        weight: weight of the divergence from the prior; 1 is the bound itself.

    Returns:
        The network to train and its objective.
    """
    return randomize(network, "normal", scale=scale), f"elbo(weight={weight})"
