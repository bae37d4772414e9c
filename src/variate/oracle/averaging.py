"""How the answers of several draws become one: what an attack averages is named, and chosen."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import UsageError, unknown_name
from variate.oracle.losses import Loss
from variate.random.average import mean_log_probabilities

Average = Literal["loss", "logits", "probability", "majority", "zero-one"]
AVERAGES: tuple[Average, ...] = get_args(Average)


def check_average(average: str) -> Average:
    """The name, if it is one. Raises ``UsageError``."""
    if average not in AVERAGES:
        raise unknown_name("average", average, AVERAGES)
    return average


def scores_of(logits: Tensor, average: Average) -> Tensor:
    """Scores of each class: (S, B, K) to (B, K).

    ``logits``: their mean. ``majority`` and ``zero-one``: the log of the share of draws that answer each class, every
    class counting one vote more, so that none is impossible. ``loss`` and ``probability``: the log of the mean
    probability.
    """
    if average == "logits":
        return logits.mean(0)
    if average in ("majority", "zero-one"):
        votes = _votes(logits)
        return ((votes + 1) / (len(logits) + logits.shape[-1])).log()
    return mean_log_probabilities(logits)


def loss_of(logits: Tensor, y: Tensor, loss: Loss, average: Average) -> Tensor:
    """The averaged loss of each example: (S, B, K) and (B,) to (B,).

    ``loss``: the mean of the draws' losses. ``logits``, ``probability``: the loss of the mean. ``majority``: the share
    of votes of the strongest other class less that of the label, whatever the loss. ``zero-one``: the share of draws
    that are wrong, whatever the loss.
    """
    if average == "loss":
        return torch.stack([loss(one, y) for one in logits]).mean(0)
    if average == "zero-one":
        return (logits.argmax(-1) != y).to(logits).mean(0)
    if average == "majority":
        shares = _votes(logits) / len(logits)
        return shares.scatter(1, y[:, None], -torch.inf).amax(1) - shares.gather(1, y[:, None])[:, 0]
    return loss(scores_of(logits, average), y)


def pull_back(logits: Tensor, y: Tensor, loss: Loss, average: Average) -> tuple[Tensor, Tensor]:
    """The loss of an average, and its gradient in the logits of every draw: (B,) and (S, B, K). Raises an error."""
    if average in ("majority", "zero-one"):
        raise UsageError(f"the average {average!r} has no gradient", expected="loss, logits or probability")
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_(True)
        value = loss_of(leaf, y, loss, average)
        slopes = torch.autograd.grad(value.sum(), leaf)[0]
    return value.detach(), slopes


def label_of(logits: Tensor) -> Tensor:
    """The label that most draws give, the smallest where several do: (S, B, K) to (B,)."""
    return logits.argmax(-1).mode(0).values


def _votes(logits: Tensor) -> Tensor:
    return F.one_hot(logits.argmax(-1), logits.shape[-1]).sum(0).to(logits)  # (B, K)
