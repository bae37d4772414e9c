"""Every parameter a distribution, or those that a pattern names."""

from __future__ import annotations

from typing import cast

from torch import nn

from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.random.scale import Share


def distributed(network: nn.Module, *, family: str, scale: float, share: str, only: str) -> RandomNetwork:
    """A network whose parameters are random.

    Args:
        network: the architecture, initialized.
        family: of the random parameters.
        scale: the starting standard deviation, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel``, ``tensor``, or one for the ``network``.
        only: a pattern of the parameters' names; those that it does not match stay deterministic.

    Raises:
        UsageError: for what does not exist, or names no parameter.
    """
    families = family if only == "*" else {only: family, "*": "fixed"}
    return randomize(network, families, scale=scale, share=cast(Share, share))
