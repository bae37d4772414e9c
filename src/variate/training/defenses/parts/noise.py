"""Noise from torch's global generator: one draw per example in training, one per batch in eval mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.words import reads_words
from variate.random.reseeding import reseed_after_fork
from variate.training.defenses.parts.ranges import check_above_zero

reseed_after_fork()


def check_input_noise(defense: str, network: nn.Module, sigma: float) -> None:
    """Check that noise of a size can be added to a network's inputs. Raises ``UsageError``."""
    check_above_zero("sigma", sigma)
    if reads_words(network):
        raise UsageError(
            f"{defense} adds noise to the inputs, but a word index plus noise is another word or none",
            expected="a network for images, audio or tables",
        )


def drawn_shape(x: Tensor, training: bool) -> torch.Size:
    """The shape of the noise for a batch: in eval mode all examples share it.

    So a draw of the network is a function of the input alone, whatever the batch. In training every example has its own
    noise, which reduces the variance of the gradient.
    """
    return x.shape if training else x.shape[1:]


class GaussianNoise(nn.Module):
    """Adds Gaussian noise, in train and in eval mode.

    Args:
        std: standard deviation of the noise, above 0.
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to inputs of shape (B, ...)."""
        return x + self.std * torch.randn(drawn_shape(x, self.training), dtype=x.dtype, device=x.device)


class LastingDropout(nn.Module):
    """Dropout that stays on in eval mode.

    Args:
        rate: probability that a feature is zeroed, in (0, 1); the others are divided by 1 - rate.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero some of the features, shape (B, ...)."""
        kept = torch.rand(drawn_shape(x, self.training), dtype=x.dtype, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)
