"""One draw of many parameter tensors in one autograd node, whose backward pass makes the noise again from the key."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from variate.random.distribution import Site
from variate.random.draw.buffers import Memory
from variate.random.draw.fused import Fusion, Group, Table
from variate.random.scale import one

T = TypeVar("T")
Units = Sequence[Tensor | None] | None


class Draws:
    """Draws of the sites of one network.

    Args:
        sites: what is random; the groups given to the methods are theirs, in order.

    Attributes:
        places: (path, attribute) of every tensor of every group.
    """

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites = tuple(sites)
        self.distributions = [site.distribution for site in self.sites]
        self.scalings = [site.scaling for site in self.sites]
        self.places = [(site.owners[0], *site.learned_places()) for site in self.sites]
        self.needs_unit = any(scaling.needs_unit for scaling in self.scalings)
        self._plain = all(scaling.plain for scaling in self.scalings)
        ends = list(accumulate(2 + len(distribution.learned) for distribution in self.distributions))
        self._slices = [slice(start, end) for start, end in pairwise([0, *ends])]
        self._fusion = Fusion(self.sites)
        self._drawn, self._gradients, self._stacked = Memory(), Memory(), Memory()

    def draw(self, key: int, groups: Sequence[Group], units: Units) -> list[Tensor]:
        """One draw of every site under ``key``: differentiable where grad mode is on, and once more.

        Args:
            key: the draw.
            groups: (mean, rho, *learned) of every site.
            units: the size of every site whose scaling needs one; None if none does.
        """
        levels = self._levels(groups, units)
        if torch._C._are_functorch_transforms_active():
            return [self._composite(i, key, group) for i, group in enumerate(levels)]
        if torch.is_grad_enabled():
            flat = list(chain.from_iterable(levels))
            if any(tensor.requires_grad for tensor in flat):
                return list(_Draw.apply(self, key, *flat))  # type: ignore[no-untyped-call]
        return self.forward(key, levels)

    def traced(self, key: Tensor, groups: Sequence[Group], units: Units) -> list[Tensor]:
        """``draw`` in plain operations on a key that is data, for graphs."""
        return [self._composite(i, key, group) for i, group in enumerate(self._levels(groups, units))]

    def forward(self, key: int, levels: Sequence[Group], *, alias: bool = False) -> list[Tensor]:
        """The draw without a graph; with ``alias`` every tensor is a new object over the kept memory."""
        fused, table = self._fusion.of(levels)
        outs: list[Tensor] = []
        if table is not None:
            chosen = levels if len(fused) == len(levels) else [levels[i] for i in fused]
            means = [group[0] for group in chosen]
            outs = self._drawn.take(table, means)
            table.run("draw", key, means, [group[1] for group in chosen], outs)
            if alias:
                outs = [out.detach() for out in outs]
        if len(fused) == len(levels):
            return outs
        drawn = dict(zip(fused, outs, strict=True))
        return [drawn[i] if i in drawn else self._composite(i, key, group) for i, group in enumerate(levels)]

    def many(self, keys: Sequence[int], groups: Sequence[Group], units: Units, chosen: Sequence[int]) -> list[Tensor]:
        """The draws of many keys, stacked, of the sites with the numbers ``chosen``: (S, ...) each."""
        if torch.is_grad_enabled():
            drawn = [self.draw(key, groups, units) for key in keys]
            return [torch.stack([draw[n] for draw in drawn]) for n in chosen]
        every = self._levels(groups, units)
        levels = [every[n] for n in chosen]
        fused, table = self._fusion.of(levels, tuple(chosen))
        means, scales = [levels[i][0] for i in fused], [levels[i][1] for i in fused]
        stacks = dict(zip(fused, self._stacked.take(table, means, len(keys)), strict=True))
        for s, key in enumerate(keys):
            if table is not None:
                table.run("draw", key, means, scales, [stack[s] for stack in stacks.values()])
        for i, number in enumerate(chosen):
            if i not in stacks:
                stacks[i] = torch.stack([self._composite(number, key, levels[i]) for key in keys])
        return [stacks[i] for i in range(len(chosen))]

    def backward(
        self, key: int, levels: Sequence[Group], grads: Sequence[Tensor | None], wanted: Sequence[Sequence[bool]]
    ) -> Sequence[Sequence[Tensor | None]]:
        """The gradients of every group from those of its draw; the noise is made again."""
        again = torch.is_grad_enabled()  # somebody wants the gradient of the gradient
        arrived = [grad for grad in grads if grad is not None and not grad.is_sparse]
        fused, table = ([], None) if again else self._fusion.of(levels)
        if table is not None and len(fused) == len(arrived) == len(levels) and all(chain.from_iterable(wanted)):
            return list(zip(arrived, self._slopes(key, table, [group[1] for group in levels], arrived), strict=True))
        return self._separately(key, levels, grads, wanted, again, fused)

    def _separately(
        self,
        key: int,
        levels: Sequence[Group],
        grads: Sequence[Tensor | None],
        wanted: Sequence[Sequence[bool]],
        again: bool,
        fused: Sequence[int],
    ) -> list[list[Tensor | None]]:
        """The same where sites differ: some are not drawn in one pass, some get or want no gradient."""
        found: list[list[Tensor | None]] = [[None] * len(group) for group in levels]
        arrived = {i: grad.to_dense() if grad.is_sparse else grad for i, grad in enumerate(grads) if grad is not None}
        for i, grad in arrived.items():
            if i in fused:
                found[i][0] = grad if wanted[i][0] else None
            elif any(wanted[i]):
                found[i] = self._site_gradient(i, key, levels[i], grad, wanted[i], again)
        asked = [i for i in fused if i in arrived and wanted[i][1]]
        _, table = self._fusion.of([levels[i] for i in asked], tuple(asked))
        if table is not None:
            slopes = self._slopes(key, table, [levels[i][1] for i in asked], [arrived[i] for i in asked])
            for i, slope in zip(asked, slopes, strict=True):
                found[i][1] = slope
        return found

    def _slopes(self, key: int, table: Table, levels: Sequence[Tensor], grads: Sequence[Tensor]) -> list[Tensor]:
        """Grad * z * ds/dlevel in one pass; summed over the elements that share a scale."""
        contiguous = [grad.contiguous() for grad in grads]
        outs = self._gradients.take(table, contiguous)
        table.run("gradient", key, contiguous, levels, outs)
        return [
            out.detach() if out.shape == level.shape else out.sum_to_size(level.shape)
            for out, level in zip(outs, levels, strict=True)
        ]

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
            noise = self.distributions[i].noise(key, self.sites[i].uid, mean)
        scale = torch.nn.functional.softplus(level) if self.scalings[i].plain else level
        return self.distributions[i].sample(noise, mean, scale, *learned)

    def grouped(self, flat: Sequence[T]) -> list[tuple[T, ...]]:
        """Split a flat list back into (mean, level, *learned) per site."""
        return [tuple(flat[part]) for part in self._slices]

    def _levels(self, groups: Sequence[Group], units: Units) -> Sequence[Group]:
        """(mean, level, *learned): the level is rho where the scale is its softplus, and the scale itself otherwise."""
        if self._plain:
            return groups
        return [
            group if scaling.plain else (group[0], scaling.scale_of(group[1], _unit(unit, group[0])), *group[2:])
            for scaling, group, unit in zip(self.scalings, groups, units or [None] * len(groups), strict=True)
        ]


class _Draw(torch.autograd.Function):
    """All sites in one node.

    The context keeps the parameters itself, as saved tensors are freed by the first backward pass: reentrant activation
    checkpointing makes one for each checkpoint, and all of them end here.
    """

    @staticmethod
    def forward(ctx: Any, draws: Draws, key: int, *flat: Tensor) -> tuple[Tensor, ...]:
        ctx.draws, ctx.key = draws, key
        ctx.flat, ctx.versions = flat, [tensor._version for tensor in flat]
        ctx.pass_of_output, ctx.freed = None, False
        ctx.set_materialize_grads(False)
        return tuple(draws.forward(key, draws.grouped(flat), alias=True))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        draws: Draws = ctx.draws
        if ctx.versions != [tensor._version for tensor in ctx.flat]:  # saved tensors would say so
            raise RuntimeError(
                "a parameter has been modified by an inplace operation, such as an optimizer's step, since this draw"
            )
        if ctx.freed and any(tensor.grad_fn is not None for tensor in ctx.flat):
            raise RuntimeError(
                "checkpoints with use_reentrant=True cannot share a draw whose scales are computed, as with a snr: "
                "the first one's backward pass frees the graph of the scales; pass use_reentrant=False"
            )
        ctx.freed |= ctx.pass_of_output not in (None, torch._C._current_graph_task_id())
        levels, wanted = draws.grouped(ctx.flat), draws.grouped(ctx.needs_input_grad[2:])
        found = draws.backward(ctx.key, levels, grads, wanted)
        return None, None, *chain.from_iterable(found)


def _unit(unit: Tensor | None, mean: Tensor) -> Tensor:
    return one(mean) if unit is None else unit
