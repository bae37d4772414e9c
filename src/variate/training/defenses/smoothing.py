"""Randomized smoothing."""

from __future__ import annotations

from torch import nn

from variate.errors import UsageError
from variate.inputs.words import reads_words
from variate.registry import defense
from variate.training.defenses.parts.noise import GaussianNoise
from variate.training.defenses.parts.ranges import check_above_zero
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918",
    differs="In eval mode all examples of a batch share the noise; answers are not certified and never abstain.",
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
    check_above_zero("sigma", sigma)
    if reads_words(network):
        raise UsageError(
            "smoothing adds noise to the inputs, but a word index plus noise is another word or none",
            expected="a network for images, audio or tables",
        )
    return Surrounded(network, front=GaussianNoise(sigma)), "cross-entropy"
