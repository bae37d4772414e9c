"""Cost of PGD in two checkouts of this repository, which take turns: is an attack slower than it was?

    python benchmarks/before_after.py OLD_FOLDER NEW_FOLDER [--rounds N] [--json FILE]

Each checkout runs in a process of its own (the sampler has to be built there: ``python hatch_build.py``), with one
thread, and answers in turn, so that a noisy machine disturbs both alike. The result is the ratio of medians, new to
old, of the library's PGD and of the plain loop through the same network, whose cost is that of the forward alone.
"""

from __future__ import annotations

import inspect
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

CASES = {  # batch, steps, draws, runs a turn; 1 draw: the deterministic network
    "deterministic LeNet b128": (128, 10, 1, 1),
    "deterministic LeNet b1": (1, 10, 1, 10),
    "20 draws, random LeNet b16": (16, 5, 20, 1),
    "20 draws, random LeNet b1": (1, 5, 20, 3),
}
SIDES = ("plain loop", "variate")


def answer(folder: Path) -> None:
    """The process of one checkout: reads the name of a case and a side, prints the seconds of one run."""
    sys.path[:0] = [str(folder / "src"), str(folder / "benchmarks")]
    import attacks
    import torch
    from networks import images

    torch.set_num_threads(1)
    runs: dict[str, tuple[Callable[[], object], ...]] = {}
    for name, (batch, steps, draws, _) in CASES.items():
        plain, x, y = images("lenet", (1, 28, 28), batch)
        net = attacks.randomize(plain.eval()) if draws > 1 else plain.eval()
        old: dict[str, Any] = {"how": "auto"} if "how" in inspect.signature(attacks.our_pgd).parameters else {}
        inputs = (net, x, y, steps, draws)
        runs[name] = partial(attacks.plain_pgd, *inputs), partial(attacks.our_pgd, *inputs, **old)
    print("ready", flush=True)
    for line in sys.stdin:
        name, side = line.rstrip("\n").rsplit("|", 1)
        count = CASES[name][3]
        start = time.perf_counter()
        for _ in range(count):
            runs[name][SIDES.index(side)]()
        print((time.perf_counter() - start) / count, flush=True)


def ask(process: subprocess.Popen[str], question: str) -> float:
    """The seconds that a checkout needs."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    import measuring

    parser = measuring.arguments(__doc__)
    parser.add_argument("old", type=Path, help="folder of the older checkout")
    parser.add_argument("new", type=Path, help="folder of the newer checkout")
    options = parser.parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    command = [sys.executable, __file__, "answer"]
    pair = [
        subprocess.Popen([*command, str(folder.resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for folder in (options.old, options.new)
    ]
    for process in pair:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            parser.error(f"{process.args} did not start")
    found = {}
    for name in CASES:
        times: dict[tuple[str, int], list[float]] = {(side, i): [] for side in SIDES for i in range(2)}
        for turn in range((options.rounds or 15) + 1):
            for side in SIDES:
                for i in (0, 1) if turn % 2 else (1, 0):
                    seconds = ask(pair[i], f"{name}|{side}")
                    times[side, i] += [seconds] if turn else []  # the first turn warms up
        rows = []
        for side in SIDES:
            old, new = (statistics.median(times[side, i]) for i in range(2))
            found[f"{name}, {side}"] = {"old_ms": old * 1e3, "new_ms": new * 1e3, "ratio": new / old}
            rows.append((side, f"{old * 1e3:.1f}", f"{new * 1e3:.1f}", f"{new / old:.3f}"))
        measuring.table((name, "old, ms", "new, ms", "new / old"), rows)
    for process in pair:
        process.kill()
    measuring.write(options.json, machine, {"cases": found})


if __name__ == "__main__":
    if sys.argv[1:2] == ["answer"]:
        answer(Path(sys.argv[2]))
    else:
        main()
