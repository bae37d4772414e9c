"""Opening exported networks with entropy from the operating system, so that no two repeat the same draws."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from variate.errors import CheckpointError, UsageError, VariateError
from variate.files.reading import unzipping
from variate.optional import imported
from variate.serving.drawn_session import DrawnSession
from variate.serving.noise_input import INPUTS

PROGRAM = ".pt2"
TYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(int64)": torch.int64}
ERRORS = 3  # onnxruntime's name for them
SEED_BITS = 31  # of a seed for onnxruntime's generators


def open_exported(path: str | Path) -> Callable[[Tensor], Tensor]:
    """A network that ``variate.export`` wrote, as a function from inputs (B, ...) to logits (B, K), for any thread.

    A graph that takes its draw as inputs gets a fresh one for every answer; ``.at(key, x)`` answers with a chosen one.

    Open it in the process that serves: an ONNX session repeats its parent's draws after a fork. Every new session of
    one process repeats the first one's draws too, unless the runtime is seeded, as it is here.

    Args:
        path: path of the file, ending in ``.onnx`` or ``.pt2``.

    Raises:
        UsageError: for another ending, or if onnxruntime is not installed.
        CheckpointError: for a file that is missing or damaged.
    """
    file = Path(path)
    if file.suffix not in (".onnx", PROGRAM):
        raise UsageError(f"{file} is not an exported network", expected="a file that ends in .onnx or .pt2")
    try:
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        if file.suffix == PROGRAM:
            with unzipping(file, CheckpointError, todo="export the network again"):  # of a limited size
                pass
        return _graph(file) if file.suffix == ".onnx" else _Program(file)
    except VariateError:
        raise
    except Exception as error:
        raise CheckpointError(f"{file} cannot be opened: {error}", todo="export the network again") from error


def _graph(path: Path) -> Callable[[Tensor], Tensor]:
    """An ONNX graph in onnxruntime, on the CPU."""
    runtime = imported("onnxruntime", "onnx")
    runtime.set_seed(secrets.randbits(SEED_BITS))  # before the session: its operations read the seed when created
    options = runtime.SessionOptions()
    options.log_severity_level = ERRORS  # not a warning for each tensor that the file carries beside its graph
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would take cores from our sampler
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    takes_draws = INPUTS in session.get_modelmeta().custom_metadata_map
    return DrawnSession(path, session) if takes_draws else _Session(session)


class _Session:
    """A graph that makes its own noise, if any.

    The generators of a new session have neighboring seeds, and the first numbers of neighboring seeds are similar (a
    correlation of 0.6 between two tensors). So the output of the first call is discarded.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        graph_input = self._session.get_inputs()[0]
        self._name: str = graph_input.name
        shape = [size if isinstance(size, int) else 1 for size in graph_input.shape]
        self(torch.zeros(shape, dtype=TYPES[graph_input.type]))

    def __call__(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._session.run(None, {self._name: x.detach().cpu().numpy()})[0])


class _Program:
    """A program of ``torch.export``; every call uses fresh entropy for its key, and restores torch's generator."""

    def __init__(self, path: Path) -> None:
        self._module = torch.export.load(path).module()
        self._lock = threading.Lock()  # the graph draws from the generator of the whole process

    def __call__(self, x: Tensor) -> Tensor:
        with self._lock, torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(secrets.randbits(63))
            logits: Tensor = self._module(x)
        return logits
