"""Thresholds of metrics, chosen on validation data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from variate.evaluation.measuring import DRAWS, check_metrics
from variate.evaluation.probes import device_of
from variate.metrics.choose import AUTO
from variate.metrics.metric import metric_of, written
from variate.metrics.parts.thresholds import Thresholded
from variate.metrics.responses import responses
from variate.random.keys import Stream
from variate.random.seeding import generators_as_found, kind_of, left_as_found, outputs_under
from variate.tasks.task import Task, task_of


def with_thresholds(
    metrics: Sequence[str],
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    task: str | Task = "classes",
    batch_size: int = 256,
    seed: int = 0,
) -> tuple[str, ...]:
    """Metrics with the thresholds that they need, chosen on examples that are not those to be measured.

    A threshold is the lowest that at most the wanted share of the answers to class 0 exceed. The answers are those of
    16 single draws that no attack and no verdict uses; at a mean of several draws, fewer are above it.

    Args:
        metrics: metrics as ``evaluate`` takes them; all but ``detection`` and ``false-alarms`` come back as they are,
            and so do these with a threshold.
        network: the network to be measured.
        x: inputs of the validation split, shape (B, ...).
        y: labels, shape (B,).
        task: what answers mean.
        batch_size: examples per batch.
        seed: seed of the draws.

    Returns:
        The metrics, such as ``detection(fpr=0.01, threshold=0.93)``.

    Raises:
        InputError: without examples of class 0.
        UsageError: for an unknown metric, and more than two classes.

    Example:
        >>> metrics = variate.with_thresholds(["detection(fpr=0.01)"], network, x_validation, y_validation)
        >>> variate.evaluate(network, x, y, budget="linf:0.1", metrics=metrics)
    """
    return filled(metrics, network, lambda: (x, y), task=task, batch_size=batch_size, seed=seed)


def filled(
    metrics: Sequence[str],
    network: nn.Module,
    split: Callable[[], tuple[Tensor, Tensor]] | None,
    *,
    task: str | Task = "classes",
    batch_size: int = 256,
    seed: int = 0,
) -> tuple[str, ...]:
    """``with_thresholds`` for a split that is loaded only if a metric needs it; None leaves all metrics as they are."""
    kind = task_of(task)
    check_metrics(metrics, kind)
    lacking = [name for name in metrics if name != AUTO and _lacks(name)]
    if split is None or not lacking:
        return tuple(metrics)
    x, y = split()
    outputs = _outputs(kind.answers(network), x, batch_size, Stream("probe", seed).take(DRAWS))
    given = responses(kind, outputs, kind.typed(y).cpu())
    chosen = {
        name: written(metric.chosen(given)) for name in lacking if isinstance(metric := metric_of(name), Thresholded)
    }
    return tuple(chosen.get(name, name) for name in metrics)


def _lacks(name: str) -> bool:
    metric = metric_of(name)
    return isinstance(metric, Thresholded) and metric.threshold is None


def _outputs(network: nn.Module, x: Tensor, batch_size: int, keys: list[int]) -> Tensor:
    """The outputs of a few draws, one for a deterministic network: (S, N, M)."""
    device = device_of(network, x)
    with generators_as_found(), left_as_found(network):
        used = keys[:1] if kind_of(network, x[:2].to(device)) == "deterministic" else keys
        parts = [outputs_under(network, part.to(device), used).cpu() for part in torch.split(x, batch_size)]
    return torch.cat(parts, 1)
