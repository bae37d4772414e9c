"""The Square Attack."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.climbing import LEAST, climb
from variate.attacks.parts.squares import Corners, Masses, stripes, tiles
from variate.errors import UsageError
from variate.inputs.budget import Budget
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
    queries: int = 5000,
    share: float = 0.8,
) -> Tensor:
    """Random squares, kept where they raise the averaged margin: the strongest attack that sees scores only.

    In linf a square of each channel moves to one end of the budget; in l2 and l1 a square takes the perturbation of
    another. The squares shrink on a fixed schedule. Inputs of shape (D,) are one row, their squares segments.

    Where an example's answers repeat this is the published algorithm: a better candidate replaces the point, until the
    margin is above 0. Where they are random it deviates, since the published rule stops at the first lucky draw: the
    point and 8 candidates meet the same draws in one query, a candidate replaces the point after several queries whose
    gains sum to more than 0, no example stops, and averages choose among four snapshots. Whether
    answers repeat is found out by asking, with one query in a hundred.

    Args:
        oracle: gives the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...), of which the last two dimensions are height and width.
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        queries: the most inputs to ask about, for each example, from 4.
        share: p, the share of the values in the first square, in (0, 1].

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than 4 queries, or a share outside of (0, 1].
    """
    if queries < LEAST:
        raise UsageError(f"square cannot search with {queries} queries", expected=f"at least {LEAST}")
    if not 0 < share <= 1:
        raise UsageError(f"square cannot change a share of {share} of the values", expected="a share in (0, 1]")
    loss, labels = aimed(margin, y, target)
    coins = oracle.coins(x)
    begin, kind = (stripes, Corners) if budget.norm == "linf" else (tiles, Masses)
    moves = kind(coins, x, budget, share, queries)
    found = climb(oracle, begin(coins, x, budget), labels, loss, moves, queries=queries)
    return budget.project(found, x)
