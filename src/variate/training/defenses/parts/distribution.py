"""Make all parameters of a network random, or those that match a pattern."""

from __future__ import annotations

from typing import cast

from torch import nn

from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.random.scale import Share


def distributed(network: nn.Module, *, family: str, scale: float, share: str, only: str) -> RandomNetwork:
    """Make the parameters of a network random.

    Args:
        network: the architecture, initialized.
        family: family of the distributions.
        scale: initial standard deviation, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel`` or ``tensor``, or one for the whole ``network``.
        only: pattern of parameter names; parameters that do not match stay deterministic.

    Raises:
        UsageError: for an unknown family or share, or a pattern that matches no parameter.
    """
    families = family if only == "*" else {only: family, "*": "fixed"}
    return randomize(network, families, scale=scale, share=cast(Share, share))
