"""How close a deployment is to a wrong answer, as a differentiable score of the logits of several draws.

An averaged loss rises with the size of the margin as well as with its sign, so its maximum may lie where few answers
are wrong. A deployment errs when a margin, or the mean of S margins, is below zero, and there are two scores for that.

- ``normal``: for margins that are about normal, with mean m and standard deviation s, the probability of an error is
  Phi(-m / s), or Phi(-sqrt(S) m / s). Both rise with -m / s, which does not vanish far from the boundary and has less
  variance than any smoothed step.
- ``smoothed``: the share of wrong draws with a sigmoid in place of the step, for margins of any law. Its temperature is
  relative to the size of the margins at that point, so it falls as they do.

Neither depends on the scale of the logits, but for the mean of probabilities, which does itself.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.oracle.losses import margin
from variate.statistics.rates import Rule

Score = Literal["normal", "smoothed"]
TEMPERATURE = 0.3  # of the smoothed step and of a smoothed vote, relative to the mean absolute margin of the draws
LEAST = 1e-4  # standard deviation, relative to the mean absolute margin: equal draws have none


def error_score(logits: Tensor, y: Tensor, rule: Rule, score: Score = "normal") -> Tensor:
    """The score of each example: (S, B, K) and (B,) to (B,).

    Args:
        logits: logits under every draw.
        y: labels.
        rule: how the deployment answers. The margin of a draw is that of its logits for ``single`` and ``survive``, of
            its probabilities for ``mean``, and of its vote, smoothed by a softmax, for ``majority``; the last two are
            taken against the class that is strongest over all draws.
        score: ``normal`` or ``smoothed``.
    """
    if rule != "mean":
        sizes = _margins(logits.detach(), y).abs().mean(0)  # (B,)
        logits = logits / sizes.clamp(min=torch.finfo(logits.dtype).tiny)[:, None]
    if rule in ("single", "survive"):
        margins = _margins(logits, y)
        return _normalized(margins) if score == "normal" else torch.sigmoid(margins / TEMPERATURE).mean(0)
    shares = F.softmax(logits if rule == "mean" else logits / TEMPERATURE, -1)  # (S, B, K)
    strongest = shares.detach().mean(0).scatter(1, y[:, None], -torch.inf).argmax(1)  # (B,)
    margins = _share(shares, strongest) - _share(shares, y)
    return _normalized(margins) if score == "normal" else margins.mean(0)


def _margins(logits: Tensor, y: Tensor) -> Tensor:
    """The margin of each draw: (S, B, K) to (S, B)."""
    return torch.stack([margin(draw, y) for draw in logits])


def _normalized(margins: Tensor) -> Tensor:
    """The mean over the draws in units of their standard deviation: (S, B) to (B,). The plain mean of a single draw."""
    mean = margins.mean(0)
    if len(margins) == 1:
        return mean
    least = LEAST * margins.detach().abs().mean(0).clamp(min=LEAST)
    return mean / (margins.var(0) + least.square()).sqrt()


def _share(shares: Tensor, classes: Tensor) -> Tensor:
    """The share of one class of each example: (S, B, K) and (B,) to (S, B)."""
    return shares.gather(2, classes[None, :, None].expand(len(shares), -1, 1))[..., 0]
