"""Cost of many draws: input gradients averaged over S draws against S deterministic passes, and per-example draws.

    python benchmarks/draws.py [--json FILE] [--rounds N]

The deterministic network's parameters are frozen as an attacker would freeze them. ``loop`` makes the draws one by one;
``variate`` runs them in groups where its rule says so, and each case names the size of the groups. Per-example draws
are forwards in which every example has its own weights, compared with one deterministic forward. The result is the
ratio of medians with a 95 % bootstrap interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measuring
import torch
from measuring import Run
from networks import encoder_32, images, lstm_32
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random import many
from variate.random.network import RandomNetwork
from variate.random.per_example import draws_per_example
from variate.random.randomize import randomize

SECONDS = 30  # for all rounds of one case, unless the minimum number of rounds takes longer
PLAIN = "deterministic"
WAYS = ("loop", "variate")
CASES: dict[str, tuple[Callable[[], tuple[nn.Module, Tensor, Tensor]], int, float | None]] = {
    "LeNet b1, 20 draws": (lambda: images("lenet", (1, 28, 28), 1), 20, 0.45),
    "LeNet b16, 20 draws": (lambda: images("lenet", (1, 28, 28), 16), 20, None),
    "LeNet b32, 16 draws": (lambda: images("lenet", (1, 28, 28), 32), 16, 0.45),
    "ResNet-18 b8, 8 draws": (lambda: images("resnet18", (3, 32, 32), 8), 8, 1.1),
    "encoder b32, 4 draws": (encoder_32, 4, None),
    "LSTM b32, 4 draws": (lstm_32, 4, None),
}
PER_EXAMPLE = {
    "LeNet b32": lambda: images("lenet", (1, 28, 28), 32),
    "ResNet-18 b8": lambda: images("resnet18", (3, 32, 32), 8),
}


def passes(network: nn.Module, x: Tensor, y: Tensor, count: int) -> Run:
    """``count`` input gradients of the deterministic network, one after another."""

    def run() -> None:
        for _ in range(count):
            leaf = x.detach().clone().requires_grad_()
            torch.autograd.grad(F.cross_entropy(network(leaf), y, reduction="none").sum(), leaf)

    return run


def averaged(network: RandomNetwork, x: Tensor, y: Tensor, count: int, way: str) -> Run:
    """The input gradient averaged over ``count`` draws."""
    keys = list(range(count))

    def run() -> None:
        usual = many.LEAST
        many.LEAST = usual if way == "variate" else count + 1
        try:
            many.input_gradient(network, x, lambda out: F.cross_entropy(out, y, reduction="none"), keys)
        finally:
            many.LEAST = usual

    return run


def gradients(name: str, rounds: int | None) -> dict[str, Any]:
    """One case."""
    make, count, target = CASES[name]
    plain, x, y = make()
    plain.eval()
    network = randomize(plain)
    plain.requires_grad_(False)
    sides = {PLAIN: passes(plain, x, y, count)} | {way: averaged(network, x, y, count, way) for way in WAYS}
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=rounds)
    results: dict[str, Any] = {PLAIN: {"ms": round(timed.median(PLAIN), 3), "rounds": timed.rounds}}
    for way in WAYS:
        results[way] = {"ms": round(timed.median(way), 3), "ratio": timed.ratio(way, PLAIN)}
    results["variate"] |= {"target": target, "group": many.group_size(network, x, range(count))}
    return results


def per_example(name: str, rounds: int | None) -> dict[str, Any]:
    """A forward of per-example draws against a deterministic one."""
    plain, x, _ = PER_EXAMPLE[name]()
    network = randomize(plain.eval()).eval()

    def run(call: Callable[[], object]) -> Run:
        def once() -> None:
            with torch.no_grad():
                call()

        return once

    sides = {PLAIN: run(lambda: plain(x)), "per example": run(lambda: draws_per_example(network, x, 1))}
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=rounds)
    row = {"ms": round(timed.median("per example"), 3), "ratio": timed.ratio("per example", PLAIN)}
    return {PLAIN: {"ms": round(timed.median(PLAIN), 3), "rounds": timed.rounds}, "per example": row}


def show(title: str, found: dict[str, Any]) -> None:
    """Print one case."""
    rows = []
    for name, row in found.items():
        label = f"{name} (groups of {row['group']})" if "group" in row else name
        target = f"{row['target']:.2f}" if row.get("target") else ""
        rows.append((label, f"{row['ms']:.2f}", str(row.get("ratio", "")), target))
    measuring.table((title, "ms", "ratio", "target"), rows)


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    options = measuring.arguments(__doc__).parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    found: dict[str, Any] = {"gradients": {}, "per example": {}}
    for kind, measure, cases in (("gradients", gradients, CASES), ("per example", per_example, PER_EXAMPLE)):
        for name in cases:
            found[kind][name] = measure(name, options.rounds)
            show(f"{name}, {kind}", found[kind][name])
    measuring.write(options.json, machine, found)


if __name__ == "__main__":
    main()
