"""One draw of many parameter tensors in one autograd node, whose backward pass makes the noise again from the key."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from variate.distribution import LocationScale, Site
from variate.samplers import gpu, native
from variate.samplers.native import Row
from variate.scaling import one

Table = native.Table | gpu.Table
Group = tuple[Tensor, ...]  # (mean, rho, *learned) of one site


class Memory:
    """The memory of earlier draws, used again as soon as nothing else holds it.

    Fresh memory costs more than the noise that goes into it: every page is faulted in anew.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Tensor] = {}

    def take(self, index: int, like: Tensor, copies: int | None = None) -> Tensor:
        """Memory for a tensor like ``like``, or for ``copies`` of it in a row of their own dimension.

        It is that of the last call with this index, or new if anything still holds that.
        """
        shape = like.shape if copies is None else (copies, *like.shape)
        tensor = self._kept.pop(index, None)
        if tensor is None or not _fits(tensor, like, shape) or not _free(tensor):
            tensor = torch.empty(shape, dtype=like.dtype, device=like.device)
        self._kept[index] = tensor
        return tensor


def _fits(tensor: Tensor, like: Tensor, shape: tuple[int, ...]) -> bool:
    return tensor.shape == shape and tensor.dtype == like.dtype and tensor.device == like.device


def _free(tensor: Tensor) -> bool:
    """Whether nothing but ``tensor``'s one name refers to it: no module, no graph, no view, no other name."""
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        return False  # what inference mode made cannot be part of a graph
    storage = tensor.untyped_storage()
    return (
        sys.getrefcount(tensor) <= 3  # the caller's name, ours, and getrefcount's argument
        and tensor._use_count() == 1  # type: ignore[attr-defined]
        and torch._C._storage_Use_Count(storage._cdata) <= 2  # the tensor's own, and the one just taken
    )


class Draws:
    """Draws of the sites of one network.

    Args:
        sites: what is random; the groups given to the methods are theirs, in order.

    Attributes:
        places: (path, attribute) of every tensor of every group.
    """

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites = tuple(sites)
        self.laws = [site.law for site in self.sites]
        self.scalings = [site.scaling for site in self.sites]
        self.places = [(site.owners[0], *site.learned_places()) for site in self.sites]
        self.needs_unit = any(scaling.needs_unit for scaling in self.scalings)
        self._tables: dict[Any, tuple[list[int], Table | None]] = {}
        self._drawn, self._gradients, self._stacked = Memory(), Memory(), Memory()

    def draw(self, key: int, groups: Sequence[Group], units: Sequence[Tensor | None]) -> list[Tensor]:
        """One draw of every site under ``key``: differentiable where grad mode is on, and once more.

        Args:
            key: the draw.
            groups: (mean, rho, *learned) of every site.
            units: the size of every site whose scaling needs one.
        """
        levels = self._levels(groups, units)
        if torch._C._are_functorch_transforms_active():
            return [self._composite(i, key, group) for i, group in enumerate(levels)]
        if torch.is_grad_enabled():
            flat = [tensor for group in levels for tensor in group]
            if any(tensor.requires_grad for tensor in flat):
                return list(_Draw.apply(self, key, *flat))  # type: ignore[no-untyped-call]
        return self.forward(key, levels)

    def traced(self, key: Tensor, groups: Sequence[Group], units: Sequence[Tensor | None]) -> list[Tensor]:
        """``draw`` in plain operations on a key that is data, for graphs."""
        return [self._composite(i, key, group) for i, group in enumerate(self._levels(groups, units))]

    def forward(self, key: int, levels: Sequence[Group], *, alias: bool = False) -> list[Tensor]:
        """The draw without a graph; with ``alias`` every tensor is a new object over the kept memory."""
        fused, table = self._table(levels)
        drawn: list[Tensor] = [cast(Tensor, None)] * len(levels)
        if table is not None:
            outs = [self._drawn.take(i, levels[i][0]) for i in fused]
            table.run("draw", key, [levels[i][0] for i in fused], [levels[i][1] for i in fused], outs)
            for i, out in zip(fused, outs, strict=True):
                drawn[i] = out.detach() if alias else out
        for i, group in enumerate(levels):
            if drawn[i] is None:
                drawn[i] = self._composite(i, key, group)
        return drawn

    def many(
        self, keys: Sequence[int], groups: Sequence[Group], units: Sequence[Tensor | None], chosen: Sequence[int]
    ) -> list[Tensor]:
        """The draws of many keys, stacked, of the sites with the numbers ``chosen``: (S, ...) each."""
        if torch.is_grad_enabled():
            drawn = [self.draw(key, groups, units) for key in keys]
            return [torch.stack([draw[n] for draw in drawn]) for n in chosen]
        every = self._levels(groups, units)
        levels = [every[n] for n in chosen]
        fused, table = self._table(levels, tuple(chosen))
        stacks = [self._stacked.take(n, every[n][0], len(keys)) for n in chosen]
        for s, key in enumerate(keys):
            if table is not None:
                outs = [stacks[i][s] for i in fused]
                table.run("draw", key, [levels[i][0] for i in fused], [levels[i][1] for i in fused], outs)
            for i, number in enumerate(chosen):
                if i not in fused:
                    stacks[i][s] = self._composite(number, key, levels[i])
        return stacks

    def backward(
        self, key: int, levels: Sequence[Group], grads: Sequence[Tensor | None], wanted: Sequence[Sequence[bool]]
    ) -> list[list[Tensor | None]]:
        """The gradients of every group from those of its draw; the noise is made again."""
        found: list[list[Tensor | None]] = [[None] * len(group) for group in levels]
        again = torch.is_grad_enabled()  # somebody wants the gradient of the gradient
        arrived = {i: grad.to_dense() if grad.is_sparse else grad for i, grad in enumerate(grads) if grad is not None}
        fused, table = ([], None) if again else self._table(levels)
        fused = [i for i in fused if i in arrived]
        for i, grad in arrived.items():
            if i in fused:
                found[i][0] = grad if wanted[i][0] else None
            elif any(wanted[i]):
                found[i] = self._site_gradient(i, key, levels[i], grad, wanted[i], again)
        fused = [i for i in fused if wanted[i][1]]
        if fused and table is not None:
            self._scale_gradients(key, levels, arrived, fused, found)
        return found

    def _scale_gradients(
        self,
        key: int,
        levels: Sequence[Group],
        grads: dict[int, Tensor],
        fused: list[int],
        found: list[list[Tensor | None]],
    ) -> None:
        """Grad * z * ds/drho in one pass; summed over the elements that share a scale."""
        outs = [self._gradients.take(i, levels[i][0]) for i in fused]
        contiguous = [grads[i].contiguous() for i in fused]
        _, table = self._table([levels[i] for i in fused], tuple(fused))
        if table is None:
            raise RuntimeError("the sites that were drawn natively cannot be differentiated natively")
        table.run("gradient", key, contiguous, [levels[i][1] for i in fused], outs)
        for i, out in zip(fused, outs, strict=True):
            level = levels[i][1]
            found[i][1] = out.detach() if level.shape == out.shape else out.sum_to_size(level.shape)

    def _site_gradient(
        self, i: int, key: int, group: Group, grad: Tensor, wanted: Sequence[bool], again: bool
    ) -> list[Tensor | None]:
        leaves = list(group) if again else [t.detach().requires_grad_(w) for t, w in zip(group, wanted, strict=True)]
        asked = [leaf for leaf, want in zip(leaves, wanted, strict=True) if want]
        with torch.enable_grad():
            drawn = self._composite(i, key, tuple(leaves))
            gradients = iter(torch.autograd.grad(drawn, asked, grad, create_graph=again, allow_unused=True))
        return [next(gradients) if want else None for want in wanted]

    def _composite(self, i: int, key: int | Tensor, group: Group) -> Tensor:
        """One site by the plain operations of its family."""
        mean, level, *learned = group
        with torch.no_grad():
            noise = self.laws[i].noise(key, self.sites[i].uid, mean)
        scale = torch.nn.functional.softplus(level) if self.scalings[i].plain else level
        return self.laws[i].sample(noise, mean, scale, *learned)

    def _levels(self, groups: Sequence[Group], units: Sequence[Tensor | None]) -> list[Group]:
        """(mean, level, *learned): the level is rho where the scale is its softplus, and the scale itself otherwise."""
        return [
            group if scaling.plain else (group[0], scaling.scale_of(group[1], _unit(unit, group[0])), *group[2:])
            for scaling, group, unit in zip(self.scalings, groups, units, strict=True)
        ]

    def _table(self, levels: Sequence[Group], numbers: tuple[int, ...] | None = None) -> tuple[list[int], Table | None]:
        """The sites that a compiled sampler can draw, by their place in ``levels``, and its table of them."""
        device = levels[0][0].device if levels else torch.device("cpu")
        make = _sampler(device)
        if make is None:
            return [], None
        fused, shapes = [], []
        for place, group in enumerate(levels):
            number = place if numbers is None else numbers[place]
            mean, level = group[0], group[1]
            if isinstance(self.laws[number], LocationScale) and _simple(mean, device) and _simple(level, device):
                fused.append(place)
                shapes.append((mean.shape, level.shape))
        signature = (device, numbers, tuple(fused), tuple(shapes))
        known = self._tables.get(signature)
        if known is None:
            rows = [self._row(p if numbers is None else numbers[p], *levels[p][:2]) for p in fused]
            known = self._tables[signature] = (fused, make(rows) if rows else None)
        return known

    def _row(self, number: int, mean: Tensor, level: Tensor) -> Row:
        site, law = self.sites[number], self.laws[number]
        channel = site.channel
        inner, groups = 0, 1
        if level.shape != mean.shape:
            by_channel = level.numel() > 1
            inner = math.prod(mean.shape[channel + 1 :]) if by_channel else 1
            groups = level.numel()
        kind = cast(LocationScale, law).kind
        return Row(site.uid, kind, mean.numel(), self.scalings[number].plain, inner, groups)


class _Draw(torch.autograd.Function):
    """All sites in one node."""

    @staticmethod
    def forward(ctx: Any, draws: Draws, key: int, *flat: Tensor) -> tuple[Tensor, ...]:
        ctx.draws, ctx.key = draws, key
        ctx.save_for_backward(*flat)
        ctx.set_materialize_grads(False)
        return tuple(draws.forward(key, _grouped(draws, flat), alias=True))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        draws: Draws = ctx.draws
        levels, wanted = _grouped(draws, ctx.saved_tensors), _grouped(draws, ctx.needs_input_grad[2:])
        found = draws.backward(ctx.key, levels, grads, wanted)
        return None, None, *(gradient for group in found for gradient in group)


def _grouped(draws: Draws, flat: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Split a flat list back into (mean, level, *learned) per site."""
    groups = []
    start = 0
    for law in draws.laws:
        end = start + 2 + len(law.learned)
        groups.append(tuple(flat[start:end]))
        start = end
    return groups


def _sampler(device: torch.device) -> type[Table] | None:
    """The compiled sampler of a device, if there is one."""
    if device.type == "cpu" and native.available():
        return native.Table
    return gpu.Table if device.type == "cuda" and gpu.available() else None


def _simple(tensor: Tensor, device: torch.device) -> bool:
    """Whether it is what a compiled sampler takes: plain memory in a precision that it knows."""
    known = tensor.dtype is torch.float32 or (device.type == "cuda" and tensor.dtype in gpu.DTYPES)
    return known and tensor.device == device and not tensor.is_sparse and tensor.is_contiguous()


def _unit(unit: Tensor | None, mean: Tensor) -> Tensor:
    return one(mean) if unit is None else unit
