"""Averaging is real: draws with different keys must give different networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from variate.errors import RepeatedDrawsError
from variate.random.measures import differs
from variate.random.network import RandomNetwork

PATIENCE = 10  # averaged queries whose draws all agree, before a network that should be random is doubted


class Watch:
    """Looks at the draws of every averaged query.

    Equal outputs are possible for a network that differs rarely, so a random network of ours is checked at the cause,
    its weights, and any other only after several averaged queries, and only as long as no two draws ever differed.

    Args:
        network: the network that is asked.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._agreed = 0
        self._differed = False

    def see(self, keys: Sequence[int], outputs: Sequence[Tensor]) -> None:
        """Look at the outputs of the same inputs under different keys. Raises ``RepeatedDrawsError``."""
        if len(keys) < 2:
            return
        if any(not torch.equal(output, outputs[0]) for output in outputs[1:]):
            self._differed = True
            return
        self._agreed += 1
        ours = self._network if isinstance(self._network, RandomNetwork) else None
        doubtful = not self._differed and self._agreed >= PATIENCE
        if (ours is None and doubtful) or (ours is not None and not differs(ours, keys[0], keys[1])):
            raise RepeatedDrawsError(
                f"{len(keys)} draws of {type(self._network).__name__} under different keys are all the same",
                expected="a random network to differ from draw to draw, or averaging over it averages nothing",
                todo="look for a fixed seed or a cached noise tensor inside its forward, or for scales of zero",
            )
