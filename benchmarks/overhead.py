"""What randomness costs: a random network against the deterministic one, an averaged attack against a plain loop.

    python benchmarks/overhead.py [--json FILE]

Every row interleaves its two sides in one run and reports the ratio of medians, since the machine may be shared.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate import registry
from variate.budget import Budget
from variate.checkpoint import build
from variate.oracle import GradientOracle
from variate.randomization import randomize
from variate.randomness import Stream

ROUNDS = 15
CASES = {"lenet b128": ("lenet", (1, 28, 28), 128), "resnet18 b32": ("resnet18", (3, 32, 32), 32)}


def ratio(one: Callable[[], object], other: Callable[[], object], rounds: int = ROUNDS) -> dict[str, float]:
    """Medians of both sides in milliseconds, run in turns after one warm-up, and their ratio."""
    one(), other()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, run in zip(times, (one, other), strict=True):
            start = time.perf_counter()
            run()
            side.append(time.perf_counter() - start)
    first, second = (1e3 * statistics.median(side) for side in times)
    return {"ms": round(first, 2), "reference ms": round(second, 2), "ratio": round(first / second, 3)}


def forward(network: nn.Module, x: Tensor) -> Callable[[], object]:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.no_grad():
            network(x)

    return run


def step(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    """One training step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)

    def run() -> None:
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def plain_pgd(network: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, draws: int) -> Tensor:
    """The loop that anyone would write: PGD from the input, averaging the gradients of fresh forwards."""
    perturbed = x.clone()
    for _ in range(steps):
        total = torch.zeros_like(x)
        for _ in range(draws):
            leaf = perturbed.detach().requires_grad_()
            total += torch.autograd.grad(F.cross_entropy(network(leaf), y), leaf)[0]
        moved = perturbed + 2.5 * eps / steps * total.sign()
        perturbed = (x + (moved - x).clamp(-eps, eps)).clamp(0, 1)
    return perturbed


def our_pgd(network: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int, draws: int) -> Tensor:
    """The same attack through the oracle."""
    pgd = registry.get("attacks", "pgd").load()
    oracle = GradientOracle(network, draws=draws, stream=Stream("search", 0))
    result: Tensor = pgd(oracle, x, y, budget=Budget.parse(f"linf:{eps}"), steps=steps, random_start=False)
    return result


def rows() -> dict[str, dict[str, float]]:
    """All measurements by name."""
    torch.manual_seed(0)
    found = {}
    for name, (architecture, shape, batch) in CASES.items():
        plain = build(architecture, shape, 10, [0.5], [0.25])
        random = randomize(plain)
        x, y = torch.rand(batch, *shape), torch.randint(0, 10, (batch,))
        found[f"{name}: forward, random / deterministic"] = ratio(forward(random, x), forward(plain, x))
        found[f"{name}: training step, random / deterministic"] = ratio(step(random, x, y), step(plain, x, y))
        if architecture == "lenet":
            arguments = (x, y, 0.1, 10)
            for label, network, draws in (("deterministic", plain.eval(), 1), ("random, 10 draws", random.eval(), 10)):
                ours = functools.partial(our_pgd, network, *arguments, draws)
                loop = functools.partial(plain_pgd, network, *arguments, draws)
                found[f"{name}: pgd on {label}, oracle / plain loop"] = ratio(ours, loop, rounds=5)
    return found


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    options = parser.parse_args()
    found = rows()
    for name, row in found.items():
        print(f"{name:62} {row['ms']:9.2f} ms {row['reference ms']:9.2f} ms   ratio {row['ratio']:.2f}")
    if options.json:
        machine = {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
        options.json.write_text(json.dumps({**machine, "rows": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
