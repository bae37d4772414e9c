"""The state of a training run in one file, from which it resumes: networks, optimizer and facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import CheckpointError
from variate.fields import defaults_of
from variate.files.reading import reading
from variate.training.cell import Cell
from variate.training.tensors import load_into, read_tensors, write_tensors

DELETE = "delete the file to train from the start"


def save_training(
    path: Path,
    networks: Mapping[str, Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
) -> None:
    """Save everything that training needs to resume, in one file that is written atomically.

    Args:
        path: file to write.
        networks: state dicts by name: ``network``, the one in training, and any others to keep.
        optimizer: optimizer whose state is saved too.
        facts: any JSON data, including the ``recipe`` that determines the result.
    """
    tensors = {f"{name}.{key}": tensor for name, state in networks.items() for key, tensor in state.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    write_tensors(path, tensors, {"facts": json.dumps(facts)})


def load_training(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, recipe: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Restore the network in training and its optimizer from ``save_training``.

    Returns:
        The facts, and the state dicts of the other networks by name.

    Raises:
        CheckpointError: if it is the state of another recipe or network.
    """
    tensors, metadata = read_tensors(path)
    with reading(path, CheckpointError, todo=DELETE):
        facts: dict[str, Any] = json.loads(metadata.get("facts", "{}"))
        usual = {name: default for name, default in defaults_of(Cell).items() if name in recipe}
        saved = usual | dict(facts.get("recipe", {}))  # an older state may lack newer options
    changed = [f"{k}: {old!r} there, {recipe.get(k)!r} now" for k, old in saved.items() if recipe.get(k) != old]
    changed += [f"{k}: nothing there, {now!r} now" for k, now in recipe.items() if k not in saved]
    if changed:
        raise CheckpointError(
            f"{path} is the state of another training run",
            findings=changed,
            todo="finish that run with its own command, delete the file, or train into another folder",
        )
    states: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        owner, _, key = name.partition(".")
        states.setdefault(owner, {})[key] = tensor
    with reading(path, CheckpointError, todo=DELETE):
        load_into(network, states.pop("network", {}), path)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in states.pop("optimizer", {}).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return facts, states
