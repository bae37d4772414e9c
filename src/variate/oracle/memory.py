"""How many inputs go through a network at once, so that a limit of memory holds."""

from __future__ import annotations

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
