"""Which sites a compiled sampler can draw in one pass, and its table of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor

from variate.random.distribution import LocationScale, Site
from variate.random.noise import gpu, native
from variate.random.noise.native import Row

Table = native.Table | gpu.Table
Group = tuple[Tensor, ...]  # (mean, rho, *learned) of one site
Fused = tuple[list[int], Table | None]


@dataclass
class _Last:
    """What was asked last: the same tensors, at the same addresses and in the same form, have the same answer."""

    tensors: list[int]
    addresses: list[int]
    dtypes: list[torch.dtype]
    answer: Fused


class Fusion:
    """The sites of one network that a compiled sampler can draw.

    Args:
        sites: all of them.
    """

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = tuple(sites)
        self._distributions = [site.distribution for site in sites]
        self._plain = [site.scaling.plain for site in sites]
        self._tables: dict[Any, Fused] = {}
        self._last: dict[tuple[int, ...] | None, _Last] = {}

    def of(self, groups: Sequence[Group], numbers: tuple[int, ...] | None = None) -> Fused:
        """The places in ``groups`` that can be drawn together, and the table that draws them.

        Args:
            groups: (mean, level, *learned) of every site, or of those with the given numbers.
            numbers: which sites they are; all without it.
        """
        tensors = list(chain.from_iterable([group[:2] for group in groups]))
        last = self._last.get(numbers)
        if (
            last is not None
            and [id(tensor) for tensor in tensors] == last.tensors
            and [tensor.data_ptr() for tensor in tensors] == last.addresses
            and [tensor.dtype for tensor in tensors] == last.dtypes
            and all(map(Tensor.is_contiguous, tensors))
        ):
            return last.answer
        answer = self._found(groups, range(len(groups)) if numbers is None else numbers)
        if all(tensor.is_leaf for tensor in tensors):  # others are new at every call
            addresses, dtypes = [tensor.data_ptr() for tensor in tensors], [tensor.dtype for tensor in tensors]
            self._last[numbers] = _Last([id(tensor) for tensor in tensors], addresses, dtypes, answer)
        return answer

    def _found(self, groups: Sequence[Group], numbers: Sequence[int]) -> Fused:
        device = groups[0][0].device if groups else torch.device("cpu")
        make = _sampler(device)
        if make is None:
            return [], None
        fused = [
            place
            for place, (number, group) in enumerate(zip(numbers, groups, strict=True))
            if isinstance(self._distributions[number], LocationScale) and all(_simple(t, device) for t in group[:2])
        ]
        shapes = [(t.shape, t.dtype) for place in fused for t in groups[place][:2]]
        signature = (device, tuple(numbers), tuple(fused), tuple(shapes))
        if signature not in self._tables:
            rows = [self._row(numbers[place], *groups[place][:2]) for place in fused]
            self._tables[signature] = (fused, make(rows) if rows else None)
        return self._tables[signature]

    def _row(self, number: int, mean: Tensor, level: Tensor) -> Row:
        inner, groups = 0, 1
        if level.shape != mean.shape:
            groups = level.numel()
            inner = math.prod(mean.shape[self._sites[number].channel + 1 :]) if groups > 1 else 1
        kind = cast(LocationScale, self._distributions[number]).kind
        return Row(self._sites[number].uid, kind, mean.numel(), self._plain[number], inner, groups)


def _sampler(device: torch.device) -> type[Table] | None:
    """The compiled sampler of a device, if there is one."""
    if device.type == "cpu" and native.available():
        return native.Table
    return gpu.Table if device.type == "cuda" and gpu.available() else None


def _simple(tensor: Tensor, device: torch.device) -> bool:
    """Whether it is what a compiled sampler takes: plain memory in a precision that it knows."""
    known = tensor.dtype is torch.float32 or (device.type == "cuda" and tensor.dtype in gpu.DTYPES)
    return known and tensor.device == device and not tensor.is_sparse and tensor.is_contiguous()
