"""The margin in units of its standard deviation over draws."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.oracle.losses import margin
from variate.registry import objective
from variate.training.inner_attack import InnerAttack

MIN_STD = 0.1  # logits: added to the standard deviation, so that the loss is bounded when draws agree


@objective(
    needs="perturb",
    cite="ours; after the weight-covariance alignment of Eustratiadis et al. 2021 (WCA-Net), arXiv:2010.08852",
)
def margin_variance(
    net: nn.Module, x: Tensor, y: Tensor, *, perturb: InnerAttack, draws: float = 1, verdicts: float = 4
) -> Tensor:
    """Minus the log probability that a fresh draw is right if margins are Gaussian: -log Phi(mean / std).

    Mean and standard deviation are those of the margin (logit of the label minus the largest other) over fresh draws on
    adversarial inputs. It rewards large margins where draws disagree, and agreement where margins are small.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw per call.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        draws: number of draws that each step of the inner attack averages over.
        verdicts: number of fresh draws for mean and standard deviation, at least 2.
    """
    inputs = perturb(x, y, draws=int(draws))
    margins = torch.stack([-margin(net(inputs), y) for _ in range(max(2, int(verdicts)))])  # (S, B)
    spread = (margins.var(0) + MIN_STD**2).sqrt()
    log_probability: Tensor = torch.special.log_ndtr(margins.mean(0) / spread)  # (B,)
    return -log_probability.mean()
