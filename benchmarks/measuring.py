"""Interleaved timing, ratios with their uncertainty, facts about the machine, tables and JSON for the benchmarks.

The machine may be shared and its clock may drift, so nothing is compared across runs: every variant runs once in every
round, in a newly shuffled order, and ratios are of medians over the same rounds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from variate.random.noise import native

RESAMPLES = 2000
LEVEL = 0.95
LEAST, MOST = 11, 301  # rounds if no number is given
BUSY = 0.05  # share of the cores in use by other processes above which ratios mean little: parallel regions wait

Run = Callable[[], object]
Medians = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % bootstrap interval over rounds.

    Attributes:
        value: from the medians over all rounds.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"

    def times(self) -> str:
        """The number as a multiple, with few digits."""
        return f"{self.value:.1f} ({self.low:.1f}-{self.high:.1f})"

    def record(self) -> dict[str, float | None]:
        """The number for JSON; infinite bounds become null."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: round(number, 4) if math.isfinite(number) else None for name, number in numbers.items()}


@dataclass(frozen=True)
class Timed:
    """Seconds of every variant in every round.

    Attributes:
        seconds: by variant; entry i of every variant is from round i.
        elsewhere: share of the machine's cores that other processes used meanwhile; nan where unknown.
    """

    seconds: dict[str, np.ndarray]
    elsewhere: float = math.nan

    @property
    def rounds(self) -> int:
        """Number of runs of every variant."""
        return len(next(iter(self.seconds.values())))

    def median(self, side: str) -> float:
        """The median in milliseconds."""
        return 1e3 * float(np.median(self.seconds[side]))

    def estimate(self, value: Callable[[Medians], np.ndarray]) -> Estimate:
        """A function of the medians, with its interval; whole rounds are resampled so that drift cancels."""
        rounds = np.random.default_rng(0).integers(self.rounds, size=(RESAMPLES, self.rounds))
        center = value({side: np.median(times[None], axis=1) for side, times in self.seconds.items()})
        resampled = value({side: np.median(times[rounds], axis=1) for side, times in self.seconds.items()})
        tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        low, high = np.quantile(resampled, tails, method="closest_observation")
        return Estimate(float(center[0]), float(low), float(high))

    def ratio(self, side: str, reference: str) -> Estimate:
        """Median of one variant divided by the median of another."""
        return self.estimate(lambda medians: medians[side] / medians[reference])

    def excess(self, side: str, ours: str, reference: str) -> Estimate:
        """Cost of ``side`` above the reference, divided by that of ``ours``; infinite if the latter is zero."""

        def value(medians: Medians) -> np.ndarray:
            theirs, own = (medians[one] - medians[reference] for one in (side, ours))
            return np.where(own > 0, theirs / np.where(own > 0, own, 1), np.where(theirs > 0, np.inf, -np.inf))

        return self.estimate(value)


def interleaved(sides: Mapping[str, Run], *, seconds: float, rounds: int | None = None) -> Timed:
    """Time every variant once per round, in shuffled order, after two warm-up runs of each.

    Args:
        sides: functions to run, by name.
        seconds: time limit for all rounds together, if ``rounds`` is not given; at least 11 rounds are run.
        rounds: number of rounds.
    """
    for _ in range(2):
        once = sum(_clocked(run) for run in sides.values())
    rounds = rounds or min(MOST, max(LEAST, int(seconds / once)))
    times: dict[str, list[float]] = {name: [] for name in sides}
    order, shuffler = list(sides), random.Random(0)
    start = _cores()
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            times[name].append(_clocked(sides[name]))
    wall, busy, own = (after - before for after, before in zip(_cores(), start, strict=True))
    elsewhere = max(0.0, busy - own) / (wall * (os.cpu_count() or 1))
    return Timed({name: np.array(column) for name, column in times.items()}, elsewhere)


def warn(timed: Timed) -> None:
    """Warn if other processes disturbed a measurement."""
    if timed.elsewhere > BUSY:
        print(f"  not to be trusted: other processes used {timed.elsewhere:.0%} of the cores meanwhile", flush=True)


def arguments(doc: str) -> argparse.ArgumentParser:
    """A parser of a benchmark's options, with those that most have: ``--json`` and ``--rounds``."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--rounds", type=int, help="of every measurement; otherwise as many as fit in its time")
    return parser


def facts() -> dict[str, Any]:
    """Facts that affect the numbers: processor, threads, versions, date, sampler, and the current load."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "sampler": native.describe(),
    }


def announce(machine: Mapping[str, Any]) -> None:
    """Print the facts in one line."""
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)


def write(path: Path | None, machine: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Write results and the facts about the machine as JSON, if a path is given."""
    if path:
        text = json.dumps({"machine": machine, **results}, indent=2, default=Estimate.record)
        path.write_text(text + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with the first column left-aligned and the others right-aligned."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        first, *others = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join((first, *others)).rstrip(), flush=True)
    print(flush=True)


def _clocked(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _cores() -> tuple[float, float, float]:
    """Wall-clock seconds, busy seconds of all cores, and busy seconds of this process."""
    now, own = time.perf_counter(), sum(os.times()[:2])
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return now, math.nan, own
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = (int(word) for word in words)
    return now, (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK"), own


def _cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
