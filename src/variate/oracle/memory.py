"""How many inputs fit through a network at once within a memory limit."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.asking import own_errors
from variate.random.keys import Stream
from variate.random.seeding import input_type, left_as_found, under


def footprint(network: nn.Module, x: Tensor) -> int:
    """Memory that one input takes for a backward pass through ``network``, in bytes.

    Counts the tensors that autograd saves, except parameters, or the outputs of all modules if that is more.

    Args:
        network: any module, in the mode in which it will run.
        x: inputs, shape (B, ...); the first two are run.
    """
    sample, dtype = x[:2], input_type(network, x)
    fixed = {t.untyped_storage().data_ptr() for t in chain(network.parameters(), network.buffers())}
    saved: dict[int, int] = {}
    outputs: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in fixed and len(tensor) == len(sample) if tensor.dim() else False:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            outputs[output.untyped_storage().data_ptr()] = output.untyped_storage().nbytes()

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with (
            left_as_found(network),
            under(network, Stream("probe", 0).next()),
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            own_errors(sample),
        ):
            network(sample.detach().clone().requires_grad_(True).to(dtype, copy=True))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sum(saved.values()), sum(outputs.values()), sample.nbytes) // len(sample) + 1


def room_for(limit: int | None, network: nn.Module, x: Tensor) -> int | None:
    """The number of inputs that fit into ``limit`` bytes; None without a limit. Raises ``UsageError`` if none fits."""
    if limit is None:
        return None
    needed = footprint(network, x)
    if limit < needed:
        raise UsageError(
            f"{limit:,} bytes are too few: one input needs {needed:,} in this network",
            todo=f"allow at least {needed:,} bytes",
        )
    return limit // needed
