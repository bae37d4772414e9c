"""Adversarial training of the deterministic network."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(random=False, adversarial=True, group="adversarial training", cite="Madry et al. 2018, arXiv:1706.06083")
def at(network: nn.Module) -> tuple[nn.Module, str]:
    """Adversarial training with PGD; deterministic.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "adversarial"
