"""The device that a training runs on, and the processes that share its batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from variate.datasets.batches import Batches
from variate.errors import UsageError


class Loader(Protocol):
    """Batches of inputs and labels; ``set_epoch`` is called if there is one."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...

    def __len__(self) -> int: ...


def fabric_of(accelerator: str, *, devices: int = 1, precision: str = "32-true") -> Any:
    """Lightning's fabric on an accelerator. Raises ``UsageError`` if it is not available."""
    from lightning_fabric import Fabric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fabric warns about accelerators that were not requested
        try:
            return Fabric(accelerator=accelerator, devices=devices, precision=cast(Any, precision))
        except (RuntimeError, ValueError) as error:  # fabric's message names the available ones
            raise UsageError(f"cannot use the accelerator {accelerator!r}: {error}") from error


def device_of(accelerator: str) -> torch.device:
    """The first device of an accelerator; for ``auto``, of the best one available."""
    return cast(torch.device, fabric_of(accelerator).device)


def is_first_process() -> bool:
    """Whether this process writes files and prints output; true for a single process."""
    distributed = torch.distributed
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def share(fabric: Any, loader: Loader) -> Loader:
    """This process's share of the batches; all processes draw the same networks."""
    if isinstance(loader, torch.utils.data.DataLoader):
        return cast(Loader, fabric.setup_dataloaders(loader))
    if fabric.world_size == 1:
        return loader
    if not isinstance(loader, Batches):
        raise UsageError("a list of batches cannot be shared by several processes", todo="pass a DataLoader")
    return loader.share(fabric.global_rank, fabric.world_size)


def total(fabric: Any, value: float) -> float:
    """The sum of a value over all processes."""
    if fabric.world_size == 1:
        return value
    return float(fabric.all_reduce(torch.tensor(value, device=fabric.device), reduce_op="sum"))


def agree(fabric: Any, network: nn.Module) -> None:
    """Broadcast the buffers of the first process; batch-norm statistics differ between processes until then."""
    if fabric.world_size > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, 0)
