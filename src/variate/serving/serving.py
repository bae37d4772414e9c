"""A network as it is deployed: fresh draws for every request, keys from the operating system, any number of threads."""

from __future__ import annotations

import copy
import os
import threading
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.average import mean_log_probabilities
from variate.random.keys import fresh_keys
from variate.random.many import draws
from variate.random.network import RandomNetwork
from variate.random.seeding import outputs_under


class Served:
    """A network that answers each request with the mean probability over fresh draws.

    Every key is taken from the operating system's entropy for this one draw and forgotten: it is not logged, saved,
    shown or derived from another, a fork repeats none, and whoever learns one knows no other. The network is served in
    eval mode and without gradients; its tensors are shared, so what is loaded into it is served at once.

    Threads answer side by side, each on modules of its own over the same tensors, if the network draws from nothing but
    its keys. Otherwise requests wait for one another.

    Args:
        network: from inputs to logits: a random network, one of another defense, or a deterministic one.
        draws: S, averaged for every request.
    """

    _alone: bool | None  # whether it draws from nothing but its keys

    def __init__(self, network: nn.Module, draws: int = 1) -> None:
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"draws is {draws!r}", expected="a whole number from 1")
        self.network = network
        self.draws = draws
        self._prepare()

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to log probabilities of shape (B, K)."""
        if self._process != os.getpid():
            self._prepare()
        if self._side_by_side(x):
            return self._answer(x)
        with self._lock:
            return self._answer(x)

    def labels(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to the most probable classes, shape (B,)."""
        return self(x).argmax(-1)

    def _answer(self, x: Tensor) -> Tensor:
        replica, keys = self._replica(), fresh_keys(self.draws)
        if self._alone:
            with torch.no_grad():
                return mean_log_probabilities(draws(replica, x, keys))
        return mean_log_probabilities(outputs_under(replica, x, keys))

    def _side_by_side(self, x: Tensor) -> bool:
        """Whether this request needs to wait for no other; found out on the first one."""
        with self._lock:
            if self._alone is None:
                self._alone = isinstance(self.network, RandomNetwork) and not self._consumes(x)
            return self._alone

    def _consumes(self, x: Tensor) -> bool:
        """Whether the network draws from torch's generator, which all threads share."""
        before = torch.get_rng_state()
        with torch.no_grad(), torch.random.fork_rng():
            draws(self._replica(), x, fresh_keys(1))
            return not torch.equal(before, torch.get_rng_state())

    def _replica(self) -> Any:
        """This thread's modules over the tensors of the network."""
        found = getattr(self._local, "replica", None)
        if found is None:
            tensors = chain(self.network.parameters(), self.network.buffers())
            found = self._local.replica = copy.deepcopy(self.network, {id(tensor): tensor for tensor in tensors}).eval()
        return found

    def _prepare(self) -> None:
        """What belongs to one process."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._alone = None  # nobody has looked

    def __getstate__(self) -> dict[str, Any]:
        return {"network": self.network, "draws": self.draws}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def __repr__(self) -> str:
        return f"Served({type(self.network).__name__}, draws={self.draws})"
