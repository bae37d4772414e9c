"""How many inputs and draws go through a network at once, so that a limit of memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.keys import Stream
from variate.random.seeding import left_as_found, under


def footprint(network: nn.Module, x: Tensor) -> int:
    """What one input keeps in memory for a backward pass through ``network``, in bytes.

    The tensors that autograd saves are measured, those of parameters left out; where it saves nothing, the outputs of
    all modules.

    Args:
        network: any module, in the mode it is used in.
        x: inputs, shape (B, ...); two of them are run.
    """
    few = x[:2]
    own = {t.untyped_storage().data_ptr() for t in chain(network.parameters(), network.buffers())}
    saved: dict[int, int] = {}
    made: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and len(tensor) == len(few) if tensor.dim() else False:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            made[output.untyped_storage().data_ptr()] = output.untyped_storage().nbytes()

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with (
            left_as_found(network),
            under(network, Stream("probe", 0).next()),
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        ):
            network(few.detach().clone().requires_grad_(True))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sum(saved.values()), sum(made.values()), few.nbytes) // len(few) + 1


def pieces(count: int, keys: Sequence[int], room: int, at_once: int) -> Iterator[tuple[slice, Sequence[int]]]:
    """Slices of ``count`` inputs, with the keys to run them under, such that no more than ``room`` passes meet.

    Every slice comes with its keys in groups, in order; the slices come one after another.

    Args:
        count: inputs.
        keys: draws.
        room: input passes that fit in memory at once.
        at_once: draws that run at once.
    """
    draws = min(len(keys), at_once)
    if room < draws:
        rows, draws = 1, max(room, 1)
    else:
        rows = room // draws
    groups = [keys[i : i + draws] for i in range(0, len(keys), draws)] if draws < at_once else [keys]
    for start in range(0, count, rows):
        for group in groups:
            yield slice(start, min(start + rows, count)), group


def room_for(limit: int | None, network: nn.Module, x: Tensor) -> int | None:
    """Input passes that fit into ``limit`` bytes; None without a limit. Raises ``UsageError`` where not one fits."""
    if limit is None:
        return None
    needed = footprint(network, x)
    if limit < needed:
        raise UsageError(
            f"{limit:,} bytes are too few: one input takes {needed:,} in this network",
            todo=f"allow at least {needed:,} bytes",
        )
    return limit // needed
