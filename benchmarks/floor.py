"""A lower bound for a random network's training step: the necessary work and nothing else.

    python benchmarks/floor.py [--json FILE]

The floor is the deterministic network's own training step plus two bare calls of the compiled sampler (one draws, one
makes the gradients of the scales) and an optimizer over as many additional tensors: no autograd node, no draw put in
place, no checks. The results of ``overhead.py`` cannot go below it with this sampler on this machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import measuring
import torch
from networks import CASES
from overhead import OURS, PLAIN, TARGETS, step
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random.noise.native import Row, Table
from variate.random.randomize import randomize

SECONDS = 60  # for all rounds of one case
FLOOR = "floor"


def bare(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], object]:
    """A deterministic training step, plus the sampling that a random one needs."""
    means = [parameter.detach() for parameter in network.parameters()]
    scales = [nn.Parameter(torch.zeros_like(mean)) for mean in means]
    levels = [scale.detach() for scale in scales]
    drawn, slopes = ([torch.empty_like(mean) for mean in means] for _ in range(2))
    table = Table([Row(uid, "normal", mean.numel(), positive=True) for uid, mean in enumerate(means)])
    optimizer = torch.optim.SGD([*network.parameters(), *scales], lr=1e-6)

    def run() -> None:
        table.run("draw", 1, means, levels, drawn)
        F.cross_entropy(network(x), y).backward()
        table.run("gradient", 1, drawn, levels, slopes)
        for scale, slope in zip(scales, slopes, strict=True):
            scale.grad = slope
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def measure(case: str) -> dict[str, Any]:
    """The floor and the full random step, against the deterministic step."""
    plain, x, y = CASES[case]()
    runs = {PLAIN: step(plain, x, y), FLOOR: bare(deepcopy(plain), x, y), OURS: step(randomize(plain), x, y)}
    timed = measuring.interleaved(runs, seconds=SECONDS)
    measuring.warn(timed)
    return {name: {"ms": round(timed.median(name), 3), "ratio": timed.ratio(name, PLAIN)} for name in runs}


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    options = parser.parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    found = {case: measure(case) for case in CASES}
    asked = TARGETS["training step"]
    rows = [(case, str(s[FLOOR]["ratio"]), str(s[OURS]["ratio"]), f"{asked[case]:.2f}") for case, s in found.items()]
    measuring.table(("training step", FLOOR, OURS, "asked"), rows)
    measuring.write(options.json, machine, {"cases": found})


if __name__ == "__main__":
    main()
