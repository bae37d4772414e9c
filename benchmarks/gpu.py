"""Cost of randomness on a GPU: a random ResNet-18 against the deterministic one, and its draw against one pass.

    python benchmarks/gpu.py [--json FILE] [--rounds N]

A batch of 128, in float32 (convolutions with torch's defaults: TF32 where the card supports it) and under bfloat16
autocast. The forward uses a fresh draw and no gradients; the training step is cross-entropy, backward pass and plain
SGD. The draw alone covers all parameters; the pass reads two tensors with as many elements and writes a third. Time is
measured between CUDA events around a few consecutive runs, so host work counts where the GPU waits for it. Variants are
interleaved as in ``overhead.py``; ratios are of medians with a 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
from measuring import Run, Timed
from networks import CASES
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random.keys import hash_words
from variate.random.noise import gpu
from variate.random.noise.native import Row
from variate.random.randomize import randomize

CASE = "ResNet-18 b128"
IN_A_ROW = 5  # runs between two events
WARM = 5  # groups of runs before timing starts, in which kernels are compiled and selected
PLAIN, OURS = "deterministic", "variate"
PASS, DRAW = "streaming pass", "draw"
PRECISIONS = {"float32": False, "bfloat16 autocast": True}


def forward(network: nn.Module, x: Tensor, y: Tensor, half: bool) -> Run:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=half):
            network(x)

    return run


def step(network: nn.Module, x: Tensor, y: Tensor, half: bool) -> Run:
    """One training step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)

    def run() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            loss = F.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


KINDS: dict[str, Callable[[nn.Module, Tensor, Tensor, bool], Run]] = {"forward": forward, "training step": step}


def draw(network: nn.Module) -> dict[str, Run]:
    """The draw of every parameter, mean + softplus(rho) * noise, and one pass over as much memory."""
    means = [parameter.detach() for parameter in network.parameters()]
    scales, outs = [torch.full_like(mean, -3.0) for mean in means], [torch.empty_like(mean) for mean in means]
    rows = [Row(hash_words("parameter", name), "normal", p.numel(), True) for name, p in network.named_parameters()]
    table = gpu.Table(rows)
    one, two, three = torch.rand(3, sum(row.count for row in rows), device="cuda")
    return {
        PASS: lambda: torch.add(one, two, out=three),
        DRAW: lambda: table.run("draw", 1, means, scales, outs),
    }


def clocked(run: Run) -> float:
    """Seconds of one run on the GPU."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    for _ in range(IN_A_ROW):
        run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / IN_A_ROW


def interleaved(sides: Mapping[str, Run], rounds: int) -> Timed:
    """Run every variant once per round, in shuffled order."""
    for run in sides.values():
        for _ in range(WARM):
            clocked(run)
    times: dict[str, list[float]] = {name: [] for name in sides}
    order, shuffler = list(sides), random.Random(0)
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            times[name].append(clocked(sides[name]))
    return Timed({name: np.array(column) for name, column in times.items()})


def measure(rounds: int) -> dict[str, dict[str, Any]]:
    """All measurements by name."""
    plain, x, y = (part.to("cuda") for part in CASES[CASE]())
    ours = randomize(plain)
    found = {}
    for kind, make in KINDS.items():
        for precision, half in PRECISIONS.items():
            sides = {PLAIN: make(plain, x, y, half), OURS: make(ours, x, y, half)}
            found[f"{CASE}, {kind}, {precision}"] = compared(interleaved(sides, rounds), OURS, PLAIN)
    if gpu.available():
        found[f"{CASE}, the draw alone, float32"] = compared(interleaved(draw(plain), rounds), DRAW, PASS)
    return found


def compared(timed: Timed, side: str, reference: str) -> dict[str, Any]:
    """One variant against its reference."""
    medians = {name: round(timed.median(name), 4) for name in (side, reference)}
    return {"ms": medians, "rounds": timed.rounds, "ratio": timed.ratio(side, reference)}


def facts() -> dict[str, Any]:
    """Facts about the machine and its GPU."""
    card = torch.cuda.get_device_properties(0)
    return {
        "gpu": card.name,
        "capability": f"{card.major}.{card.minor}",
        "cuda": torch.version.cuda or torch.version.hip,
        "cudnn": torch.backends.cudnn.version(),
        "sampler on the gpu": "one Triton kernel" if gpu.available() else "plain torch",
        **measuring.facts(),
    }


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--rounds", type=int, default=31, help="of every measurement")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU on this machine, and this benchmark measures nothing else")
    torch.backends.cudnn.benchmark = True
    machine = facts()
    measuring.announce(machine)
    found = measure(options.rounds)
    rows = [(name, *(f"{ms:.3f}" for ms in row["ms"].values()), str(row["ratio"])) for name, row in found.items()]
    measuring.table((str(machine["gpu"]), "ms", "reference ms", "ratio"), rows)
    measuring.write(options.json, machine, {"rows": found})


if __name__ == "__main__":
    main()
