"""A detector of similar queries: attacks that query a served network send many inputs that hardly differ.

Each input becomes a *fingerprint*: its values are rounded down to multiples of ``step``, every run of ``window``
rounded values is hashed with a secret salt, and the ``hashes`` largest hashes are kept (Li et al. 2022). The similarity
of two inputs is the number of hashes that both fingerprints have, over the size of the larger one: 1 for equal inputs.
A query is rejected if its similarity to one earlier query of the same client exceeds ``share``.

Fingerprints rather than distances in a learned feature space (Chen et al. 2020): they need no training, work on any
modality, and take a fixed number of bytes that do not contain the input.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate import options as spec
from variate.errors import InputError, SimilarQueryError, UsageError, unknown_name
from variate.limits import Count, Limits, Positive, check_options

NAME = "similar"
WIDEST = 20  # values in a window by default, and at most a quarter of an input's values
LEVEL = 50 / 255  # Li et al. 2022, section 5: pixels are rounded down to multiples of 50
SALT = 16  # bytes

Similarity = Annotated[float, Limits(at_least=0, below=1)]
Fingerprint = NDArray[np.uint64]  # hashes, ascending, each once


class Similar:
    """A detector of similar queries, with bounded memory, for ``Served`` and for the oracle of an attack.

    Only answered queries are remembered, so any two of the last ``queries`` that a client got answers to have a
    similarity of at most ``share``. A client's oldest query is forgotten first, and so is the client that has not
    queried for longest. Memory is at most ``clients * queries * (12 * hashes + 4)`` bytes.

    The salt comes from the operating system's entropy and is never saved or shown. Threads share the memory. A forked
    process begins without any, and a saved detector keeps its options alone.

    Args:
        window: number of neighboring values, in the order of the flattened input, that are hashed together; by default
            20, or a quarter of the values of a small input.
        stride: distance between the beginnings of two windows; 1 hashes every window.
        step: difference of two values that are told apart; whole numbers, such as words, are not rounded.
        hashes: number of hashes in a fingerprint.
        share: largest similarity to an earlier query that is answered, in [0, 1).
        queries: number of answered queries remembered for each client.
        clients: number of clients remembered.
        salt: up to 64 secret bytes, for experiments that must repeat; never for a server.

    Source:
        Li et al. 2022 (Blacklight), arXiv:2006.14042, section 4. There, queries that were rejected are remembered too.
    """

    def __init__(
        self,
        *,
        window: Count | None = None,
        stride: Count = 1,
        step: Positive = LEVEL,
        hashes: Count = 50,
        share: Similarity = 0.5,
        queries: Count = 1000,
        clients: Count = 100,
        salt: bytes | None = None,
    ) -> None:
        self.options: dict[str, Any] = {
            "window": window, "stride": stride, "step": step, "hashes": hashes, "share": share, "queries": queries,
            "clients": clients,
        }  # fmt: skip
        check_options(Similar.__init__, self.options)
        self._hasher = hashlib.blake2b(key=secrets.token_bytes(SALT) if salt is None else salt, digest_size=8)
        self._prepare()

    @classmethod
    def parse(cls, text: str, *, salt: bytes | None = None) -> Similar:
        """A detector as users write it: ``similar`` or ``similar(queries=500, share=0.3)``. Raises ``UsageError``."""
        name, values = spec.parse(text, "a detector")
        if name != NAME:
            raise unknown_name("detector", name, [NAME])
        known = list(cls(salt=b"").options)
        for option in values:
            if option not in known:
                raise unknown_name(f"option of {NAME}", option, known)
        return cls(**{option: spec.whole(value) for option, value in values.items()}, salt=salt)

    def answered(self, x: Tensor, client: Hashable = "") -> None:
        """Remember the inputs of one request, (N, ...), as answered, all of them or none.

        Raises:
            SimilarQueryError: if one of them is too similar to an answered query, or to an earlier one of the request.
        """
        similar = self._seen(x, [client] * len(x), keep="all if none is")
        if similar.any():
            raise _error(similar)

    def flagged(self, x: Tensor, client: Hashable = "") -> SimilarQueryError | None:
        """Remember all inputs of one request, (N, ...), and return an error about those that are too similar."""
        similar = self._seen(x, [client] * len(x), keep="all")
        return _error(similar) if similar.any() else None

    def rejected(self, x: Tensor, clients: Sequence[Hashable]) -> Tensor:
        """Which of N queries are rejected, one after another; the others are remembered as answered.

        Args:
            x: inputs, shape (N, ...).
            clients: who sends each of them.

        Returns:
            A mask, shape (N,), on the CPU.
        """
        return torch.from_numpy(self._seen(x, clients, keep="the others"))

    @property
    def nbytes(self) -> int:
        """Bytes of the fingerprints that are remembered."""
        with self._lock:
            return sum(history.nbytes for history in self._histories.values())

    def _seen(self, x: Tensor, clients: Sequence[Hashable], keep: str) -> NDArray[np.bool_]:
        """Whether each input is too similar to an earlier one of its client, shape (N,)."""
        prints = self._fingerprints(x)
        if self._process != os.getpid():
            self._prepare()
        similar = np.zeros(len(prints), np.bool_)
        with self._lock:
            before = {client: self._of(client) for client in dict.fromkeys(clients)}
            after = dict(before)
            for i, (client, fingerprint) in enumerate(zip(clients, prints, strict=True)):
                similar[i] = after[client].similarity(fingerprint) > self.options["share"]
                if keep == "all" or not similar[i]:
                    after[client] = after[client].plus(fingerprint, self.options["queries"])
            self._histories.update(before if keep == "all if none is" and similar.any() else after)
            while len(self._histories) > self.options["clients"]:
                self._histories.popitem(last=False)
        return similar

    def _of(self, client: Hashable) -> _History:
        """The history of a client, which becomes the last to be forgotten."""
        history = self._histories.setdefault(client, EMPTY)
        self._histories.move_to_end(client)
        return history

    def _fingerprints(self, x: Tensor) -> list[Fingerprint]:
        """The fingerprints of inputs, (N, ...)."""
        values = x.detach().flatten(1).cpu() if x.dim() > 1 else x.detach()[:, None].cpu()  # (N, D)
        if values.is_floating_point():
            values = (values.double() / self.options["step"]).floor()
        size = values.shape[1]
        window = self.options["window"] or max(1, min(WIDEST, size // 4))
        if window > size:
            raise InputError(
                f"an input has {size} values, and the detector's window {window}", todo="choose a smaller window"
            )
        starts = range(0, size - window + 1, self.options["stride"])
        return [self._fingerprint(levels.tobytes(), starts, window) for levels in values.long().numpy()]

    def _fingerprint(self, levels: bytes, starts: range, window: int) -> Fingerprint:
        """The largest hashes of the windows of one input, whose levels have eight bytes each."""
        found = set()
        for start in starts:
            hasher = self._hasher.copy()
            hasher.update(levels[8 * start : 8 * (start + window)])
            found.add(int.from_bytes(hasher.digest(), "little"))
        return np.array(sorted(found)[-self.options["hashes"] :], np.uint64)

    def _prepare(self) -> None:
        """Set up the memory of one process."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._histories: OrderedDict[Hashable, _History] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.options,)

    def __str__(self) -> str:
        """The shortest text that ``parse`` makes the same detector of."""
        default = Similar(salt=b"").options
        return spec.written(NAME, {name: value for name, value in self.options.items() if value != default[name]})

    def __repr__(self) -> str:
        return str(self)


class _History:
    """The fingerprints of the answered queries of one client. It never changes: ``plus`` returns another one."""

    def __init__(self, hashes: Fingerprint, owners: NDArray[np.int32], sizes: NDArray[np.int32]) -> None:
        self._hashes = hashes  # of all queries, ascending
        self._owners = owners  # the query that each is of, from 0
        self._sizes = sizes  # number of hashes of each query, oldest first

    def similarity(self, fingerprint: Fingerprint) -> float:
        """The largest similarity to one of the queries."""
        first = np.searchsorted(self._hashes, fingerprint, "left")
        last = np.searchsorted(self._hashes, fingerprint, "right")
        met = [self._owners[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True) if a < b]
        if not met:
            return 0.0
        shared = np.bincount(np.concatenate(met), minlength=len(self._sizes))
        return float((shared / np.maximum(self._sizes, len(fingerprint))).max())

    def plus(self, fingerprint: Fingerprint, limit: int) -> _History:
        """With one more query, and without the oldest ones beyond ``limit``."""
        places = np.searchsorted(self._hashes, fingerprint)
        hashes = np.insert(self._hashes, places, fingerprint)
        owners = np.insert(self._owners, places, len(self._sizes))
        sizes = np.append(self._sizes, np.int32(len(fingerprint)))
        over = len(sizes) - limit
        if over > 0:
            kept = owners >= over
            hashes, owners, sizes = hashes[kept], owners[kept] - np.int32(over), sizes[over:].copy()
        return _History(hashes, owners, sizes)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self._hashes.nbytes + self._owners.nbytes + self._sizes.nbytes


EMPTY = _History(np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.int32))


def detector_of(detector: str | Similar | None) -> Similar | None:
    """A detector, or the one that a text names. Raises ``UsageError``."""
    if detector is None or isinstance(detector, Similar):
        return detector
    if not isinstance(detector, str):
        raise UsageError(f"the detector is a {type(detector).__name__}", expected=f"Similar, or text such as {NAME}")
    return Similar.parse(detector)


def ordinary_rejections(detector: str | Similar, x: Tensor, *, seed: int = 0) -> float:
    """The share of ordinary queries that a detector rejects: its false-positive rate on these inputs.

    All inputs are sent once, in random order, by one client, to a detector with the same options and an empty memory.
    Use inputs that no attack and no threshold was chosen on. The rate grows with the number of inputs up to the
    detector's ``queries``, so send as many as it remembers.

    Args:
        detector: the detector, or its name with options.
        x: inputs of ordinary traffic, shape (N, ...).
        seed: seed of the order.
    """
    named = detector_of(detector)
    if named is None or not len(x):
        raise UsageError("there is nothing to measure", expected="a detector, and at least one input")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return float(_made(named.options).rejected(x[order.to(x.device)], [""] * len(x)).double().mean())


def _made(options: dict[str, Any]) -> Similar:
    return Similar(**options)


def _error(similar: NDArray[np.bool_]) -> SimilarQueryError:
    rows = np.flatnonzero(similar).tolist()
    return SimilarQueryError(
        f"{len(rows)} of {len(similar)} inputs are too similar to earlier queries of this client",
        rows=rows,
        expected="inputs that differ from those that were answered",
    )
