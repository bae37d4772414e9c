"""Interval bound propagation: cross-entropy of the worst logits that the bounds allow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.random.interval_bounds import box, output_bounds, worst_margins
from variate.registry import objective
from variate.training.clock import Clock
from variate.training.inner_attack import InnerAttack


@objective(needs="perturb", cite="Gowal et al. 2018, arXiv:1810.12715, equation 12 and section 4")
def interval(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    clock: Clock,
    rise: float = 0.5,
    clean: float = 0.5,
    beyond: float = 1.1,
) -> Tensor:
    """K * CE(net(x), y) + (1 - k) * CE(worst logits in the budget, y), with one draw for both terms.

    The worst logits take the bound of every margin that is against the label. The budget grows linearly from 0 and k
    falls from 1 to ``clean`` over the first part of the training, without which it does not start to learn.

    Args:
        net: a network of operations that have interval bounds; a random one makes one fresh draw.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack, for its budget and its draw; supplied by the training.
        clock: progress of the training; supplied by it.
        rise: fraction of the run over which budget and weights change.
        clean: weight of the clean cross-entropy at the end.
        beyond: size of the budget that is trained for, as a multiple of the training's.

    Raises:
        UsageError: for a budget in another norm than linf, and a network with an operation that has no bounds.
    """
    if perturb.budget.norm != "linf":
        raise UsageError(f"interval bounds are for linf, not {perturb.budget}", todo="--budget linf:0.1, for example")
    share = min(1.0, clock.share / rise) if rise else 1.0
    weight = 1.0 - share * (1.0 - clean)
    with perturb.one_draw():
        loss = weight * F.cross_entropy(net(x), y)
        if share > 0:
            margins = worst_margins(output_bounds(net, box(x, share * beyond * perturb.budget.eps)), y)  # (B, K)
            loss = loss + (1.0 - weight) * F.cross_entropy(-margins, y)
    return torch.as_tensor(loss)
