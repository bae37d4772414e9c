"""Cost of randomness in memory: training ResNet-18 at batch 128, above the deterministic network.

    python benchmarks/memory.py [--json FILE] [--repeats N] [--no-peers]

Every number is the peak resident memory (VmHWM, so Linux only) of a separate process that builds the network and runs
four steps of SGD without momentum. Every process imports the same modules, and returns every freed tensor to the system
(MALLOC_MMAP_THRESHOLD_), because the variation of glibc's allocator would exceed the differences measured. The
difference of medians to the deterministic network is also given in units of one float tensor per parameter. Other
libraries are included where they are installed (``pip install --no-deps -r benchmarks/peers.txt``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import measuring
import peers
from networks import CASES
from overhead import OURS, PLAIN, step
from torch import nn

from variate.random.randomize import randomize

CASE = "ResNet-18 b128"
STEPS, REPEATS = 4, 3
TARGET = 3.0  # float tensors per parameter
MEGABYTE = 1e6


def worker(side: str) -> None:
    """Train one variant, and print the peak in bytes."""
    peers.load()
    network, x, y = CASES[CASE]()
    network = made(side, network)
    run = step(network, x, y)
    for _ in range(STEPS):
        run()
    print(peak())


def made(side: str, plain: nn.Module) -> nn.Module:
    """The network of a variant."""
    if side == PLAIN:
        return plain
    if side == OURS:
        return randomize(plain)
    peers.installed()[side](plain)
    return plain


def peak() -> int:
    """Peak resident memory of this process in bytes; ``ru_maxrss`` would include the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def fresh(side: str) -> int:
    """Peak of a new process that trains one variant."""
    words = [sys.executable, __file__, "--side", side]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**16)}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return int(done.stdout.split()[-1])


def measure(sides: list[str], repeats: int) -> dict[str, Any]:
    """Run the variants in turns, each in its own process."""
    bytes_of: dict[str, list[int]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, found in bytes_of.items():
            found.append(fresh(side))
    unit = 4 * sum(parameter.numel() for parameter in CASES[CASE]()[0].parameters())
    plain = statistics.median(bytes_of[PLAIN])
    return {side: record(found, plain, unit) for side, found in bytes_of.items()}


def record(found: list[int], plain: float, unit: int) -> dict[str, Any]:
    """The numbers of one variant, in MB and in parameter-sized tensors above the deterministic network."""
    above = [(number - plain) / unit for number in (statistics.median(found), min(found), max(found))]
    return {
        "MB": round(statistics.median(found) / MEGABYTE, 1),
        "spread MB": round((max(found) - min(found)) / MEGABYTE, 1),
        "above MB": round(above[0] * unit / MEGABYTE, 1),
        **dict(zip(("tensors", "least", "most"), (round(number, 3) for number in above), strict=True)),
    }


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    head = (f"{CASE}, training", "peak MB", "max - min", "above MB", "in parameter tensors", "target")
    rows = [
        (
            side,
            f"{row['MB']:.0f}",
            f"{row['spread MB']:.1f}",
            f"{row['above MB']:.1f}",
            f"{row['tensors']:.2f} ({row['least']:.2f}-{row['most']:.2f})",
            f"{TARGET:.0f}" * (side == OURS),
        )
        for side, row in found.items()
    ]
    measuring.table(head, rows)


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="processes of every side")
    parser.add_argument("--no-peers", action="store_true", help="measure no other library")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        worker(options.side)
        return
    machine = measuring.facts()
    measuring.announce(machine)
    found = measure([PLAIN, OURS, *([] if options.no_peers else peers.installed())], options.repeats)
    show(found)
    measuring.write(options.json, machine, {"case": CASE, "steps": STEPS, "repeats": options.repeats, "sides": found})


if __name__ == "__main__":
    main()
