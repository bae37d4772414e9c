"""A check that averaging is real: draws with different keys must differ."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from variate.errors import RepeatedDrawsError
from variate.random.measures import differs
from variate.random.network import RandomNetwork

PATIENCE = 10  # averaged queries with equal draws before a network that should be random is in doubt


class Watch:
    """Compares the draws of every averaged query.

    A network whose draws rarely differ can give equal outputs. So for a ``RandomNetwork`` the drawn weights are
    compared, and any other network is in doubt only after several averaged queries in which no two draws differed.

    Args:
        network: the network that is queried.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._agreed = 0
        self._differed = False

    def see(self, keys: Sequence[int], outputs: Sequence[Tensor]) -> None:
        """Compare the outputs for the same inputs under different keys. Raises ``RepeatedDrawsError``."""
        if len(keys) < 2:
            return
        if any(not torch.equal(output, outputs[0]) for output in outputs[1:]):
            self._differed = True
            return
        self._agreed += 1
        random_network = self._network if isinstance(self._network, RandomNetwork) else None
        in_doubt = not self._differed and self._agreed >= PATIENCE
        if (random_network is None and in_doubt) or (
            random_network is not None and not differs(random_network, keys[0], keys[1])
        ):
            raise RepeatedDrawsError(
                f"{len(keys)} draws of {type(self._network).__name__} under different keys are all the same",
                expected="draws that differ; otherwise averaging over them has no effect",
                todo="look for a fixed seed or a cached noise tensor in its forward, or for scales of zero",
            )
