"""Exported networks, opened with entropy from the operating system: no two openings answer with the same draws."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from variate.errors import CheckpointError, UsageError
from variate.optional import imported

PROGRAM = ".pt2"
TYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(int64)": torch.int64}
SEED_BITS = 31  # onnxruntime's generators have that many


def open_exported(path: str | Path) -> Callable[[Tensor], Tensor]:
    """A network that ``variate.export`` wrote, as a function from inputs (B, ...) to logits (B, K), for any thread.

    Open it in the process that serves: an ONNX session repeats its parent's draws after a fork. Every new session of
    one process repeats the first one's draws too, unless the runtime is seeded, as it is here.

    Args:
        path: ending in ``.onnx`` or ``.pt2``.

    Raises:
        UsageError: for another ending, or where onnxruntime is not installed.
        CheckpointError: for a file that is missing or damaged.
    """
    found = Path(path)
    if found.suffix not in (".onnx", PROGRAM):
        raise UsageError(f"{found} is no exported network", expected="a file that ends in .onnx or .pt2")
    try:
        if not found.is_file():
            raise FileNotFoundError(f"there is no file {found}")
        return _Session(found) if found.suffix == ".onnx" else _Program(found)
    except UsageError:
        raise
    except Exception as error:
        raise CheckpointError(f"{found} cannot be opened: {error}", todo="export the network again") from error


class _Session:
    """An ONNX graph in onnxruntime, on the CPU.

    The generators of a new session have neighboring seeds, and the first numbers of neighboring seeds are alike (a
    correlation of 0.6 between two tensors). So the first call is thrown away.
    """

    def __init__(self, path: Path) -> None:
        runtime = imported("onnxruntime", "onnx")
        runtime.set_seed(secrets.randbits(SEED_BITS))  # before the session: its operations read it when they are made
        self._session: Any = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        entry = self._session.get_inputs()[0]
        self._name: str = entry.name
        shape = [side if isinstance(side, int) else 1 for side in entry.shape]
        self(torch.zeros(shape, dtype=TYPES[entry.type]))

    def __call__(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._session.run(None, {self._name: x.detach().cpu().numpy()})[0])


class _Program:
    """A program of ``torch.export``; every call takes its key from entropy of its own, and leaves torch's generator."""

    def __init__(self, path: Path) -> None:
        self._module = torch.export.load(path).module()
        self._one_at_a_time = threading.Lock()  # the generator that the graph draws from is the whole process's

    def __call__(self, x: Tensor) -> Tensor:
        with self._one_at_a_time, torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(secrets.randbits(63))
            logits: Tensor = self._module(x)
        return logits
