"""Adversarial training with a single step."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=True,
    group="adversarial training",
    cite="Wong, Rice & Kolter 2020, arXiv:2001.03994",
    differs="Learning rate, epochs and precision are as in all other training here: no cyclic learning rate, no early "
    "stopping against overfitting to the single step.",
)
def fast_at(network: nn.Module) -> tuple[nn.Module, str]:
    """Adversarial training with one step of 1.25 times the budget from a random start; deterministic.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "adversarial(steps=1, step_size=1.25)"
