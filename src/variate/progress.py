"""Progress reports: a bar with the rate and the time left on a terminal, an occasional line in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

LOG_SECONDS = 10.0


class Report(Protocol):
    """The callback of a long task: how many units are done, and a short note."""

    def __call__(self, done: float, note: str = "") -> None:
        """Report the number of units done so far."""


@contextmanager
def progress(what: str, total: float, unit: str, *, already: float = 0, show: bool = True) -> Iterator[Report]:
    """Show the progress of a task on standard error.

    Args:
        what: name of the task, such as ``training random-at``.
        total: number of units of work.
        unit: name of a unit, for the rate.
        already: units done in an earlier run; they do not count toward the rate.
        show: False shows nothing.
    """
    if not show or total <= already:
        yield lambda done, note="": None
    elif sys.stderr.isatty():
        with _bar(what, total, unit, already) as report:
            yield report
    else:
        yield _log(what, total, unit, already)


@contextmanager
def _bar(what: str, total: float, unit: str, already: float) -> Iterator[Report]:
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
        task = bar.add_task(what, total=total, completed=int(already), rate="", note="")
        started = time.monotonic()

        def report(done: float, note: str = "") -> None:
            fields: dict[str, Any] = {"rate": f"{_rate(done - already, started):.3g} {unit}/s"} | (
                {"note": note} if note else {}
            )
            bar.update(task, completed=done, **fields)

        yield report


def _log(what: str, total: float, unit: str, already: float) -> Report:
    started = last_report = time.monotonic()

    def report(done: float, note: str = "") -> None:
        nonlocal last_report
        if time.monotonic() - last_report < LOG_SECONDS or done <= already:
            return
        last_report = time.monotonic()
        rate = _rate(done - already, started)
        left = (total - done) / rate
        sys.stderr.write(f"{what}: {done:.4g}/{total:g}, {rate:.3g} {unit}/s, {left:.0f} s left {note}".rstrip() + "\n")
        sys.stderr.flush()

    return report


def _rate(done: float, started: float) -> float:
    return done / max(time.monotonic() - started, 1e-9)
