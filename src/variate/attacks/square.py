"""The Square Attack."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from variate.attacks.parts.climbing import MIN_QUERIES, climb
from variate.attacks.parts.squares import Corners, Masses, stripes, tiles
from variate.inputs.budget import Budget
from variate.limits import Limits, Share
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.registry import attack


@attack(
    access="scores",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Andriushchenko et al. 2020, arXiv:1912.00049, algorithms 1-3; l1: Croce & Hein 2021, arXiv:2103.01208",
    targeted=True,
    quick={"queries": 100},
)
def square(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    queries: Annotated[int, Limits(at_least=MIN_QUERIES)] = 5000,
    share: Share = 0.8,
) -> Tensor:
    """Random squares, kept where they raise the averaged margin: the strongest attack that uses scores only.

    In linf a square of each channel moves to one end of the budget; in l2 and l1 a square takes over the perturbation
    of another. The squares shrink on a fixed schedule. Inputs of shape (D,) are treated as one row, and squares as
    segments.

    Where an example's answers repeat, this is the published algorithm: a better candidate replaces the point, until the
    margin is above 0. Where they are random, the published rule would stop at the first lucky draw; instead the point
    and eight candidates are evaluated under the same draws in one query, a candidate replaces the point after several
    queries whose gains sum to more than 0, no example stops early, and averages select among four snapshots. One query
    in a hundred tests whether answers repeat.

    Args:
        oracle: returns the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...), whose last two dimensions are height and width.
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        queries: maximum number of inputs queried per example, at least 4.
        share: p, fraction of the values in the first square, in (0, 1].

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``queries`` is below 4, or ``share`` is not in (0, 1].
    """
    loss, labels = aimed(margin, y, target)
    coins = oracle.coins(x)
    start, moves_class = (stripes, Corners) if budget.norm == "linf" else (tiles, Masses)
    moves = moves_class(coins, x, budget, share, queries)
    perturbed = climb(oracle, start(coins, x, budget), labels, loss, moves, queries=queries)
    return budget.project(perturbed, x)
