"""TRADES on the deterministic network."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=True,
    group="adversarial training",
    cite="Zhang et al. 2019, arXiv:1901.08573",
    differs="The inner attack starts at a random point in the budget; the authors' starts within 0.001 of the input.",
)
def trades(network: nn.Module) -> tuple[nn.Module, str]:
    """Cross-entropy on clean inputs plus a divergence between clean and adversarial answers; deterministic.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "trades"
