"""Randomized smoothing."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.noise import GaussianNoise, check_input_noise
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918",
    differs="In eval mode all examples of a batch share the noise; answers never abstain (see variate certify).",
)
def smoothing(network: nn.Module, *, sigma: float = 0.12) -> tuple[nn.Module, str]:
    """Gaussian noise on the input, in training and after; plain cross-entropy.

    The smoothed classifier is the majority vote over draws, so judge it as ``majority-S``.

    Args:
        network: the architecture, initialized.
        sigma: standard deviation of the noise in units of the input range [0, 1]; noisy inputs are not clipped.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: for a network for texts, whose inputs are word indices.
    """
    check_input_noise("smoothing", network, sigma)
    return Surrounded(network, front=GaussianNoise(sigma)), "cross-entropy"
