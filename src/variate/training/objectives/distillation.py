"""Distillation: learning from the softened answers of a teacher."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective


@objective(
    needs="teacher",
    cite="Hinton, Vinyals & Dean 2015, arXiv:1503.02531; as a defense: Papernot et al. 2016, arXiv:1511.04508",
)
def distillation(net: nn.Module, x: Tensor, y: Tensor, *, teacher: nn.Module, temperature: float = 20.0) -> Tensor:
    """Mean cross-entropy to the teacher's probabilities, both at the same temperature.

    Args:
        net: the student, from inputs to logits.
        x: inputs, shape (B, ...).
        y: unused: the teacher has seen the labels.
        teacher: a network of the same classes, trained at the same temperature; supplied by the training.
        temperature: T in softmax(logits / T), above 0. The trained student is used at T = 1.
    """
    with torch.no_grad():
        softened = (teacher(x) / temperature).softmax(1)  # (B, K)
    return F.cross_entropy(net(x) / temperature, softened)
