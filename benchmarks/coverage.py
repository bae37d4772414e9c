"""How often do the 95 % intervals of rates hold the truth? Simulated, from true rates of 1e-4 to 1 - 1e-4.

    python benchmarks/coverage.py [--simulations N] [--scores] [--json FILE]

Answers are logistic: draw i answers example j right with probability 1 / (1 + exp(-(c + a_j + b_i))), with normal a_j
and b_i. The center c is chosen so that the rate of the deployment itself is the true rate of the row. A group of S
draws answers like one draw with its own b_i. Coverage is the share of intervals that hold the truth; its standard error
with 400 simulations is 1.1 points at 95 %.

With ``--scores``, answers have scores in [0, 1] instead (``SCORES``), and the true mean is that of a large simulation.
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

from variate.statistics.crossed import Floats, crossed
from variate.statistics.rates import Deployment, rate_of

RATES = (1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
WAYS = {"single": 160, "mean-16": 10, "survive-5": 160, "survive-10": 160}  # answers to each example
EXAMPLES = (20, 100, 1000)
BY_EXAMPLE = (0.5, 2.0, 4.0)  # standard deviation of a, in logits
BY_DRAW = (0.0, 0.5, 1.0)  # standard deviation of b
NODES, WEIGHTS = hermegauss(120)
SCORES = {  # parameters of the beta distribution of examples, and the share of examples that always score 0
    "broad": (2, 2, 0),
    "near 1": (18, 2, 0),
    "near 0": (0.3, 10, 0),
    "equal but for failures": (270, 30, 0.01),
    "mostly 0 or 1": (3, 0.5, 0),  # nine answers of ten are 0 or 1, with this chance
}
PARTIAL = {"single, 1 answer": 1, "single": 160, "mean-16": 10, "survive-10": 160}
TOGETHER, ALONE = 0.25, 0.5  # standard deviations of a draw in logits, for all examples together and for each


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


def scores(case: str, draws: int, examples: int, random: np.random.Generator) -> Floats:
    """Scores of a case, shape (draws, examples); one draw is a deterministic network's."""
    a, b, failures = SCORES[case]
    base = random.beta(a, b, examples).clip(1e-9, 1 - 1e-9)
    level = np.broadcast_to(np.log(base) - np.log1p(-base), (draws, examples))
    if draws > 1:
        noise = random.standard_normal((draws, examples), dtype=np.float32)
        level = level + TOGETHER * random.standard_normal((draws, 1)) + ALONE * noise
    found = chance(level) * (random.random(examples) >= failures)
    if case == "mostly 0 or 1":
        right = random.random((draws, examples), dtype=np.float32) < found
        whole = random.random((draws, examples), dtype=np.float32) < 0.9
        found = np.where(whole, right, found)
    return np.asarray(found, dtype=np.float64)


def true_mean(case: str, draws: int, size: int, times: int = 25) -> float:
    """The mean of a large simulation: its standard error is a tenth of that of 1000 examples or less."""
    random = np.random.default_rng(99)
    shape = (150, 8000) if draws > 1 else (1, 1_000_000)
    return float(np.mean([crossed(scores(case, *shape, random), [size])[0].rate for _ in range(times)]))


def coverage_of_scores(simulations: int) -> list[dict[str, Any]]:
    """Print the coverage and the mean width of the intervals of each case, and return them."""
    rows: list[dict[str, Any]] = []
    print("| scores | deployment | examples | true mean | coverage | width |\n| :-- | :-- | --: | --: | --: | --: |")
    for case, (way, draws) in product(SCORES, PARTIAL.items()):
        deployment = Deployment.parse(way.partition(",")[0])
        truth = true_mean(case, draws, deployment.size if deployment.rule == "survive" else 1)
        for examples in EXAMPLES:
            random = np.random.default_rng(11)
            rates = [rate_of(deployment, scores(case, draws, examples, random)) for _ in range(simulations)]
            covered = float(np.mean([rate.low <= truth <= rate.high for rate in rates]))
            width = float(np.mean([rate.high - rate.low for rate in rates]))
            print(f"| {case} | {way} | {examples} | {truth:.4f} | {100 * covered:.1f} | {width:.4f} |", flush=True)
            rows.append({"scores": case, "deployment": way, "draws": draws, "examples": examples, "mean": truth,
                         "coverage": covered, "width": width})  # fmt: skip
    return rows


def coverage_of_bits(simulations: int) -> list[dict[str, Any]]:
    """Print the lowest, the median and the highest coverage of each row over the spreads, and return all."""
    rows: list[dict[str, Any]] = []
    print("| deployment | examples | true rate | lowest | median | highest |\n| :-- | --: | --: | --: | --: | --: |")
    for (way, draws), examples, rate in product(WAYS.items(), EXAMPLES, RATES):
        covered = {
            f"{a}, {b}": coverage(way, rate, (draws, examples), (a, b), simulations)
            for a, b in product(BY_EXAMPLE, BY_DRAW)
        }
        low, middle, high = (100 * float(np.quantile(list(covered.values()), share)) for share in (0, 0.5, 1))
        print(f"| {way} | {examples} | {rate:g} | {low:.1f} | {middle:.1f} | {high:.1f} |", flush=True)
        rows.append({"deployment": way, "draws": draws, "examples": examples, "rate": rate, "coverage": covered})
    return rows


def main() -> None:
    """Print the table of bits or of scores, and write all as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--scores", action="store_true", help="answers have scores in [0, 1]")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = (coverage_of_scores if arguments.scores else coverage_of_bits)(arguments.simulations)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
