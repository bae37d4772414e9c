"""MACER: maximize the certified radius itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective

SMALLEST = 1e-4  # distance of a probability from 0 and 1, where Phi^-1 has no bounds


@objective(needs="nothing", cite="Zhai et al. 2020, arXiv:2001.02378, algorithm 1")
def macer(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    weight: float = 2.0,
    gap: float = 8.0,
    sharpness: float = 16.0,
    draws: float = 8,
) -> Tensor:
    """Cross-entropy of the mean over draws, plus a hinge on the certified radius where the vote is right.

    CE(mean p, y) + weight * mean over right examples of relu(gap - (Phi^-1(a) - Phi^-1(b))), with a and b the mean
    probabilities of the label and of the best other label, from logits times ``sharpness``; the radius under Gaussian
    input noise is sigma / 2 times that difference.

    Args:
        net: a network from inputs to logits, random in its inputs; a fresh draw per call.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        weight: weight of the hinge; lambda * sigma / 2 of the paper.
        gap: difference from which on the radius is large enough; gamma in the paper.
        sharpness: factor of the logits; beta in the paper.
        draws: number of draws; k in the paper, which uses 16.
    """
    logits = torch.stack([net(x) for _ in range(max(2, int(draws)))])  # (S, B, K)
    mean = logits.softmax(-1).mean(0)  # (B, K)
    fit = F.nll_loss(mean.clamp_min(1e-12).log(), y)
    sharp = (sharpness * logits).softmax(-1).mean(0)  # (B, K)
    top = sharp.topk(2, dim=1)
    chosen = (top.indices[:, 0] == y) & (top.values[:, 0] < 1 - SMALLEST) & (top.values[:, 1] > SMALLEST)
    if not bool(chosen.any()):
        return fit
    first, second = (torch.special.ndtri(top.values[chosen, i]) for i in (0, 1))
    hinge = (gap - (first - second)).relu()
    return torch.as_tensor(fit + weight * hinge.sum() / len(x))
