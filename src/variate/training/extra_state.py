"""Values in a state dict that are not tensors, from a module's ``get_extra_state``: kept as JSON beside the tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from variate.errors import CheckpointError

EXTRA = "extra_state"  # name in the metadata of a file


def check_extra_state(network: nn.Module) -> None:
    """Check that a network's state can be saved. Raises ``CheckpointError``."""
    divided(network.state_dict())


def divided(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a state dict, and metadata with all other values.

    Raises:
        CheckpointError: for values that JSON does not bring back as they were.
    """
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    extra = {name: value for name, value in state.items() if name not in tensors}
    lossy = [f"{name} is a {type(value).__name__}" for name, value in extra.items() if not _survives(value)]
    if lossy:
        raise CheckpointError(
            "the network has extra state that cannot be saved",
            expected="tensors, or dictionaries, lists, texts, numbers and None",
            findings=lossy,
            todo="return such values from get_extra_state, and convert them in set_extra_state",
        )
    return tensors, {EXTRA: json.dumps(extra)} if extra else {}


def extra_in(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The values that ``divided`` put into metadata."""
    extra: dict[str, Any] = json.loads(metadata.get(EXTRA, "{}"))
    return extra


def _survives(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
