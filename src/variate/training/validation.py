"""Validation accuracy during training: clean, and under a short attack."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from variate.inputs.asking import asked
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.task import Task
from variate.training.inner_attack import InnerAttack
from variate.training.keys import apart, drawing

CLEAN_AT_ONCE, ATTACKED_AT_ONCE = 1000, 250  # examples per batch


def accuracy(network: nn.Module, x: Tensor, y: Tensor, *, seed: int, epoch: int, task: Task = CLASSES) -> float:
    """Clean accuracy, or mean score of another task.

    It takes one fresh draw per thousand examples, or the mean of several where that is the network.

    Args:
        network: in eval mode.
        x: inputs in [0, 1], shape (N, ...).
        y: labels, shape (N, ...).
        seed: seed of the training.
        epoch: index of the epoch; every epoch has its own draws.
        task: what the answers are.
    """
    device, network = next(network.parameters()).device, task.answers(network)
    correct = 0.0
    with torch.no_grad(), drawing(network, apart("validation", seed, epoch)):
        for start in range(0, len(x), CLEAN_AT_ONCE):
            outputs = asked(network, x[start : start + CLEAN_AT_ONCE].to(device)).cpu()
            correct += float(task.score(outputs, y[start : start + CLEAN_AT_ONCE].cpu()).double().sum())
    return correct / len(x)


def robust_accuracy(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    budget: str,
    steps: int,
    examples: int,
    seed: int,
    epoch: int,
    modality: Modality | None = None,
    task: Task = CLASSES,
) -> float:
    """Accuracy on ``examples`` of the inputs, perturbed as in ``robust_answers``; it serves to rank epochs."""
    rows = chosen(len(x), examples)
    options: dict[str, Any] = {
        "budget": budget,
        "steps": steps,
        "seed": seed,
        "epoch": epoch,
        "modality": modality,
        "task": task,
    }
    return float(robust_answers(network, x[rows], y[rows], **options).double().mean())


def chosen(count: int, examples: int) -> Tensor:
    """Indices of ``examples`` of ``count`` examples, the same ones at every call; all if there are fewer."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:examples]


def robust_answers(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    budget: str,
    steps: int,
    seed: int,
    epoch: int,
    modality: Modality | None = None,
    task: Task = CLASSES,
) -> Tensor:
    """Scores of inputs perturbed by PGD, under draws that the attack did not use, shape (N,); bits for classes.

    It is not a verdict: the attack is short, and the examples are few.

    Args:
        network: in eval mode.
        x: inputs in [0, 1], shape (N, ...).
        y: labels, shape (N,).
        budget: budget of the perturbation.
        steps: steps of PGD, each with a fresh draw.
        seed: seed of the training.
        epoch: index of the epoch; every epoch has its own draws.
        modality: modality of the inputs, images by default.
        task: what the answers are.
    """
    device, network = next(network.parameters()).device, task.answers(network)
    search, judging = apart("robust search", seed, epoch), apart("robust verdict", seed, epoch)
    attack = InnerAttack(network, search, Budget.parse(budget), steps=steps, seed=seed, modality=modality, task=task)
    correct = []
    for batch, answers in zip(torch.split(x, ATTACKED_AT_ONCE), torch.split(y, ATTACKED_AT_ONCE), strict=True):
        inputs, labels = batch.to(device), answers.to(device)
        perturbed = attack(inputs, labels)
        attack.forget()
        with torch.no_grad(), drawing(network, judging):
            correct.append(task.score(asked(network, perturbed), labels).cpu())
    scores = torch.cat(correct)
    return scores > 0 if isinstance(task, Classes) else scores
