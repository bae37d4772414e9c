"""A random network averaged over fixed draws, as an ordinary module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.asking import asked
from variate.random.fixing import fixed
from variate.random.keys import check_keys

Averaged = Literal["probabilities", "outputs"]


class AverageNetwork(nn.Module):
    """A random network averaged over fixed draws: an ordinary module, for any tool that takes a module.

    Args:
        network: the random network; shared, not copied.
        keys: keys of the draws to average.
        of: ``probabilities`` returns the log of the mean softmax, whose softmax is the mean probability; ``outputs``
            returns the mean output.
    """

    keeps_keys = True  # calls of networks outside do not change its draws

    def __init__(self, network: nn.Module, keys: Sequence[int], of: Averaged = "probabilities") -> None:
        super().__init__()
        if of not in ("probabilities", "outputs"):
            raise UsageError(f"cannot average {of!r}", expected="probabilities or outputs")
        self.network = network
        self.keys = tuple(check_keys(keys))
        self.of = of

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The average over the draws, shape (B, K)."""
        outputs = []
        for key in self.keys:
            with fixed(self.network, key):
                outputs.append(self.network(*args, **kwargs))
        stacked = torch.stack(outputs)  # (S, B, K)
        if self.of == "outputs":
            return stacked.mean(0)
        return mean_log_probabilities(stacked)


def average(net: nn.Module, keys: Sequence[int], of: Averaged = "probabilities") -> AverageNetwork:
    """A random network averaged over the draws of ``keys``, as an ordinary module that shares its parameters."""
    return AverageNetwork(net, keys, of)


def mean_log_probabilities(logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """The log of the mean over draws of the softmax: (S, B, K) to (B, K).

    With ``weights``, (S,), which sum to 1, the mean is weighted; by default all draws count alike. A class that every
    draw rules out by a logit of minus infinity stays ruled out, and has a gradient of zero.
    """
    logs = logits.log_softmax(-1)
    impossible = logs.isneginf().all(0)  # (B, K)
    shares = -math.log(len(logits)) if weights is None else weights.to(logs).log()[:, None, None]
    mean = (logs.masked_fill(impossible, 0.0) + shares).logsumexp(0)
    return mean.masked_fill(impossible, -torch.inf)


class EnsembleNetwork(nn.Module):
    """Several networks as one: the log of their mean probability.

    Args:
        networks: any modules from inputs to logits; shared, not copied.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not networks:
            raise UsageError("an ensemble needs at least one network", expected="one or more")
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to log probabilities of shape (B, K)."""
        return mean_log_probabilities(torch.stack([asked(network, x) for network in self.networks]))
