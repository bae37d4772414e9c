"""MART on the deterministic network."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=True,
    group="adversarial training",
    cite="Wang et al. 2020, Improving adversarial robustness requires revisiting misclassified examples, ICLR",
    differs="The inner attack starts at a random point in the budget.",
)
def mart(network: nn.Module) -> tuple[nn.Module, str]:
    """Adversarial training that emphasizes misclassified examples; deterministic.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "mart"
