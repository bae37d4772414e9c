"""Progress of long work: a bar with the rate and the time left on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LOG_SECONDS = 10.0


class Report(Protocol):
    """What long work calls after every piece: how many units are done, and a short note."""

    def __call__(self, done: float, note: str = "") -> None:
        """Say how many units are done."""


@contextmanager
def progress(what: str, total: float, unit: str, *, show: bool = True) -> Iterator[Report]:
    """Show the progress of ``total`` units of work on standard error.

    Args:
        what: the name of the work, such as ``training random-at``.
        total: the number of units.
        unit: the name of a unit, for the rate.
        show: with False, nothing is shown.
    """
    if not show or total <= 0:
        yield lambda done, note="": None
    elif sys.stderr.isatty():
        with _bar(what, total, unit) as report:
            yield report
    else:
        with _log(what, total, unit) as report:
            yield report


@contextmanager
def _bar(what: str, total: float, unit: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="", note="")
        started = time.monotonic()

        def report(done: float, note: str = "") -> None:
            bar.update(task, completed=done, rate=_rate(done, started, unit), note=note)

        yield report


@contextmanager
def _log(what: str, total: float, unit: str) -> Iterator[Report]:
    started = said = time.monotonic()

    def report(done: float, note: str = "") -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < LOG_SECONDS or done <= 0:
            return
        said = now
        left = (now - started) / done * (total - done)
        rate = _rate(done, started, unit)
        sys.stderr.write(f"{what}: {done:g}/{total:g}, {rate}, {left:.0f} s left {note}".rstrip() + "\n")
        sys.stderr.flush()

    yield report


def _rate(done: float, started: float, unit: str) -> str:
    seconds = max(time.monotonic() - started, 1e-9)
    return f"{done / seconds:.3g} {unit}/s"
