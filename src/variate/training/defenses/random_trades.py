"""Every parameter Gaussian, trained with TRADES."""

from __future__ import annotations

from torch import nn

from variate.random.randomize import randomize
from variate.registry import defense


@defense(
    random=True,
    adversarial=True,
    group="ours",
    cite="ours; the loss: Zhang et al. 2019, arXiv:1901.08573",
)
def random_trades(network: nn.Module, *, scale: float = 0.2) -> tuple[nn.Module, str]:
    """Every parameter Gaussian; TRADES with one fresh draw per batch, capped signal-to-noise ratio.

    Args:
        network: the architecture, initialized.
        scale: initial standard deviation, relative to each tensor's size.

    Returns:
        The network to train and its objective.
    """
    return randomize(network, "normal", scale=scale), "trades+snr"
