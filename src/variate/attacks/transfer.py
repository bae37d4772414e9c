"""Transfer of adversarial inputs from another network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from variate.inputs.budget import Budget
from variate.limits import Count
from variate.oracle.oracle import Oracle
from variate.registry import attack


@attack(
    access="none",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Papernot et al. 2016, arXiv:1605.07277",
    targeted=True,
)
def transfer(
    oracle: Oracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    source: Callable[..., Tensor],
    target: Tensor | None = None,
    steps: Count = 40,
) -> Tensor:
    """PGD on a source network that the attacker owns; the network under attack is never queried.

    The source is the mean network of a random one, the deterministic twin, an independently trained copy, or an
    ensemble of them: ``transfer(source=NAME)`` selects one of the sources given to the evaluation.

    Args:
        oracle: the network under attack; unused by design.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        source: the white-box attack on the source network, called with (x, y, budget, target, steps); set by the
            evaluation.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps on the source.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    return source(x, y, budget=budget, target=target, steps=steps)
