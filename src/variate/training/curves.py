"""Write the curves of a training run for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from variate.errors import UsageError
from variate.random import measures
from variate.random.inside import contains_random
from variate.training.history import History

Write = Callable[[History, nn.Module], None]


@contextmanager
def curves(log: str | None, folder: Path, *, done: int) -> Iterator[Write]:
    """Yield a function to call after every epoch, with the history so far and the network.

    The curves are ``loss``, ``accuracy/clean``, ``accuracy/robust``, and for every parameter of a random network
    ``scale/NAME``: the root mean square of its standard deviations over that of its means.

    Args:
        log: ``tensorboard``; None writes nothing.
        folder: folder for the events.
        done: epochs finished before a resume; events of later epochs are replaced.

    Raises:
        UsageError: if TensorBoard is not installed.
    """
    if log is None:
        yield lambda history, network: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            f"log='tensorboard' needs TensorBoard: {error}", todo='pip install "variate[tensorboard]"'
        ) from error
    writer = SummaryWriter(str(folder), purge_step=done + 1)

    def write(history: History, network: nn.Module) -> None:
        for name, value in _values(history, network).items():
            writer.add_scalar(name, value, len(history.losses))
        writer.flush()

    try:
        yield write
    finally:
        writer.close()


def _values(history: History, network: nn.Module) -> dict[str, float]:
    """The last epoch's point on every curve."""
    series = {"loss": history.losses, "accuracy/clean": history.validation, "accuracy/robust": history.robust}
    values = {name: points[-1] for name, points in series.items() if points}
    if contains_random(network):
        sizes = measures.sizes(network)
        for name, std in measures.stds(network).items():
            values[f"scale/{name}"] = float(std.detach().square().mean().sqrt() / sizes[name])
    return values
