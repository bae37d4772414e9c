"""One draw of many parameter tensors in one autograd node, whose backward pass regenerates the noise from the key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from variate.errors import RandomizeError
from variate.random.distribution import Site
from variate.random.draw.buffers import Memory
from variate.random.draw.fused import NONE, Fusion, Group, Table
from variate.random.noise import native
from variate.random.noise.native import Passed
from variate.random.scale import one

T = TypeVar("T")
Units = Sequence[Tensor | None] | None


class Draws:
    """Draws of the sites of one network.

    Args:
        sites: the random parameters; the methods take one group for each, in this order.
        scaled: whether a group holds the scale itself in place of rho, as ``Handle.scaled`` returns it.

    Attributes:
        places: (path, attribute) of every tensor of every group.
    """

    def __init__(self, sites: Sequence[Site], *, scaled: bool = False) -> None:
        self.sites = tuple(sites)
        self.distributions = [site.distribution for site in self.sites]
        self.scalings = [site.scaling for site in self.sites]
        self.places = [(site.owners[0], *site.learned_places()) for site in self.sites]
        self.needs_unit = any(scaling.needs_unit for scaling in self.scalings)
        self._positive = [scaling.plain and not scaled for scaling in self.scalings]  # the level goes through softplus
        self._as_they_are = scaled or all(self._positive)
        ends = list(accumulate(2 + len(distribution.learned) for distribution in self.distributions))
        self._slices = [slice(start, end) for start, end in pairwise([0, *ends])]
        self._fusion = Fusion(self.sites, self._positive)
        self._drawn, self._gradients, self._stacked = Memory(), Memory(), Memory()

    def draw(self, key: int, groups: Sequence[Group], units: Units) -> list[Tensor]:
        """One draw of every site under ``key``: twice differentiable where grad mode is on.

        Args:
            key: key of the draw.
            groups: (mean, rho, *learned) of every site.
            units: size of every site whose scaling needs it; None if no scaling does.
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
        """The draw without a graph; with ``alias`` every tensor is a new object over the reused memory."""
        fused, table, passed = self._fusion.of(levels)
        outs: list[Tensor] = []
        if table is not None:
            tabled = levels if len(fused) == len(levels) else [levels[i] for i in fused]
            means = [group[0] for group in tabled]
            outs = self._drawn.take(table, means)
            table.run("draw", key, means, [group[1] for group in tabled], outs, passed)
            if alias:
                outs = [out.detach() for out in outs]
        if len(fused) == len(levels):
            return outs
        drawn = dict(zip(fused, outs, strict=True))
        return [drawn[i] if i in drawn else self._composite(i, key, group) for i, group in enumerate(levels)]

    def many(self, keys: Sequence[int], groups: Sequence[Group], units: Units, indices: Sequence[int]) -> list[Tensor]:
        """The draws of many keys, stacked, for the sites at ``indices``: (S, ...) each."""
        all_levels = self._levels(groups, units)
        if torch.is_grad_enabled():
            if all(self.distributions[n].form == "modes" for n in indices):
                return [self._composites(n, keys, all_levels[n]) for n in indices]
            drawn = [self.draw(key, groups, units) for key in keys]
            return [torch.stack([draw[n] for draw in drawn]) for n in indices]
        levels = [all_levels[n] for n in indices]
        fused, table, passed = self._fusion.of(levels, tuple(indices))
        means, scales = [levels[i][0] for i in fused], [levels[i][1] for i in fused]
        stacks = dict(zip(fused, self._stacked.take(table, means, len(keys)), strict=True))
        for s, key in enumerate(keys):
            if table is not None:
                table.run("draw", key, means, scales, [stack[s] for stack in stacks.values()], passed)
        for i, index in enumerate(indices):
            if i not in stacks:
                stacks[i] = self._composites(index, keys, levels[i])
        return [stacks[i] for i in range(len(indices))]

    def backward(
        self, key: int, levels: Sequence[Group], grads: Sequence[Tensor | None], needed: Sequence[Sequence[bool]]
    ) -> Sequence[Sequence[Tensor | None]]:
        """The gradients of every group from those of its draw, with regenerated noise."""
        create_graph = torch.is_grad_enabled()  # for the gradient of the gradient
        dense = [grad for grad in grads if grad is not None and not grad.is_sparse]
        fused, table, passed = NONE if create_graph else self._fusion.of(levels)
        if table is not None and len(fused) == len(dense) == len(levels) and all(chain.from_iterable(needed)):
            slopes = self._slopes(key, table, [group[1] for group in levels], dense, passed)
            return list(zip(dense, slopes, strict=True))
        return self._backward_by_site(key, levels, grads, needed, create_graph, fused)

    def _backward_by_site(
        self,
        key: int,
        levels: Sequence[Group],
        grads: Sequence[Tensor | None],
        needed: Sequence[Sequence[bool]],
        create_graph: bool,
        fused: Sequence[int],
    ) -> list[list[Tensor | None]]:
        """``backward`` where sites differ: some are not drawn in one pass, some get or need no gradient."""
        gradients: list[list[Tensor | None]] = [[None] * len(group) for group in levels]
        dense = {i: grad.to_dense() if grad.is_sparse else grad for i, grad in enumerate(grads) if grad is not None}
        for i, grad in dense.items():
            if i in fused:
                gradients[i][0] = grad if needed[i][0] else None
            elif any(needed[i]):
                gradients[i] = self._site_gradient(i, key, levels[i], grad, needed[i], create_graph)
        scaled = [i for i in fused if i in dense and needed[i][1]]
        _, table, passed = self._fusion.of([levels[i] for i in scaled], tuple(scaled))
        if table is not None:
            slopes = self._slopes(key, table, [levels[i][1] for i in scaled], [dense[i] for i in scaled], passed)
            for i, slope in zip(scaled, slopes, strict=True):
                gradients[i][1] = slope
        return gradients

    def _slopes(
        self, key: int, table: Table, levels: Sequence[Tensor], grads: Sequence[Tensor], passed: Passed | None
    ) -> list[Tensor]:
        """The gradients of the levels, grad * z * ds/dlevel, in one pass; summed over elements that share a scale."""
        contiguous = [grad.contiguous().resolve_neg() for grad in grads]
        outs = self._gradients.take(table, contiguous)
        table.run("gradient", key, contiguous, levels, outs, passed)
        return [
            out.detach() if out.shape == level.shape else out.sum_to_size(level.shape)
            for out, level in zip(outs, levels, strict=True)
        ]

    def _site_gradient(
        self, i: int, key: int, group: Group, grad: Tensor, needed: Sequence[bool], create_graph: bool
    ) -> list[Tensor | None]:
        leaves = (
            list(group) if create_graph else [t.detach().requires_grad_(n) for t, n in zip(group, needed, strict=True)]
        )
        inputs = [leaf for leaf, need in zip(leaves, needed, strict=True) if need]
        with torch.enable_grad():
            drawn = self._composite(i, key, tuple(leaves))
            gradients = iter(torch.autograd.grad(drawn, inputs, grad, create_graph=create_graph, allow_unused=True))
        return [next(gradients) if need else None for need in needed]

    def _composite(self, i: int, key: int | Tensor, group: Group) -> Tensor:
        """One site, by the plain torch operations of its family."""
        mean, level, *learned = group
        site, distribution, scaling = self.sites[i], self.distributions[i], self.scalings[i]
        if isinstance(key, Tensor):  # in a graph
            scaling.check_shapes(site.name, mean, site.channel, level)
            noise = distribution.noise(key, site.uid, mean)
            scale = torch.nn.functional.softplus(level) if self._positive[i] else level
            return distribution.sample(noise, mean, scale, *learned)
        return self._sampled(i, [key], group, lambda noises, *tensors: distribution.sample(noises[0], *tensors))

    def _composites(self, i: int, keys: Sequence[int], group: Group) -> Tensor:
        """One site under several keys: (S, ...)."""
        return self._sampled(i, keys, group, self.distributions[i].samples)

    def _sampled(self, i: int, keys: Sequence[int], group: Group, sample: Callable[..., Tensor]) -> Tensor:
        mean, level, *learned = group
        site, distribution, scaling = self.sites[i], self.distributions[i], self.scalings[i]
        scaling.check_shapes(site.name, mean, site.channel, level)
        _check_allocated(site, group)
        try:
            with torch.no_grad():
                noises = [distribution.noise(key, site.uid, mean) for key in keys]
            scale = torch.nn.functional.softplus(level) if self._positive[i] else level
            return sample(noises, mean, scale, *learned)
        except RuntimeError as error:
            if all(map(native.is_plain, group)):
                raise
            raise _no_draw(site, group, error) from error

    def grouped(self, flat: Sequence[T]) -> list[tuple[T, ...]]:
        """Split a flat list back into (mean, level, *learned) per site."""
        return [tuple(flat[part]) for part in self._slices]

    def _levels(self, groups: Sequence[Group], units: Units) -> Sequence[Group]:
        """(mean, level, *learned): the level is rho where the scale is softplus(rho), otherwise the scale itself."""
        if self._as_they_are:
            return groups
        return [
            group if self.scalings[i].plain else self._computed_level(i, group, unit)
            for i, (group, unit) in enumerate(zip(groups, units or [None] * len(groups), strict=True))
        ]

    def _computed_level(self, i: int, group: Group, unit: Tensor | None) -> Group:
        """A group with the scale in place of rho."""
        if not torch.compiler.is_compiling():  # a graph has no memory yet
            _check_allocated(self.sites[i], group)
        return (group[0], self.scalings[i].scale_of(group[1], _unit(unit, group[0])), *group[2:])


def _check_allocated(site: Site, group: Group) -> None:
    """Raise ``RandomizeError`` where torch would read memory that is not there."""
    if not all(map(native.is_allocated, group)):
        raise RandomizeError(f"the memory of {site.name} has been freed", todo="load its values again")


class _Draw(torch.autograd.Function):
    """All sites in one node.

    The context keeps the parameters itself, since the first backward pass frees saved tensors: reentrant activation
    checkpointing runs a backward pass for each checkpoint, and all of them end here.
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
        if ctx.versions != [tensor._version for tensor in ctx.flat]:  # saved tensors would check this
            raise RuntimeError(
                "a parameter has been modified by an inplace operation since this draw, such as an optimizer step"
            )
        if ctx.freed and any(tensor.grad_fn is not None for tensor in ctx.flat):
            raise RuntimeError(
                "checkpoints with use_reentrant=True cannot share a draw whose scales are computed, as with a snr: "
                "the first one's backward pass frees the graph of the scales; pass use_reentrant=False"
            )
        ctx.freed |= ctx.pass_of_output not in (None, torch._C._current_graph_task_id())
        levels, needed = draws.grouped(ctx.flat), draws.grouped(ctx.needs_input_grad[2:])
        gradients = draws.backward(ctx.key, levels, grads, needed)
        return None, None, *chain.from_iterable(gradients)


def _no_draw(site: Site, group: Group, error: RuntimeError) -> RandomizeError:
    """The error for tensors without memory of their own, of which torch's operations could not make a draw."""
    kinds = " and ".join(sorted({type(tensor).__name__ for tensor in group}))
    sharded = any("DTensor" in type(tensor).__name__ for tensor in group)
    return RandomizeError(
        f"{site.name} cannot be drawn: its tensors are {kinds}, and torch says: {str(error).splitlines()[0]}",
        expected="ordinary dense tensors",
        todo="apply fully_shard to the whole network only, whose parameters are whole when it draws"
        if sharded
        else "randomize the network before its tensors are wrapped, or give it ordinary ones",
    )


def _unit(unit: Tensor | None, mean: Tensor) -> Tensor:
    return one(mean) if unit is None else unit
