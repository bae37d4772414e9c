"""Projected gradient steps, and validation of their number."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.l1_box import nearest_in_box, spread_step
from variate.errors import UsageError
from variate.inputs.budget import Budget


def check_steps(attack: str, **counts: int) -> None:
    """Check that every count (steps, restarts, tries) is at least 1. Raises ``UsageError``."""
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{attack} cannot take {count} {name}", expected="at least 1")


def stepped(point: Tensor, gradient: Tensor, length: float, x: Tensor, budget: Budget) -> Tensor:
    """One step up a gradient, projected into the budget in linf, l2 or l1 and into [0, 1]: shape (B, ...).

    In l1 a step moves the 1 % of values with the largest gradient that can still move, and the projection is onto the
    intersection of the ball and [0, 1] (Croce & Hein 2021, arXiv:2103.01208).

    Args:
        point: where the step starts, shape (B, ...).
        gradient: gradient there, shape (B, ...).
        length: length of the step in the budget's norm.
        x: original inputs, shape (B, ...).
        budget: the norm and the size.
    """
    if budget.norm == "l1":
        return nearest_in_box(point + length * spread_step(gradient, point), x, budget.eps)
    return budget.project(point + length * budget.steepest(gradient), x)
