"""Transfer from another network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from variate.budget import Budget
from variate.oracle import Oracle
from variate.registry import attack


@attack(access="none", norms=("linf", "l2"), modality=("image",), cite="Papernot et al. 2016, arXiv:1605.07277")
def transfer(
    oracle: Oracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    source: Callable[..., Tensor],
    steps: int = 40,
) -> Tensor:
    """PGD on a source network that the attacker holds, by default the mean network; the target is never asked.

    Args:
        oracle: the target; unused, by design.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        source: the white-box attack on the source network, from (x, y, budget, steps); wired by the evaluation.
        steps: number of gradient steps on the source.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    return source(x, y, budget=budget, steps=steps)
