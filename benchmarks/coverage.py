"""How often do the 95 % intervals of rates hold the truth? Simulated, from true rates of 1e-4 to 1 - 1e-4.

    python benchmarks/coverage.py [--simulations N] [--json FILE]

Answers are logistic: draw i answers example j right with probability 1 / (1 + exp(-(c + a_j + b_i))), with normal a_j
and b_i. The center c is chosen so that the rate of the deployment itself is the true rate of the row. A group of S
draws answers like one draw with its own b_i. Coverage is the share of intervals that hold the truth; its standard error
with 400 simulations is 1.1 points at 95 %.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy import optimize

from variate.statistics.rates import Deployment, Floats, rate_of

RATES = (1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
WAYS = {"single": 160, "mean-16": 10, "survive-5": 160, "survive-10": 160}  # answers to each example
EXAMPLES = (20, 100, 1000)
BY_EXAMPLE = (0.5, 2.0, 4.0)  # standard deviation of a, in logits
BY_DRAW = (0.0, 0.5, 1.0)  # standard deviation of b
NODES, WEIGHTS = hermegauss(120)


def chance(level: Floats) -> Floats:
    """The logistic function."""
    chances: Floats = 1 / (1 + np.exp(-level))
    return chances


def true_rate(size: int, center: float, by_example: float, by_draw: float) -> float:
    """The mean over examples of (the mean over draws of the chance to be right) to the power N."""
    weights = WEIGHTS / WEIGHTS.sum()
    right = chance(center + by_example * NODES[:, None] + by_draw * NODES[None, :]) @ weights
    return float(right**size @ weights)


def coverage(way: str, rate: float, shape: tuple[int, int], spread: tuple[float, float], simulations: int) -> float:
    """The share of intervals that hold the true rate.

    Args:
        way: a deployment.
        rate: its true rate.
        shape: number of answers to each example, and of examples.
        spread: standard deviation over examples and over draws, in logits.
        simulations: number of simulated evaluations.
    """
    deployment, (by_example, by_draw), (draws, examples) = Deployment.parse(way), spread, shape
    size = deployment.size if deployment.rule == "survive" else 1
    center = optimize.brentq(lambda level: true_rate(size, level, by_example, by_draw) - rate, -60, 60)
    random, held = np.random.default_rng(11), 0
    for _ in range(simulations):
        level = center + by_example * random.standard_normal(examples, dtype=np.float32)
        level = level + by_draw * random.standard_normal((draws, 1), dtype=np.float32)
        found = rate_of(deployment, random.random((draws, examples), dtype=np.float32) < chance(level))
        held += found.low <= rate <= found.high
    return held / simulations


def main() -> None:
    """Print the lowest, the median and the highest coverage of each row over the spreads, and write all as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print("| deployment | examples | true rate | lowest | median | highest |\n| :-- | --: | --: | --: | --: | --: |")
    for (way, draws), examples, rate in product(WAYS.items(), EXAMPLES, RATES):
        covered = {
            f"{a}, {b}": coverage(way, rate, (draws, examples), (a, b), arguments.simulations)
            for a, b in product(BY_EXAMPLE, BY_DRAW)
        }
        low, middle, high = (100 * float(np.quantile(list(covered.values()), share)) for share in (0, 0.5, 1))
        print(f"| {way} | {examples} | {rate:g} | {low:.1f} | {middle:.1f} | {high:.1f} |", flush=True)
        rows.append({"deployment": way, "draws": draws, "examples": examples, "rate": rate, "coverage": covered})
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
