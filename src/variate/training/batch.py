"""One batch of a loader: its parts, its size, and how a network is called on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from variate.errors import UsageError

PAIRS = "batches (x, y): two tensors"


def pair_of(batch: Any) -> tuple[Tensor, Tensor]:
    """The inputs and labels of a batch. Raises ``UsageError`` for a batch of another form."""
    if isinstance(batch, Sequence) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch):
        return batch[0], batch[1]
    raise UsageError(
        f"the loader yields {_described(batch)}",
        expected=PAIRS,
        todo="convert each batch, in the loader's collate_fn for example; with a loss of your own, loss=f with "
        "f(outputs, batch), a batch may have any form",
    )


def size_of(batch: Any) -> int:
    """The number of examples: the length of the first tensor of a batch. Raises ``UsageError`` if there is none."""
    tensor = first_tensor(batch)
    if tensor is None or tensor.dim() == 0:
        raise UsageError(
            f"the loader yields {_described(batch)}, with no tensor of a row for each example",
            expected=PAIRS,
            todo="convert each batch, in the loader's collate_fn for example",
        )
    return len(tensor)


def outputs_of(network: nn.Module, batch: Any) -> Any:
    """Call a network on a tensor, on the first part of a tuple, or on the entries of a dictionary by name."""
    if isinstance(batch, Mapping):
        return network(**batch)
    return network(batch[0] if isinstance(batch, Sequence) else batch)


def first_tensor(batch: Any) -> Tensor | None:
    """The first tensor of a batch of any form; None if there is none."""
    if isinstance(batch, Tensor):
        return batch
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, Sequence) else ()
    return next((tensor for part in parts if (tensor := first_tensor(part)) is not None), None)


def _described(batch: Any) -> str:
    if isinstance(batch, Mapping):
        return f"a dictionary of {', '.join(map(repr, batch))}"
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return f"a {type(batch).__name__} of {', '.join(type(part).__name__ for part in batch) or 'nothing'}"
    return f"a {type(batch).__name__}"
