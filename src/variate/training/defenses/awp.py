"""Adversarial training at the worst nearby weights."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=True,
    group="adversarial training",
    cite="Wu, Xia & Wang 2020, arXiv:2004.05884",
    differs="Biases and batch-norm parameters move too; the authors' code leaves one-dimensional tensors unchanged.",
)
def awp(network: nn.Module) -> tuple[nn.Module, str]:
    """Adversarial training on perturbed weights as well as perturbed inputs; deterministic.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return network, "awp"
