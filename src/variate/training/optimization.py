"""The optimizer of a training run and its learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from variate.random.measures import scale_parameters
from variate.random.network import RandomNetwork
from variate.training.recipe import Recipe

MOMENTUM = 0.9


def optimizer_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum; scales have a higher learning rate and no weight decay."""
    scales = scale_parameters(network) if isinstance(network, RandomNetwork) else []
    scale_ids = {id(p) for p in scales}
    means = [p for p in network.parameters() if p.requires_grad and id(p) not in scale_ids]
    groups: list[dict[str, Any]] = [{"params": means, "lr": recipe.lr, "weight_decay": recipe.weight_decay}]
    learned = [p for p in scales if p.requires_grad]
    if learned:
        groups.append({"params": learned, "lr": recipe.lr * recipe.scale_lr, "weight_decay": 0.0})
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups)


def schedule_of(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LambdaLR:
    """The learning rate by step.

    Args:
        optimizer: optimizer at its highest learning rates.
        recipe: recipe with the epochs and the warmup.
        steps: optimizer steps per epoch.
    """
    return LambdaLR(optimizer, rate(warm=round(recipe.warmup * steps), total=recipe.epochs * steps))


def rate(*, warm: int, total: int) -> Callable[[int], float]:
    """The fraction of the highest learning rate at every step.

    It is (step + 1) / warm for the first ``warm`` steps, then 0.5 * (1 + cos(pi * (step - warm) / (total - warm))).
    """

    def fraction(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

    return fraction
