"""Agreement between draws on clean inputs, which makes certificates larger."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.oracle.losses import divergence
from variate.registry import objective


@objective(needs="nothing", cite="Jeong & Shin 2020, arXiv:2006.04062, equation 6")
def noise_consistency(
    net: nn.Module, x: Tensor, y: Tensor, *, weight: float = 10.0, entropy: float = 0.5, draws: float = 2
) -> Tensor:
    """Cross-entropy of several draws, plus their divergence from their mean and the entropy of the mean, in nats.

    mean_i CE(p_i, y) + weight * mean_i KL(mean p || p_i) + entropy * H(mean p), with p_i the probabilities of draw i.
    On a deterministic network the divergence is 0.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw per call.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        weight: weight of the divergence; lambda in the paper.
        entropy: weight of the entropy; eta in the paper.
        draws: number of draws, at least 2.
    """
    logits = [net(x) for _ in range(max(2, int(draws)))]  # (B, K) each
    mean = torch.stack([one.softmax(1) for one in logits]).mean(0)  # (B, K)
    fit = torch.stack([F.cross_entropy(one, y) for one in logits]).mean()
    apart = torch.stack([divergence(one, mean).mean() for one in logits]).mean()
    spread = -(mean * mean.clamp_min(1e-12).log()).sum(1).mean()
    return fit + weight * apart + entropy * spread
