"""The numbers of a training run after every epoch, for whoever logs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from variate.random import measures
from variate.random.inside import contains_random
from variate.training.history import History
from variate.training.loggers import Send, logger_of

Write = Callable[[History, nn.Module], None]


@contextmanager
def curves(log: str | Send | None, folder: Path, *, done: int, name: str = "network") -> Iterator[Write]:
    """Yield a function to call after every epoch, with the history so far and the network.

    The curves are ``loss``, ``accuracy/clean``, ``accuracy/robust``, and for every parameter of a random network
    ``scale/NAME``: the root mean square of its standard deviations over that of its means.

    Args:
        log: name of a logger, or a function of a dictionary and an epoch, from 1; None writes nothing.
        folder: folder for what the logger writes.
        done: epochs finished before a resume; what was logged of later epochs is replaced where that is possible.
        name: name of the run.

    Raises:
        UsageError: if the library of the logger is not installed.
    """
    if log is None:
        yield lambda history, network: None
        return
    with logger_of(log, folder, name, done) as send:

        def write(history: History, network: nn.Module) -> None:
            send(_values(history, network), len(history.losses))

        yield write


def _values(history: History, network: nn.Module) -> dict[str, float]:
    """The last epoch's point on every curve."""
    series = {"loss": history.losses, "accuracy/clean": history.validation, "accuracy/robust": history.robust}
    values = {name: points[-1] for name, points in series.items() if points}
    if contains_random(network):
        sizes = measures.sizes(network)
        for name, std in measures.stds(network).items():
            values[f"scale/{name}"] = float(std.detach().square().mean().sqrt() / sizes[name])
    return values
