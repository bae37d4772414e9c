"""Interval bound propagation: cross-entropy of the worst logits that the bounds allow; CROWN-IBP."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.random.backward_bounds import backward_margins
from variate.random.interval_bounds import box, output_bounds, worst_margins
from variate.registry import objective
from variate.training.clock import Clock
from variate.training.inner_attack import InnerAttack


@objective(
    needs="perturb",
    cite="Gowal et al. 2018, arXiv:1810.12715, equation 12 and section 4; crown: Zhang et al. 2020, arXiv:1906.06316",
)
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
    crown: bool = False,
) -> Tensor:
    """K * CE(net(x), y) + (1 - k) * CE(worst logits in the budget, y), with one draw for both terms.

    The worst logits take the bound of every margin that is against the label. The budget grows linearly from 0 and k
    falls from 1 to ``clean`` over the first part of the training, without which it does not start to learn.

    With ``crown`` (CROWN-IBP), margins are bounded by a backward pass too, which is tighter before a network has
    learned to have tight intervals: b * backward + (1 - b) * intervals, with b falling from 1 to 0 while the budget
    rises. Until then, a step takes a backward pass of the network for each class.

    Args:
        net: a network of operations that have interval bounds; a random one makes one fresh draw.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack, for its budget and its draw; supplied by the training.
        clock: progress of the training; supplied by it.
        rise: fraction of the run over which budget and weights change.
        clean: weight of the clean cross-entropy at the end.
        beyond: size of the budget that is trained for, as a multiple of the training's.
        crown: whether to mix in the bounds of a backward pass while the budget rises.

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
            inputs = box(x, share * beyond * perturb.radius)
            if crown and share < 1:
                by_intervals, backward = backward_margins(net, inputs, y, graph=True)
                margins = (1.0 - share) * backward + share * by_intervals  # (B, K)
            else:
                margins = worst_margins(output_bounds(net, inputs), y)  # (B, K)
            loss = loss + (1.0 - weight) * F.cross_entropy(-margins, y)
    return torch.as_tensor(loss)
