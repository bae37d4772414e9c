"""Similarity of the adversarial directions of two draws."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective
from variate.training.inner_attack import InnerAttack


@objective(
    needs="perturb",
    cite="ours; for members of an ensemble: Kariyappa & Qureshi 2019, arXiv:1901.09981; Dabouei et al. 2020",
)
def gradient_diversity(net: nn.Module, x: Tensor, y: Tensor, *, perturb: InnerAttack, draws: float = 1) -> Tensor:
    """Mean squared cosine between the input gradients of two fresh draws on adversarial inputs, in [0, 1].

    An attacker who averages over draws follows the mean gradient: the less the draws agree on a direction, the less
    that mean gains on any one of them. It is 1 for a deterministic network and needs second derivatives.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw per call.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        draws: number of draws that each step of the inner attack averages over.
    """
    inputs = perturb(x, y, draws=int(draws)).detach().requires_grad_()
    first, second = (
        torch.autograd.grad(F.cross_entropy(net(inputs), y, reduction="sum"), inputs, create_graph=True)[0].flatten(1)
        for _ in range(2)
    )
    return F.cosine_similarity(first, second, dim=1, eps=1e-12).square().mean()
