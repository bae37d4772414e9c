"""Which sites a compiled sampler can draw in one pass, and the table that does so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any, cast

import torch
from torch import Tensor

from variate.random.distribution import LocationScale, Site
from variate.random.noise import gpu, native
from variate.random.noise.native import Passed, Row

Table = native.Table | gpu.Table
Group = tuple[Tensor, ...]  # (mean, rho, *learned) of one site
Fused = tuple[list[int], Table | None, Passed | None]
Facts = tuple[list[int], list[torch.Size], list[torch.dtype]]  # addresses, shapes, dtypes
NONE: Fused = [], None, None


@dataclass
class _Cached:
    """The result of the last call, valid for the same tensors with the same memory, shapes and dtypes."""

    tensors: list[Tensor]
    facts: Facts
    result: Fused


def _facts(tensors: list[Tensor]) -> Facts:
    return [t.data_ptr() for t in tensors], [t.shape for t in tensors], [t.dtype for t in tensors]


class Fusion:
    """The sites of one network that a compiled sampler can draw.

    Args:
        sites: all sites of the network.
        positive: whether the level of each site goes through softplus; otherwise it is the scale itself.
    """

    def __init__(self, sites: Sequence[Site], positive: Sequence[bool]) -> None:
        self._sites = tuple(sites)
        self._positive = tuple(positive)
        self._distributions = [site.distribution for site in sites]
        self._scalings = [site.scaling for site in sites]
        self._tables: dict[Any, tuple[list[int], Table | None]] = {}
        self._cache: dict[tuple[int, ...] | None, _Cached] = {}

    def of(self, groups: Sequence[Group], indices: tuple[int, ...] | None = None) -> Fused:
        """The positions in ``groups`` that can be drawn together, the table that draws them, and what it has passed.

        Args:
            groups: (mean, level, *learned) of every site, or of those at ``indices``.
            indices: indices of the sites; None: all of them.
        """
        if torch._C._len_torch_dispatch_stack():  # fake tensors, make_fx: a mode must see every operation
            return NONE
        tensors = list(chain.from_iterable([group[:2] for group in groups]))
        cached = self._cache.get(indices)
        if (
            cached is not None
            and len(tensors) == len(cached.tensors)
            and all(map(is_, tensors, cached.tensors))  # before anything that a tensor without memory refuses
            and _facts(tensors) == cached.facts
            and all(map(Tensor.is_contiguous, tensors))
        ):
            return cached.result
        fused, table = self._fuse(groups, range(len(groups)) if indices is None else indices)
        if table is None:
            return NONE
        passed = table.passed([groups[i][0] for i in fused], [groups[i][1] for i in fused])
        if all(tensor.is_leaf for tensor in tensors) and all(map(native.is_plain, tensors)):  # others may be new
            self._cache[indices] = _Cached(tensors, _facts(tensors), (fused, table, passed))
        return fused, table, passed

    def _fuse(self, groups: Sequence[Group], indices: Sequence[int]) -> tuple[list[int], Table | None]:
        device = groups[0][0].device if groups else torch.device("cpu")
        table_class = _table_class(device)
        if table_class is None:
            return [], None
        fused = [
            position
            for position, (index, group) in enumerate(zip(indices, groups, strict=True))
            if isinstance(self._distributions[index], LocationScale) and all(_supported(t, device) for t in group[:2])
        ]
        for position in fused:
            site, scaling = self._sites[indices[position]], self._scalings[indices[position]]
            scaling.check_shapes(site.name, groups[position][0], site.channel, groups[position][1])
        shapes = [(t.shape, t.dtype) for position in fused for t in groups[position][:2]]
        signature = (device, tuple(indices), tuple(fused), tuple(shapes))
        if signature not in self._tables:
            rows = [self._row(indices[position], *groups[position][:2]) for position in fused]
            self._tables[signature] = (fused, table_class(rows) if rows else None)
        return self._tables[signature]

    def _row(self, index: int, mean: Tensor, level: Tensor) -> Row:
        inner, groups = 0, 1
        if level.shape != mean.shape:
            groups = level.numel()
            inner = math.prod(mean.shape[self._sites[index].channel + 1 :]) if groups > 1 else 1
        kind = cast(LocationScale, self._distributions[index]).kind
        return Row(self._sites[index].uid, kind, mean.numel(), self._positive[index], inner, groups)


def _table_class(device: torch.device) -> type[Table] | None:
    """The table class of the device's compiled sampler, if there is one."""
    if device.type == "cpu" and native.available():
        return native.Table
    return gpu.Table if device.type == "cuda" and gpu.available() else None


def _supported(tensor: Tensor, device: torch.device) -> bool:
    """Whether a compiled sampler can take the tensor: contiguous memory in a precision that it supports."""
    precision = tensor.dtype is torch.float32 or (device.type == "cuda" and tensor.dtype in gpu.DTYPES)
    return precision and tensor.device == device and native.is_plain(tensor) and tensor.is_contiguous()
