"""The margin in units of its own standard deviation from draw to draw."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.oracle.losses import margin
from variate.registry import objective
from variate.training.inner_attack import InnerAttack

LEAST = 0.1  # logits: added to the standard deviation, so that agreeing draws are not pushed without end


@objective(
    needs="perturb",
    cite="ours; after the weight-covariance alignment of Eustratiadis et al. 2021 (WCA-Net), arXiv:2010.08852",
)
def margin_variance(
    net: nn.Module, x: Tensor, y: Tensor, *, perturb: InnerAttack, draws: float = 1, verdicts: float = 4
) -> Tensor:
    """Minus the logarithm of the chance that a fresh draw is right, were margins Gaussian: -log Phi(mean / std).

    Mean and standard deviation are those of the margin (own logit less the largest other) over fresh draws on
    adversarial inputs: it asks for a large margin where the draws disagree, and for agreement where it is small.

    Args:
        net: a network from inputs to logits; a random one draws afresh at each call.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; wired by the training.
        draws: that each step of the inner attack averages over.
        verdicts: fresh draws that the mean and the standard deviation are of, from 2.
    """
    inputs = perturb(x, y, draws=int(draws))
    margins = torch.stack([-margin(net(inputs), y) for _ in range(max(2, int(verdicts)))])  # (S, B)
    spread = (margins.var(0) + LEAST**2).sqrt()
    chance: Tensor = torch.special.log_ndtr(margins.mean(0) / spread)  # (B,)
    return -chance.mean()
