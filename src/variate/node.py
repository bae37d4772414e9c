"""One draw of many parameter tensors in one autograd node, whose backward pass makes the noise again from the key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from variate.distribution import Site
from variate.fusing import Fusion, Group, Table
from variate.memory import Memory
from variate.scaling import one


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
        self._fusion = Fusion(self.sites)
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
        fused, table = self._fusion.of(levels)
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
        fused, table = self._fusion.of(levels, tuple(chosen))
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
        fused, table = ([], None) if again else self._fusion.of(levels)
        together = set(fused)
        for i, grad in arrived.items():
            if i in together:
                found[i][0] = grad if wanted[i][0] else None
            elif any(wanted[i]):
                found[i] = self._site_gradient(i, key, levels[i], grad, wanted[i], again)
        asked = [i for i in fused if i in arrived and wanted[i][1]]
        if asked != fused:  # some of them only
            _, table = self._fusion.of([levels[i] for i in asked], tuple(asked))
        if table is not None:
            self._scale_gradients(key, table, {i: levels[i][1] for i in asked}, arrived, found)
        return found

    def _scale_gradients(
        self,
        key: int,
        table: Table,
        levels: dict[int, Tensor],
        grads: dict[int, Tensor],
        found: list[list[Tensor | None]],
    ) -> None:
        """Grad * z * ds/drho in one pass; summed over the elements that share a scale."""
        contiguous = [grads[i].contiguous() for i in levels]
        outs = [self._gradients.take(i, grad) for i, grad in zip(levels, contiguous, strict=True)]
        table.run("gradient", key, contiguous, list(levels.values()), outs)
        for (i, level), out in zip(levels.items(), outs, strict=True):
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


def _unit(unit: Tensor | None, mean: Tensor) -> Tensor:
    return one(mean) if unit is None else unit
