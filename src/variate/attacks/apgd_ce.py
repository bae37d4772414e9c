"""Auto-PGD on the cross-entropy."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.apgd import auto_pgd
from variate.inputs.budget import Budget
from variate.oracle.losses import cross_entropy
from variate.oracle.oracle import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Croce & Hein 2020, arXiv:2003.01690, algorithm 1; l1: Croce & Hein 2021, arXiv:2103.01208",
    targeted=True,
    quick={"steps": 50},
)
def apgd_ce(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: int = 100,
    restarts: int = 1,
) -> Tensor:
    """Auto-PGD on the cross-entropy.

    In linf and l2 the step starts at 2 * eps and is halved, from the best point, where the loss stops rising. In l1 the
    share of the values that a step moves follows the best point's, in balls of 3, 2 and 1 times eps. On a random
    network the best point is chosen by the share of wrong draws and then by the loss, over fresh draws that are the
    same for all candidates, because the largest of a hundred noisy losses is a lucky one; and it is chosen at
    checkpoints, so that a point in between that was wrong with a lower loss can be passed by.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        steps: number of gradient steps, from 1.
        restarts: number of random starts, from 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step or restart.
    """
    return auto_pgd(oracle, x, y, cross_entropy, budget=budget, target=target, steps=steps, restarts=restarts)
