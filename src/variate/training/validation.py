"""Accuracy on the validation split while a network trains: clean, and under a short attack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.training.inner_attack import InnerAttack
from variate.training.keys import apart, drawing

CLEAN_AT_ONCE, ATTACKED_AT_ONCE = 1000, 250  # examples


def accuracy(network: nn.Module, x: Tensor, y: Tensor, *, seed: int, epoch: int) -> float:
    """The rate of right answers, one fresh draw for every thousand examples.

    Args:
        network: in eval mode.
        x: inputs in [0, 1], shape (N, ...).
        y: labels, shape (N,).
        seed: of the training.
        epoch: its number; every epoch has draws of its own.
    """
    device = next(network.parameters()).device
    right = 0
    with torch.no_grad(), drawing(network, apart("validation", seed, epoch)):
        for start in range(0, len(x), CLEAN_AT_ONCE):
            logits = network(x[start : start + CLEAN_AT_ONCE].to(device))
            right += int((logits.argmax(1).cpu() == y[start : start + CLEAN_AT_ONCE].cpu()).sum())
    return right / len(x)


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
) -> float:
    """The rate of right answers to inputs that PGD has perturbed, under draws that did not guide it.

    It ranks epochs, and is no verdict: the attack is short, and the examples are few.

    Args:
        network: in eval mode.
        x: inputs in [0, 1], shape (N, ...).
        y: labels, shape (N,).
        budget: of the perturbation.
        steps: of PGD, a fresh draw at each.
        examples: how many are attacked, the same at every call; all, if there are fewer.
        seed: of the training.
        epoch: its number; every epoch has draws of its own.
        modality: of the inputs; images without one.
    """
    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:examples]
    device = next(network.parameters()).device
    search, judging = apart("robust search", seed, epoch), apart("robust verdict", seed, epoch)
    attack = InnerAttack(network, search, Budget.parse(budget), steps=steps, seed=seed, modality=modality)
    right = 0
    for piece in torch.split(chosen, ATTACKED_AT_ONCE):
        mine, labels = x[piece].to(device), y[piece].to(device)
        perturbed = attack(mine, labels)
        attack.forget()
        with torch.no_grad(), drawing(network, judging):
            right += int((network(perturbed).argmax(1) == labels).sum())
    return right / len(chosen)
