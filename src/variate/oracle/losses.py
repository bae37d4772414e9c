"""Losses that an attacker maximizes: one number per example, higher closer to a misclassification.

Each takes logits (B, K) and labels (B,) and returns (B,). ``aimed`` turns any of them into a targeted loss. Logits may
be of any size, and minus infinity for classes that a network rules out: see ``bounded``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import unknown_name
from variate.oracle.rejections import REJECTED

Loss = Callable[[Tensor, Tensor], Tensor]
LEAK = 1e-20  # slope of the cross-entropy where that of softplus underflows, from a margin of 46 on
LEAST = 1e-2  # range of logits below which float32 cannot tell their cross-entropies apart
FAR = 1e4  # distance of an impossible class, in units of the range of the others


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """The cross-entropy.

    Written as softplus(g) for g = logsumexp of the other logits - the label's: the usual form rounds its gradient to
    zero, or to the wrong direction, once the margin passes 17 in float32, which makes confident networks look robust.
    Softplus itself underflows at a margin of 104, so a slope of 1e-20 along g is added: it changes nothing where
    softplus is larger, and keeps value and gradient of the most confident networks in the right order and direction.
    """
    logits = bounded(logits)
    odds = _without(logits, y).logsumexp(1) - _of(logits, y)  # (B,)
    return F.softplus(odds) + LEAK * odds


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus the label's: above 0 is an error (Carlini & Wagner 2017, arXiv:1608.04644, f6)."""
    logits = bounded(logits)
    return _without(logits, y).amax(1) - _of(logits, y)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """The difference of logits ratio: margin / (largest - third largest logit), invariant to shift and scale.

    Croce & Hein 2020 (arXiv:2003.01690, equation 6). With two classes there is no third logit: the plain margin.
    """
    spread = _spread(logits)
    return margin(logits, y) if spread is None else _ratio(margin(logits, y), spread)


def dlr_reached(logits: Tensor, target: Tensor) -> Tensor:
    """The ratio of ``dlr`` for a label to reach: its denominator is a constant for the gradient.

    The ratio itself can be improved by raising the largest logit further, so that a climb towards a target ends where
    another class wins; on linear models with ten classes it missed every second target.
    """
    spread = _spread(logits)
    return margin(logits, target) if spread is None else _ratio(margin(logits, target), spread.detach())


def dlr_targeted(logits: Tensor, pairs: Tensor) -> Tensor:
    """The targeted difference of logits ratio (Croce & Hein 2020, equation 7); the plain difference below four classes.

    Args:
        logits: shape (B, K).
        pairs: labels and target labels, encoded as ``y * K + target``, shape (B,).
    """
    logits, classes = bounded(logits), logits.shape[1]
    gap = _of(logits, pairs % classes) - _of(logits, pairs // classes)
    if classes < 4:
        return gap
    top = logits.topk(4, dim=1).values  # (B, 4)
    return _ratio(gap, top[:, 0] - (top[:, 2] / 2 + top[:, 3] / 2))


def divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
    """The Kullback-Leibler divergence KL(p || softmax(logits)) in nats.

    Args:
        logits: shape (B, K).
        probabilities: p, shape (B, K).
    """
    return F.kl_div(bounded(logits).log_softmax(1), probabilities, reduction="none").sum(1)


def loss_named(name: str) -> Loss:
    """A loss of labels by its name. Raises ``UsageError``."""
    losses: dict[str, Loss] = {"cross-entropy": cross_entropy, "margin": margin, "dlr": dlr}
    if name not in losses:
        raise unknown_name("loss", name, list(losses))
    return losses[name]


def by_row(loss: Loss) -> bool:
    """Whether a loss is one of this file, each of whose values depends on one row of logits and one label alone."""
    inner = loss.args[0] if isinstance(loss, partial) and loss.func is _negative else loss
    return inner in (cross_entropy, margin, dlr, dlr_reached, dlr_targeted, divergence)


def aimed(loss: Loss, y: Tensor, target: Tensor | None) -> tuple[Loss, Tensor]:
    """The loss to maximize and its labels: the loss for ``y``, or the negative loss for the target.

    Args:
        loss: a loss of this file.
        y: labels, shape (B,).
        target: target labels, shape (B,); None: any label other than ``y``.
    """
    if target is None:
        return loss, y
    return partial(_negative, dlr_reached if loss is dlr else loss), target


def reached(labels: Tensor, y: Tensor, target: Tensor | None) -> Tensor:
    """Whether the attacker succeeds: labels other than ``y``, or the target. Shapes (..., B) and (B,) to (..., B).

    A query that was not answered (``REJECTED``) is no success.
    """
    return (labels != y) & (labels != REJECTED) if target is None else labels == target


def unit_of(logits: Tensor) -> float | None:
    """The factor, a power of two, that brings very small logits, (..., K), to a range of at least .01; 1 for others.

    None where all logits of every row are equal, which says nothing of their unit.
    """
    values = logits.detach()
    low = values.masked_fill(values.isinf(), torch.inf).amin(-1)
    size = float((values.amax(-1) - low).amax()) if values.numel() else 0.0
    if not 0 < size < math.inf:
        return None
    return 2.0 ** math.ceil(math.log2(max(LEAST / size, 1.0)))


def bounded(logits: Tensor) -> Tensor:
    """Replace infinite logits, (..., K), by finite ones far below, or above, all others of their row.

    A network rules out classes by minus infinity. Differences, ratios and averages of infinities are NaN, and so are
    their gradients.
    """
    infinite = logits.isinf()
    if not bool(infinite.any()):
        return logits
    values, most = logits.detach(), torch.finfo(logits.dtype).max / 8
    high = values.masked_fill(infinite, -most).amax(-1, keepdim=True)
    low = values.masked_fill(infinite, most).amin(-1, keepdim=True)
    away = FAR * torch.stack([high - low, high.abs(), torch.ones_like(high)]).amax(0)
    far = torch.where(logits > 0, high + away, low - away).clamp(-most, most)
    return torch.where(infinite, far, logits)


def _spread(logits: Tensor) -> Tensor | None:
    """The largest minus the third largest logit, (B,); None for fewer than three classes."""
    if logits.shape[1] < 3:
        return None
    top = bounded(logits).topk(3, dim=1).values  # (B, 3)
    return top[:, 0] - top[:, 2]


def _ratio(value: Tensor, spread: Tensor) -> Tensor:
    """A difference of logits in units of their spread, whatever its size; the difference itself without a spread."""
    return value / spread.where(spread > 0, 1.0)


def _negative(loss: Loss, logits: Tensor, y: Tensor) -> Tensor:
    return -loss(logits, y)


def _of(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0]


def _without(logits: Tensor, y: Tensor) -> Tensor:
    return logits.scatter(1, y[:, None], -torch.inf)
