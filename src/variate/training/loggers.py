"""Where the numbers of a training go: a file, or the experiment tracker of another library, behind one function.

A logger is a context that yields ``send(values, step)``, which is called after every epoch with numbers by name. A
training that is resumed continues its run: the folder keeps the identity that the tracker has given it.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from variate.errors import UsageError
from variate.optional import imported

Send = Callable[[Mapping[str, float], int], object]
Logger = Callable[[Path, str, int], AbstractContextManager[Send]]  # folder, name of the run, epochs done before
PROJECT = "variate"
RUN = "run-id"  # file with the identity of a run


@contextmanager
def to_tensorboard(folder: Path, name: str, done: int) -> Iterator[Send]:
    """Events in ``folder``; those of epochs after ``done`` are replaced. Raises ``UsageError``."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            f"log='tensorboard' needs TensorBoard: {error}", todo='pip install "variate[tensorboard]"'
        ) from error
    writer = SummaryWriter(str(folder), purge_step=done + 1)

    def send(values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)
        writer.flush()

    try:
        yield send
    finally:
        writer.close()


@contextmanager
def to_csv(folder: Path, name: str, done: int) -> Iterator[Send]:
    """``log.csv`` in ``folder``, one line per number: epoch, name, value; none of an epoch after ``done`` is kept."""
    path = folder / "log.csv"
    folder.mkdir(parents=True, exist_ok=True)
    kept: list[list[str]] = []
    if done and path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            kept = [row for row in csv.reader(file) if row[:1] != ["epoch"] and int(row[0]) <= done]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["epoch", "name", "value"], *kept])

        def send(values: Mapping[str, float], step: int) -> None:
            writer.writerows([[step, key, repr(value)] for key, value in values.items()])
            file.flush()

        yield send


@contextmanager
def to_mlflow(folder: Path, name: str, done: int) -> Iterator[Send]:
    """A run of MLflow, in the store that ``MLFLOW_TRACKING_URI`` names. Raises ``UsageError``."""
    mlflow: Any = imported("mlflow", "mlflow")
    known = _read_id(folder) if done else None
    with mlflow.start_run(run_id=known, run_name=None if known else name, nested=True) as run:
        _write_id(folder, run.info.run_id)
        yield lambda values, step: mlflow.log_metrics(dict(values), step=step)


@contextmanager
def to_wandb(folder: Path, name: str, done: int) -> Iterator[Send]:
    """A run of Weights & Biases in the project ``variate``, or ``WANDB_PROJECT``. Raises ``UsageError``."""
    wandb: Any = imported("wandb", "wandb")
    folder.mkdir(parents=True, exist_ok=True)
    known = _read_id(folder) if done else None
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    run = wandb.init(project=project, name=name, dir=str(folder), id=known, resume="allow" if known else None)
    _write_id(folder, run.id)
    try:
        yield lambda values, step: run.log(dict(values), step=step)
    finally:
        run.finish()


@contextmanager
def to_trackio(folder: Path, name: str, done: int) -> Iterator[Send]:
    """A run of trackio in the project ``variate``, or ``TRACKIO_PROJECT``. Raises ``UsageError``."""
    trackio: Any = imported("trackio", "trackio")
    known = _read_id(folder) if done else None
    project = os.environ.get("TRACKIO_PROJECT", PROJECT)
    with redirect_stdout(sys.stderr):  # it prints
        run = trackio.init(project=project, name=known or name, resume="must" if known else "never")
    _write_id(folder, run.name)
    try:
        yield lambda values, step: trackio.log(dict(values), step=step)
    finally:
        with redirect_stdout(sys.stderr):
            trackio.finish()


LOGGERS: dict[str, Logger] = {
    "tensorboard": to_tensorboard,
    "csv": to_csv,
    "mlflow": to_mlflow,
    "wandb": to_wandb,
    "trackio": to_trackio,
}


@contextmanager
def to_function(function: Send) -> Iterator[Send]:
    """Your own function of a dictionary and a step. Raises ``UsageError`` for anything else."""
    if not callable(function):
        raise UsageError(f"log is {function!r}", expected=f"one of {', '.join(LOGGERS)}, or a function (values, step)")
    yield function


def logger_of(log: str | Send, folder: Path, name: str, done: int) -> AbstractContextManager[Send]:
    """The context of a logger by its name, or of a function. Raises ``UsageError`` where its library is missing."""
    return LOGGERS[log](folder, name, done) if isinstance(log, str) else to_function(log)


def _read_id(folder: Path) -> str | None:
    path = folder / RUN
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _write_id(folder: Path, identity: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN).write_text(f"{identity}\n", encoding="utf-8")
