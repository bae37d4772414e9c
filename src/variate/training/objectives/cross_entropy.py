"""Cross-entropy on clean inputs."""

from __future__ import annotations

from torch import Tensor, nn

from variate.registry import objective
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task


@objective(needs="nothing", cite="")
def cross_entropy(net: nn.Module, x: Tensor, y: Tensor, *, task: Task = CLASSES, temperature: float = 1.0) -> Tensor:
    """Mean loss of the task for one fresh draw: for classes, the cross-entropy.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw.
        x: inputs, shape (B, ...).
        y: labels, shape (B, ...).
        task: what the answers are; supplied by the training.
        temperature: divisor of the outputs, above 0; only for logits.
    """
    return task.mean_loss(net(x) / temperature, y)
