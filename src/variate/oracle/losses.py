"""Losses that an attacker maximizes: one number per example, higher closer to a misclassification.

Each takes logits (B, K) and labels (B,) and returns (B,). ``aimed`` turns any of them into a targeted loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import unknown_name

Loss = Callable[[Tensor, Tensor], Tensor]
TINY = 1e-12  # avoids division by zero


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """The cross-entropy.

    Written as softplus(logsumexp of the other logits - the label's): the usual form rounds its gradient to zero, or to
    the wrong direction, once the margin passes 17 in float32, which makes confident networks look robust.
    """
    label_logit = _of(logits, y)  # (B,)
    return F.softplus(_without(logits, y).logsumexp(1) - label_logit)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus the label's: above 0 is an error (Carlini & Wagner 2017, arXiv:1608.04644, f6)."""
    return _without(logits, y).amax(1) - _of(logits, y)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """The difference of logits ratio: margin / (largest - third largest logit), invariant to shift and scale.

    Croce & Hein 2020 (arXiv:2003.01690, equation 6). With two classes there is no third logit: the plain margin.
    """
    if logits.shape[1] < 3:
        return margin(logits, y)
    top = logits.topk(3, dim=1).values  # (B, 3)
    return margin(logits, y) / (top[:, 0] - top[:, 2] + TINY)


def dlr_targeted(logits: Tensor, pairs: Tensor) -> Tensor:
    """The targeted difference of logits ratio (Croce & Hein 2020, equation 7); the plain difference below four classes.

    Args:
        logits: shape (B, K).
        pairs: labels and target labels, encoded as ``y * K + target``, shape (B,).
    """
    classes = logits.shape[1]
    gap = _of(logits, pairs % classes) - _of(logits, pairs // classes)
    if classes < 4:
        return gap
    top = logits.topk(4, dim=1).values  # (B, 4)
    return gap / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY)


def divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
    """The Kullback-Leibler divergence KL(p || softmax(logits)) in nats.

    Args:
        logits: shape (B, K).
        probabilities: p, shape (B, K).
    """
    return F.kl_div(logits.log_softmax(1), probabilities, reduction="none").sum(1)


def loss_named(name: str) -> Loss:
    """A loss of labels by its name. Raises ``UsageError``."""
    losses: dict[str, Loss] = {"cross-entropy": cross_entropy, "margin": margin, "dlr": dlr}
    if name not in losses:
        raise unknown_name("loss", name, list(losses))
    return losses[name]


def aimed(loss: Loss, y: Tensor, target: Tensor | None) -> tuple[Loss, Tensor]:
    """The loss to maximize and its labels: the loss for ``y``, or the negative loss for the target.

    Args:
        loss: a loss of this file.
        y: labels, shape (B,).
        target: target labels, shape (B,); None: any label other than ``y``.
    """
    return (loss, y) if target is None else (partial(_negative, loss), target)


def reached(labels: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    """Whether the attacker succeeds: labels other than ``y``, or the target. Shapes (..., B) and (B,) to (..., B)."""
    return labels != y if target is None else labels == target


def _negative(loss: Loss, logits: Tensor, y: Tensor) -> Tensor:
    return -loss(logits, y)


def _of(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def _without(logits: Tensor, y: Tensor) -> Tensor:
    return logits.scatter(1, y[:, None], -torch.inf)
