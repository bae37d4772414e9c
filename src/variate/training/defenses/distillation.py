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
    """Training on the softened answers of a teacher of the same architecture; deterministic.

    Teacher and student are trained at a temperature of 20, and the student answers at 1, which makes its gradients
    small. An attack that fails only for that reason is no evidence of robustness.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "distillation(temperature=20)"
