"""Every parameter a Gaussian, adversarial training."""

from __future__ import annotations

from torch import nn

from variate.randomization import randomize
from variate.registry import defense


@defense(
    random=True,
    group="ours",
    adversarial=True,
    cite="paradigm of Khan et al. 2019, arXiv:1905.10906 (abstract); design choices are ours",
)
def random_at(network: nn.Module) -> tuple[nn.Module, str]:
    """Every parameter a Gaussian with learned mean and scale; PGD on fresh draws inside the training.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train, and its objective.
    """
    return randomize(network, "normal", scale=0.2), "adversarial+snr"
