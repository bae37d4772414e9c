"""The GPU sampler: noise made and applied to many tensors in one launch. The Triton counterpart of ``native``.

Constant columns stay on the device. A call sends the key, and the tensor addresses if they have changed.
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
from variate.random.noise.native import OPERATIONS, SWITCH, Operation, Passed, Row

DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}  # supported dtypes
TILE = 2**11  # elements per program of the kernel: 16 per thread
WARPS = 4  # per program

Place = tuple[torch.device, int]  # a device and a stream on it


@dataclass(frozen=True)
class _Launch:
    """One launch of the kernel: the rows whose tensors have the same dtypes."""

    programs: Tensor  # int32, (programs, 2): row and tile
    dtypes: list[Any]  # Triton's, of mean, scale and out


@dataclass(frozen=True)
class _Sent:
    """What the last call put on the device, reused while it stays valid."""

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

    def passed(self, means: Sequence[Tensor], scales: Sequence[Tensor]) -> None:
        """Nothing: this sampler reads the addresses at every call."""

    def run(
        self,
        operation: Operation,
        key: int,
        means: Sequence[Tensor],
        scales: Sequence[Tensor],
        outs: Sequence[Tensor],
        passed: Passed | None = None,
    ) -> None:
        """Fill ``outs``. Every tensor is contiguous, with a dtype in DTYPES, on one GPU; computed in float32.

        All rows with the same dtypes take one launch; a row without elements is skipped.

        Args:
            operation: ``draw``: out = mean + s * z; ``gradient``: out = mean * z * ds/dscale, where ``mean`` is the
                incoming gradient; ``noise``: out = z, and the others are not read.
            key: key of the draw.
            means: one tensor per row.
            scales: one tensor per row; s is its softplus where the row is ``positive``.
            outs: one tensor per row.
            passed: not used.

        Raises:
            TypeError: if a tensor has another dtype.
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
        """The data that the launches read, on the device; sent again only if it has changed."""
        place = device, torch.cuda.current_stream().cuda_stream if device.type == "cuda" else 0
        addresses = [tensor.data_ptr() for tensor in tensors]
        dtypes = [tensor.dtype for tensor in tensors]
        last = self._last
        if last is None or last.addresses != addresses or last.place != place or last.dtypes != dtypes:
            columns, launches = self._constants(place), self._launches_for(place, tuple(dtypes))
            last = self._last = _Sent(place, addresses, dtypes, _ahead(addresses, device), columns, launches)
        return last

    def _constants(self, place: Place) -> Tensor:
        """The constant columns."""
        if place not in self._columns:
            rows = [
                (threefry.signed64(row.uid), KINDS.index(row.kind), row.count, row.positive, row.inner, row.groups)
                for row in self._rows
            ]
            self._columns[place] = torch.tensor(rows, dtype=torch.int64, device=place[0])
        return self._columns[place]

    def _launches_for(self, place: Place, dtypes: tuple[torch.dtype, ...]) -> list[_Launch]:
        """The launches for tensors of these dtypes."""
        launches = self._launches.get((place, dtypes))
        if launches is None:
            if not DTYPES.keys() >= set(dtypes):
                raise TypeError(
                    f"tensors of {set(dtypes) - DTYPES.keys()}: the sampler takes {', '.join(DTYPES.values())}"
                )
            rows_by_dtypes: dict[tuple[torch.dtype, ...], list[int]] = {}
            for row in range(len(self._rows)):
                if self._rows[row].count:
                    rows_by_dtypes.setdefault(dtypes[row :: len(self._rows)], []).append(row)
            launches = self._launches[place, dtypes] = [
                _Launch(self._programs(rows).to(place[0]), [getattr(_kernel().tl, DTYPES[t]) for t in row_dtypes])
                for row_dtypes, rows in rows_by_dtypes.items()
            ]
        return launches

    def _programs(self, indices: Sequence[int]) -> Tensor:
        """(row, tile) of the programs that cover the rows at ``indices``."""
        rows = torch.tensor(indices, device="cpu")
        tiles = torch.tensor([-(-self._rows[index].count // TILE) for index in indices], device="cpu")
        before = (tiles.cumsum(0) - tiles).repeat_interleave(tiles)
        return torch.stack([rows.repeat_interleave(tiles), torch.arange(len(before), device="cpu") - before], 1).int()


def available() -> bool:
    """Whether the sampler works on a GPU here and is not turned off."""
    return os.environ.get(SWITCH) != "torch" and _works()


@cache
def _works() -> bool:
    """Whether a first launch succeeds: Triton needs a supported GPU, and on some systems a C compiler."""
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
    """The module with the kernel, which imports Triton: loaded on first use."""
    from variate.random.noise import gpu_kernel

    return gpu_kernel


def _ahead(addresses: list[int], device: torch.device) -> Tensor:
    """Addresses on the device, in one asynchronous copy."""
    pinned = torch.tensor(addresses, dtype=torch.int64, device="cpu", pin_memory=device.type == "cuda")
    return pinned.to(device, non_blocking=True)
