"""The sampler on a GPU: noise made and applied to many tensors in one launch. The twin of ``native``, in Triton.

What never changes lies on the device. A call sends a key, and addresses where they are not those of the last call.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from ctypes import c_int32
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from variate.random.noise import threefry
from variate.random.noise.kinds import KINDS
from variate.random.noise.native import OPERATIONS, SWITCH, Operation, Row

DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}  # that it reads and writes
TILE = 2**11  # elements of a program of the kernel: 16 a thread
WARPS = 4  # of a program

Place = tuple[torch.device, int]  # a device and a stream on it


@dataclass(frozen=True)
class _Launch:
    """The rows whose tensors have the same dtypes."""

    programs: Tensor  # int32, (programs, 2): row and tile
    dtypes: list[Any]  # Triton's, of mean, scale and out


@dataclass(frozen=True)
class _Sent:
    """What one call sent, and the next needs not send again."""

    place: Place
    addresses: list[int]
    dtypes: list[torch.dtype]
    table: Tensor  # the addresses on the device
    columns: Tensor  # int64, (rows, 6)
    launches: list[_Launch]


class Table:
    """Many tensors that are always sampled together, on one GPU at a time.

    Args:
        rows: one for each tensor.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)
        self._columns: dict[Place, Tensor] = {}
        self._launches: dict[tuple[Place, tuple[torch.dtype, ...]], list[_Launch]] = {}
        self._last: _Sent | None = None

    def run(
        self, operation: Operation, key: int, means: Sequence[Tensor], scales: Sequence[Tensor], outs: Sequence[Tensor]
    ) -> None:
        """Fill ``outs``; every tensor contiguous, of a dtype in DTYPES, on one GPU; computed in float32.

        It is one launch for all rows of the same dtypes; a row of no elements is left alone.

        Args:
            operation: ``draw``: out = mean + s * z; ``gradient``: out = mean * z * ds/dscale, where ``mean`` is the
                gradient that arrives; ``noise``: out = z, and the others are not read.
            key: the draw.
            means: one for each row.
            scales: one for each row; its softplus is s where the row is ``positive``.
            outs: one for each row.

        Raises:
            TypeError: a tensor has another dtype.
        """
        if not outs:
            return
        device = outs[0].device
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            sent = self._send(device, [*means, *scales, *outs])
            for launch in sent.launches:
                _kernel().sample[(len(launch.programs),)](
                    launch.programs,
                    sent.columns,
                    sent.table,
                    len(self._rows),
                    c_int32(key).value,
                    c_int32(key >> 32).value,
                    OPERATIONS[operation],
                    *launch.dtypes,
                    TILE,
                    num_warps=WARPS,
                    enable_fp_fusion=True,
                )

    def _send(self, device: torch.device, tensors: list[Tensor]) -> _Sent:
        """What the launches read, on the device; sent again only where it has changed."""
        place = device, torch.cuda.current_stream().cuda_stream if device.type == "cuda" else 0
        addresses = [tensor.data_ptr() for tensor in tensors]
        dtypes = [tensor.dtype for tensor in tensors]
        last = self._last
        if last is None or last.addresses != addresses or last.place != place or last.dtypes != dtypes:
            columns, launches = self._fixed(place), self._planned(place, tuple(dtypes))
            last = self._last = _Sent(place, addresses, dtypes, _ahead(addresses, device), columns, launches)
        return last

    def _fixed(self, place: Place) -> Tensor:
        """The columns that never change."""
        if place not in self._columns:
            rows = [
                (threefry.signed64(row.uid), KINDS.index(row.kind), row.count, row.positive, row.inner, row.groups)
                for row in self._rows
            ]
            self._columns[place] = torch.tensor(rows, dtype=torch.int64, device=place[0])
        return self._columns[place]

    def _planned(self, place: Place, dtypes: tuple[torch.dtype, ...]) -> list[_Launch]:
        """The launches for tensors of these dtypes."""
        known = self._launches.get((place, dtypes))
        if known is None:
            if not DTYPES.keys() >= set(dtypes):
                raise TypeError(
                    f"tensors of {set(dtypes) - DTYPES.keys()}: the sampler takes {', '.join(DTYPES.values())}"
                )
            alike: dict[tuple[torch.dtype, ...], list[int]] = {}
            for number in range(len(self._rows)):
                if self._rows[number].count:
                    alike.setdefault(dtypes[number :: len(self._rows)], []).append(number)
            known = self._launches[place, dtypes] = [
                _Launch(self._programs(numbers).to(place[0]), [getattr(_kernel().tl, DTYPES[t]) for t in types])
                for types, numbers in alike.items()
            ]
        return known

    def _programs(self, numbers: Sequence[int]) -> Tensor:
        """(row, tile) of the programs that cover some rows."""
        rows = torch.tensor(numbers, device="cpu")
        tiles = torch.tensor([-(-self._rows[number].count // TILE) for number in numbers], device="cpu")
        before = (tiles.cumsum(0) - tiles).repeat_interleave(tiles)
        return torch.stack([rows.repeat_interleave(tiles), torch.arange(len(before), device="cpu") - before], 1).int()


def available() -> bool:
    """Whether there is a GPU on which the sampler works, and it is not turned off."""
    return os.environ.get(SWITCH) != "torch" and _works()


@cache
def _works() -> bool:
    """Whether a first launch succeeds: Triton needs a GPU that it knows, and on some systems a C compiler."""
    if not torch.cuda.is_available() or find_spec("triton") is None:
        return False
    try:
        out = torch.empty(1, device="cuda")
        Table([Row(0, "normal", 1)]).run("noise", 0, [out], [out], [out])
    except Exception as error:
        warnings.warn(f"noise on the GPU comes from plain torch, several times slower: {error}", stacklevel=3)
        return False
    return True


@cache
def _kernel() -> Any:
    """Where the kernel and Triton are, which is never loaded without need."""
    from variate.random.noise import gpu_kernel

    return gpu_kernel


def _ahead(addresses: list[int], device: torch.device) -> Tensor:
    """Addresses on the device: one copy that nothing waits for."""
    pinned = torch.tensor(addresses, dtype=torch.int64, device="cpu", pin_memory=device.type == "cuda")
    return pinned.to(device, non_blocking=True)
