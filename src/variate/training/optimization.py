"""The optimizer of a training run, its groups of parameters and its learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from variate.errors import UsageError
from variate.random.inside import contains_random
from variate.random.measures import scale_parameters
from variate.training.recipe import Recipe, Schedule


def parameter_groups(
    net: nn.Module,
    *,
    lr: float = Recipe.lr,
    scale_lr: float = Recipe.scale_lr,
    weight_decay: float = Recipe.weight_decay,
) -> list[dict[str, Any]]:
    """Groups for any optimizer of torch: scales have a higher learning rate than means, and no weight decay.

    They are the groups of ``variate.train``. Random networks inside a larger module are found; parameters that need no
    gradient are left out.

    Args:
        net: any module.
        lr: learning rate of everything but the scales.
        scale_lr: learning rate of the scales, as a multiple of ``lr``.
        weight_decay: weight decay of everything but the scales.

    Raises:
        UsageError: if no parameter needs a gradient.

    Example:
        >>> net = variate.randomize(torch.nn.Linear(4, 2))
        >>> optimizer = torch.optim.AdamW(variate.parameter_groups(net, lr=1e-3))
        >>> {group["lr"] for group in optimizer.param_groups} == {0.001, 0.005}
        True
    """
    scales = scale_parameters(net) if contains_random(net) else []
    scale_ids = {id(p) for p in scales}
    means = [p for p in net.parameters() if p.requires_grad and id(p) not in scale_ids]
    learned = [p for p in scales if p.requires_grad]
    if not means and not learned:
        raise UsageError(
            f"no parameter of {type(net).__name__} needs a gradient, so there is nothing to train",
            todo="call net.requires_grad_(True), or set it for the layers to train",
        )
    groups = [
        {"params": means, "lr": lr, "weight_decay": weight_decay},
        {"params": learned, "lr": lr * scale_lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def optimizer_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum, on ``parameter_groups``."""
    groups = parameter_groups(network, lr=recipe.lr, scale_lr=recipe.scale_lr, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.AdamW(groups)


def schedule_of(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LambdaLR:
    """The learning rate by step.

    Args:
        optimizer: optimizer at its highest learning rates.
        recipe: recipe with the epochs, the warmup and the schedule.
        steps: optimizer steps per epoch.
    """
    warm, total = round(recipe.warmup * steps), recipe.epochs * steps
    return LambdaLR(optimizer, rate(warm=warm, total=total, schedule=recipe.schedule))


def rate(*, warm: int, total: int, schedule: Schedule) -> Callable[[int], float]:
    """The fraction of the highest learning rate at every step.

    It is (step + 1) / warm for the first ``warm`` steps. Then, with s = (step - warm) / (total - warm), it is
    0.5 * (1 + cos(pi * s)) with ``cosine``, and 1 - s with ``linear``: two straight lines together, as in Wong, Rice &
    Kolter (2020), arXiv:2001.03994.
    """

    def fraction(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, total - warm)
        return 1 - done if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))

    return fraction
