"""TRADES on the deterministic network."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=True,
    group="adversarial training",
    cite="Zhang et al. 2019, arXiv:1901.08573",
    differs="The inner attack begins at a random point of the whole budget, the authors' within 0.001 of the input.",
)
def trades(network: nn.Module) -> tuple[nn.Module, str]:
    """Cross-entropy on clean inputs, and agreement with the answers to adversarial ones; no randomness.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train, and its objective.
    """
    return network, "trades"
