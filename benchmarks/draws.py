"""Cost of many draws: input gradients averaged over S draws against S deterministic passes, and per-example draws.

    python benchmarks/draws.py [--json FILE] [--rounds N]

Each way to make the draws is compared with the deterministic network, whose parameters are frozen as an attacker would
freeze them; ``auto`` is listed with the choice it made. Per-example draws are forwards in which every example has its
own weights, compared with one deterministic forward. The result is the ratio of medians with a 95 % bootstrap
interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import torch
from measuring import Run
from networks import encoder_32, images, lstm_32
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.random import timing as probe
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize

SECONDS = 30  # for all rounds of one case, unless the minimum number of rounds takes longer
PLAIN = "deterministic"
WAYS = ("loop", "vmap", "threads", "auto")
CASES: dict[str, tuple[Callable[[], tuple[nn.Module, Tensor, Tensor]], int, float | None]] = {
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


def averaged(network: RandomNetwork, x: Tensor, y: Tensor, count: int, how: str) -> Run:
    """The input gradient averaged over ``count`` draws."""
    keys = list(range(count))
    return lambda: network.input_gradient(x, lambda out: F.cross_entropy(out, y, reduction="none"), keys, how)


def gradients(name: str, rounds: int | None) -> dict[str, Any]:
    """All ways of one case."""
    make, count, target = CASES[name]
    plain, x, y = make()
    plain.eval()
    network = randomize(plain)
    plain.requires_grad_(False)
    sides = {PLAIN: passes(plain, x, y, count)}
    unable = {}
    for how in WAYS:
        try:
            averaged(network, x, y, count, how)()
            sides[how] = averaged(network, x, y, count, how)
        except UsageError as error:
            unable[how] = str(error.problem)
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=rounds)
    found: dict[str, Any] = {PLAIN: {"ms": round(timed.median(PLAIN), 3), "rounds": timed.rounds}}
    for how in sides.keys() - {PLAIN}:
        found[how] = {"ms": round(timed.median(how), 3), "ratio": timed.ratio(how, PLAIN)}
    found["auto"] |= {"target": target, "chosen": probe.chosen(network)[-1]}
    return found | {how: {"cannot": reason} for how, reason in unable.items()}


def per_example(name: str, rounds: int | None) -> dict[str, Any]:
    """A forward of per-example draws against a deterministic one."""
    plain, x, _ = PER_EXAMPLE[name]()
    network = randomize(plain.eval()).eval()

    def run(call: Callable[[], object]) -> Run:
        def once() -> None:
            with torch.no_grad():
                call()

        return once

    sides = {PLAIN: run(lambda: plain(x)), "per example": run(lambda: network.draws_per_example(x, 1))}
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=rounds)
    row = {"ms": round(timed.median("per example"), 3), "ratio": timed.ratio("per example", PLAIN)}
    return {PLAIN: {"ms": round(timed.median(PLAIN), 3), "rounds": timed.rounds}, "per example": row}


def show(title: str, found: dict[str, Any]) -> None:
    """Print one case."""
    rows = []
    for name, row in found.items():
        label = f"{name} ({row['chosen']})" if "chosen" in row else name
        target = f"{row['target']:.2f}" if row.get("target") else ""
        cells = (
            ("cannot", row["cannot"], "")
            if "cannot" in row
            else (f"{row['ms']:.2f}", str(row.get("ratio", "")), target)
        )
        rows.append((label, *cells))
    measuring.table((title, "ms", "ratio", "target"), rows)


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--rounds", type=int, help="of every measurement; otherwise as many as fit in its time")
    options = parser.parse_args()
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
