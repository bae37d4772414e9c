"""Auto-PGD on the difference-of-logits-ratio (DLR) loss, which does not depend on the scale of the logits."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.apgd import auto_pgd
from variate.inputs.budget import Budget
from variate.limits import Count
from variate.oracle.losses import dlr
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Croce & Hein 2020, arXiv:2003.01690, algorithm 1, equation 6; l1: Croce & Hein 2021, arXiv:2103.01208",
    targeted=True,
    quick={"steps": 50},
    tasks=("classes", "binary"),
)
def apgd_dlr(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 100,
    restarts: Count = 1,
) -> Tensor:
    """Auto-PGD on the difference-of-logits-ratio (DLR) loss, which does not depend on the scale of the logits.

    In linf and l2 the step starts at 2 * eps; where the loss stops rising, the search returns to the best point and
    halves the step. In l1 the fraction of values that a step changes follows the best point, in balls of 3, 2 and 1
    times eps. On a random network the best point is the one with the largest fraction of wrong draws, then the highest
    loss, evaluated on fresh draws that are the same for all candidates: the largest of a hundred noisy losses is a
    lucky one.

    Args:
        oracle: returns the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        restarts: number of random starts, at least 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` or ``restarts`` is below 1.
    """
    return auto_pgd(oracle, x, y, dlr, budget=budget, target=target, steps=steps, restarts=restarts)
