"""The contract of every attack: its inputs keep shape, budget and range."""

from __future__ import annotations

from torch import Tensor

from variate.errors import AttackError
from variate.inputs.budget import Budget
from variate.inputs.modality import Reach


def check_contract(attack: str, perturbed: Tensor, reach: Reach, budget: Budget) -> None:
    """Raise ``AttackError`` unless the perturbed inputs keep shape, budget, range and all other limits."""
    if perturbed.shape != reach.x.shape:
        raise AttackError(f"{attack} returned shape {tuple(perturbed.shape)}", expected=f"{tuple(reach.x.shape)}")
    outside = int((~reach.contains(perturbed)).sum())
    if outside:
        farthest = float(reach.distance(perturbed).amax())
        raise AttackError(
            f"{attack} left the budget {budget} or [0, 1] on {outside} of {len(perturbed)} examples",
            findings=[f"largest distance {farthest:.6g}; values from {perturbed.min():.4g} to {perturbed.max():.4g}"],
            expected=f"inputs within {budget} of the originals and inside [0, 1]",
        )
