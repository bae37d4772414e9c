"""Cost of the mean of K modes against one deterministic network: forward passes, input gradients, training steps.

    python benchmarks/modes.py [--json FILE] [--rounds N]

``forward`` is the mean over all modes without gradients, ``gradient`` its input gradient as an inner attack takes it,
and ``step`` forward, backward and optimizer step of the loss of the mean and of each mode. ``loop`` runs the modes one
after another; ``variate`` in groups where its rule says so. Each is a ratio to the same of the deterministic network in
the same run: K is the price of K passes. The result is the ratio of medians with a 95 % bootstrap interval.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import measuring
import torch
from measuring import Run
from networks import images
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random import many
from variate.random.as_modes import as_modes
from variate.random.keys import Stream
from variate.training.deployed import DeployedMean
from variate.training.recipe import Recipe
from variate.training.wiring import wire

SECONDS = 20  # for all rounds of one case, unless the minimum number of rounds takes longer
PLAIN = "deterministic"
WAYS = ("loop", "variate")
CASES: dict[str, tuple[Callable[[], tuple[nn.Module, Tensor, Tensor]], int]] = {
    "LeNet b1, 4 modes": (lambda: images("lenet", (1, 28, 28), 1), 4),
    "LeNet b16, 4 modes": (lambda: images("lenet", (1, 28, 28), 16), 4),
    "LeNet b16, 8 modes": (lambda: images("lenet", (1, 28, 28), 16), 8),
    "LeNet b128, 4 modes": (lambda: images("lenet", (1, 28, 28), 128), 4),
}


@contextmanager
def grouping(allowed: bool) -> Iterator[None]:
    """Context in which draws may run in groups, or only one by one."""
    usual = many.LEAST
    many.LEAST = usual if allowed else 2**30
    try:
        yield
    finally:
        many.LEAST = usual


def forward(network: nn.Module, x: Tensor) -> Run:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.no_grad():
            network(x)

    return run


def gradient(network: nn.Module, x: Tensor, y: Tensor) -> Run:
    """One input gradient; the parameters are frozen."""

    def run() -> None:
        leaf = x.detach().clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(network(leaf), y), leaf)

    return run


def step(network: nn.Module, loss: Callable[[nn.Module, Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Run:
    """One training step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)

    def run() -> None:
        loss(network, x, y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return run


def ways(run: Run) -> dict[str, Run]:
    """The same run in a loop and in groups."""

    def held(allowed: bool) -> Run:
        def once() -> None:
            with grouping(allowed):
                run()

        return once

    return {"loop": held(False), "variate": held(True)}


def measure(name: str, rounds: int | None) -> dict[str, dict[str, Any]]:
    """One case: a table for each of the three kinds of passes."""
    make, modes = CASES[name]
    plain, x, y = make()
    network = as_modes([copy.deepcopy(plain) for _ in range(modes)], share="tensor").eval()
    plain.eval()
    frozen, held = copy.deepcopy(plain).requires_grad_(False), copy.deepcopy(network).requires_grad_(False)
    mean = DeployedMean(held, modes, plain=held)
    loss = wire(Recipe("cross-entropy"), network, Stream("train", 0))
    kinds = {
        "forward": (forward(plain, x), forward(mean, x)),
        "gradient": (gradient(frozen, x, y), gradient(mean, x, y)),
        "step": (step(plain, lambda net, a, b: F.cross_entropy(net(a), b), x, y), step(network, loss, x, y)),
    }
    found = {}
    for kind, (once, all_modes) in kinds.items():
        timed = measuring.interleaved({PLAIN: once} | ways(all_modes), seconds=SECONDS, rounds=rounds)
        table: dict[str, Any] = {PLAIN: {"ms": round(timed.median(PLAIN), 3), "rounds": timed.rounds}}
        for way in WAYS:
            table[way] = {"ms": round(timed.median(way), 3), "ratio": timed.ratio(way, PLAIN)}
        found[kind] = table
    return found


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    options = measuring.arguments(__doc__).parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    results: dict[str, Any] = {}
    for name in CASES:
        results[name] = measure(name, options.rounds)
        for kind, table in results[name].items():
            rows = [(way, f"{row['ms']:.2f}", str(row.get("ratio", ""))) for way, row in table.items()]
            measuring.table((f"{name}, {kind}", "ms", "ratio"), rows)
    measuring.write(options.json, machine, results)


if __name__ == "__main__":
    main()
