"""Every parameter a Gaussian, plain training."""

from __future__ import annotations

from torch import nn

from variate.randomization import randomize
from variate.registry import defense


@defense(
    random=True,
    group="ours",
    adversarial=False,
    cite="paradigm of Khan et al. 2019, arXiv:1905.10906 (abstract); design choices are ours",
)
def random(network: nn.Module) -> tuple[nn.Module, str]:
    """Every parameter a Gaussian with learned mean and scale; cross-entropy and a ceiling on the signal-to-noise ratio.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train, and its objective.
    """
    return randomize(network, "normal", scale=0.2), "cross-entropy+snr"
