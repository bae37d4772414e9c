"""No defense: the baseline for all others."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(random=False, adversarial=False, group="none", cite="")
def deterministic(network: nn.Module) -> tuple[nn.Module, str]:
    """The unchanged network, trained with cross-entropy.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "cross-entropy"
