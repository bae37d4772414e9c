"""Gaussian noise that a trained network adds to its answers, or on the way to them, in eval mode alone."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from variate.errors import unknown_name
from variate.random.reseeding import reseed_after_fork
from variate.training.defenses.parts.surgery import layers, replaced
from variate.training.noise_layers import Surrounded

Place = Literal["input", "feature", "logit"]
PLACES = get_args(Place)

reseed_after_fork()


class FeatureNoise(nn.Module):
    """Adds noise in proportion to the features of each example, while ``on``.

    Args:
        std: standard deviation, as a multiple of the root mean square of the example's features.
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std
        self.on = False

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to features of shape (B, ...); all examples share the draw."""
        if not self.on:
            return x
        size = x.flatten(1).square().mean(1).clamp(min=torch.finfo(x.dtype).tiny).sqrt()  # (B,)
        noise = torch.randn(x.shape[1:], dtype=x.dtype, device=x.device)
        return x + self.std * size.view(-1, *[1] * (x.dim() - 1)) * noise


class InferenceNoise(nn.Module):
    """A network that is deterministic in train mode, and noisy in eval mode.

    Args:
        network: a network with logits as outputs, shape (B, K); it is changed in place for ``feature``.
        where: ``input``, ``feature`` (what enters the last linear layer) or ``logit``.
        std: standard deviation of the noise: in units of the input, as a multiple of the features' size, or in units of
            the logits.
        below: only answers whose largest probability without noise is below this are noisy; 1 for all.

    Raises:
        UsageError: for another place, or ``feature`` in a network without a linear layer.
    """

    def __init__(self, network: nn.Module, *, where: str, std: float, below: float) -> None:
        super().__init__()
        if where not in PLACES:
            raise unknown_name("place of the noise", where, PLACES)
        self.where, self.std, self.below = where, std, below
        self.features = FeatureNoise(std)
        if where == "feature":
            last = layers(network, nn.Linear)[-1]
            network = replaced(network, {last: Surrounded(last, front=self.features)})
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """The logits of inputs of shape (B, ...); in eval mode with noise, the same for all examples of a batch."""
        if self.training:
            return self._plain(x)
        if self.below >= 1:
            return self._noisy(x)
        plain = self._plain(x)
        unsure = plain.softmax(-1).amax(-1, keepdim=True) < self.below  # (B, 1)
        return torch.where(unsure, self._noisy(x), plain)

    def _plain(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits

    def _noisy(self, x: Tensor) -> Tensor:
        if self.where == "input":
            return self._plain(x + self.std * torch.randn(x.shape[1:], dtype=x.dtype, device=x.device))
        if self.where == "logit":
            plain = self._plain(x)
            return plain + self.std * torch.randn(plain.shape[1:], dtype=plain.dtype, device=plain.device)
        self.features.on = True
        try:
            return self._plain(x)
        finally:
            self.features.on = False

    def extra_repr(self) -> str:
        """Place and size of the noise."""
        return f"where={self.where}, std={self.std:g}, below={self.below:g}"
