"""Defensive distillation."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=False,
    group="distillation",
    cite="Papernot et al. 2016, arXiv:1511.04508",
    teacher="cross-entropy(temperature=20)",
)
def distillation(network: nn.Module) -> tuple[nn.Module, str]:
    """Trained on the softened answers of a teacher of the same architecture; no randomness.

    Teacher and student are both trained at a temperature of 20, and the student answers at 1, which makes its
    gradients small: an attack that fails for that reason alone has found no robustness.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train, and its objective.
    """
    return network, "distillation(temperature=20)"
