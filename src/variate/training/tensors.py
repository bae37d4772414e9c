"""Files of tensors in safetensors format: read, written, and loaded into a network of the same names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from variate.errors import CheckpointError
from variate.files.reading import replace
from variate.training.extra_state import divided, extra_in

RESTORE = "train the network again, or restore the file"
FREE = "free disk space or choose another folder"


def count(state: Mapping[str, Any]) -> int:
    """How many numbers the tensors of a state dict hold; values of another kind hold none."""
    return sum(value.numel() for value in state.values() if isinstance(value, Tensor))


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors of the same names and shapes into a network. Raises ``CheckpointError``."""
    expected = network.state_dict()
    missing = [f"{name} is missing" for name in expected if name not in tensors]
    unknown = [f"{name} is unknown to this network" for name in tensors if name not in expected]
    misshapen = [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and isinstance(expected[name], Tensor) and tensors[name].shape != expected[name].shape
    ]
    if missing or unknown or misshapen:
        raise CheckpointError(
            f"{path} is of another network: {len(missing)} missing, {len(unknown)} unknown, {len(misshapen)} misshapen",
            findings=[*missing[:5], *unknown[:5], *misshapen[:5]],
        )
    network.load_state_dict(dict(tensors))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file, which is never unpickled. Raises ``CheckpointError``."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
            return tensors | extra_in(metadata), metadata
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist", todo=RESTORE) from None
    except Exception as error:
        raise CheckpointError(
            f"{path} is truncated, or not a safetensors file: {error}",
            todo=RESTORE,
        ) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata atomically. Raises ``CheckpointError``."""
    parts, extra = divided(tensors)
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in parts.items()}

    def write(partial: Path) -> None:
        try:
            save_file(whole, partial, metadata | extra)
        except SafetensorError as error:  # a full disk, among others
            raise OSError(str(error)) from error

    replace(path, write, CheckpointError, todo=FREE)
