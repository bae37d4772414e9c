"""A random mask in front of a network."""

from __future__ import annotations

import math

from torch import nn

from variate.errors import UsageError
from variate.random.input_noise import Mask

ORDER = "normal(scale=1, learn=no)"  # every subset of the positions is equally likely


def behind_mask(defense: str, network: nn.Module, shape: tuple[int, ...], keep: float) -> nn.Sequential:
    """A network behind a mask that shows a share of the positions: ``0.order`` is to be random.

    Args:
        defense: name of the defense, for the error.
        network: the network.
        shape: shape of one input: all channels of a pixel are hidden together, as is a whole word.
        keep: share of the positions that stay visible, in (0, 1); at least one does, and at least one does not.

    Raises:
        UsageError: for inputs of one position, or a share that shows all or none.
    """
    positions = shape if len(shape) < 3 else shape[1:]
    size = math.prod(positions)
    if not 0 < keep < 1 or size < 2:
        raise UsageError(
            f"{defense} cannot show a share of {keep!r} of {size} positions",
            expected="a share between 0 and 1 of two positions or more",
        )
    return nn.Sequential(Mask(positions, keep=min(max(round(keep * size), 1), size - 1)), network)
