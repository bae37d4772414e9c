"""Every parameter Gaussian, the input bias among them."""

from __future__ import annotations

from torch import nn

from variate.random.input_noise import Shift
from variate.random.randomize import randomize
from variate.registry import defense
from variate.training.defenses.parts.noise import check_input_noise


@defense(
    random=True,
    adversarial=False,
    group="ours",
    cite="Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918; paradigm: Khan et al. 2019, arXiv:1905.10906 (abstract)",
)
def random_smoothing(
    network: nn.Module, *, shape: tuple[int, ...], sigma: float = 0.25, scale: float = 0.05, levels: int = 0
) -> tuple[nn.Module, str]:
    """Every parameter Gaussian, and an input bias of fixed standard deviation: a network that can be certified.

    ``variate certify`` proves how often one draw, N draws in a row and the vote are right, whatever an attacker does.

    Args:
        network: the architecture, initialized.
        shape: shape of one input.
        sigma: standard deviation of the input bias in units of the input range [0, 1]; training does not change it.
        scale: initial standard deviation of all other parameters, relative to each tensor's size; learned.
        levels: number of steps between 0 and 1 to which noisy inputs are rounded, 255 for 8-bit images, where the
            certificate is then exact in floating point; 0: no rounding.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: for a network for texts, whose inputs are word indices.
    """
    check_input_noise("random-smoothing", network, sigma)
    shifted = nn.Sequential(Shift(shape, levels=levels or None), network)
    families = {"0.bias": f"normal(scale={sigma}, learn=no)", "*": "normal"}
    return randomize(shifted, families, scale=scale), "cross-entropy+snr(target=20)"
