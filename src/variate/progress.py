"""Progress reports: a bar with the pace and the time left on a terminal, an occasional line in a log file.

A task that several processes work at has a line for itself and one for each of them. A process that works for another
tells that one (``send_to``) instead of showing anything itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LOG_SECONDS = 10.0
SEND_SECONDS = 0.2


class Report(Protocol):
    """The callback of a long task: how many units are done, and a short note."""

    def __call__(self, done: float, note: str = "") -> None:
        """Report the number of units done so far."""


@dataclass(frozen=True)
class State:
    """How far a task is.

    Attributes:
        what: name of the task, such as ``training random-at``.
        total: number of units of work; 0 while unknown.
        unit: name of the units, in the plural.
        done: units done so far.
        pace: units per second, without those of earlier runs; 0 while unknown.
        note: a few words.
    """

    what: str
    total: float
    unit: str
    done: float = 0
    pace: float = 0.0
    note: str = ""

    @property
    def rate(self) -> str:
        """The pace in the unit that reads: ``14 examples/s`` or ``11 s an epoch``; empty while unknown."""
        if self.pace <= 0:
            return ""
        if self.pace >= 1:
            return f"{self.pace:.3g} {self.unit}/s"
        one = self.unit.removesuffix("s")
        return f"{span(1 / self.pace)} {'an' if one[:1] in 'aeiou' else 'a'} {one}"

    @property
    def left(self) -> str:
        """The time left; empty while the pace is unknown."""
        return f"{span((self.total - self.done) / self.pace)} left" if self.pace > 0 else ""

    @property
    def line(self) -> str:
        """The state as a line of a log."""
        parts = [f"{self.done:.4g}/{self.total:g}" if self.total else "", self.rate, self.left]
        return " ".join(filter(None, [f"{self.what}:", ", ".join(filter(None, parts)), self.note]))


@dataclass(frozen=True)
class Board:
    """The lines of a task: its own, and one for each process that works at it.

    Attributes:
        report: shows how far the whole task is.
        show_worker: shows what a process does, by its number.
    """

    report: Report
    show_worker: Callable[[int, State], None]


_receiver: Callable[[State], None] | None = None  # of a process that works for another


def send_to(receiver: Callable[[State], None] | None) -> None:
    """Hand the progress of this process to a function, a few times a second, instead of showing it."""
    global _receiver
    _receiver = receiver


@contextmanager
def progress(what: str, total: float, unit: str, *, already: float = 0, show: bool = True) -> Iterator[Report]:
    """Show the progress of a task on standard error.

    Args:
        what: name of the task, such as ``training random-at``.
        total: number of units of work.
        unit: name of the units, in the plural.
        already: units done in an earlier run; they do not count toward the pace.
        show: False shows nothing.
    """
    with board(what, total, unit, already=already, show=show) as lines:
        yield lines.report


@contextmanager
def board(what: str, total: float, unit: str, *, already: float = 0, show: bool = True) -> Iterator[Board]:
    """Show the progress of a task and of the processes that work at it; the arguments are those of ``progress``."""
    if not show or total <= already:
        yield Board(lambda done, note="": None, lambda worker, state: None)
        return
    started = time.monotonic()
    with _shown(State(what, total, unit, already)) as update:

        def report(done: float, note: str = "") -> None:
            pace = (done - already) / max(time.monotonic() - started, 1e-9)
            update(None, State(what, total, unit, done, pace, note))

        yield Board(report, update)


Update = Callable[[int | None, State], None]  # the number of a process, or None for the whole task


@contextmanager
def _shown(first: State) -> Iterator[Update]:
    """Where states go: to another process, to bars on a terminal, or into a log."""
    if _receiver is not None:
        yield _Sent(_receiver, first)
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Bars(bars, first)
    else:
        yield _Log()


class _Sent:
    """Hands states on: the first and the last of a task always, others a few times a second."""

    def __init__(self, receiver: Callable[[State], None], first: State) -> None:
        self._receiver, self._last = receiver, time.monotonic()
        receiver(first)

    def __call__(self, worker: int | None, state: State) -> None:
        now = time.monotonic()
        if now - self._last >= SEND_SECONDS or state.done >= state.total:
            self._last = now
            self._receiver(state)


class _Bars:
    """Bars on a terminal: one for the task, one for each process."""

    def __init__(self, bars: Progress, first: State) -> None:
        self._bars = bars
        self._tasks: dict[int | None, TaskID] = {}
        self._shown: dict[int | None, State] = {}
        self(None, first)

    def __call__(self, worker: int | None, state: State) -> None:
        before = self._shown.get(worker)
        if not state.note and before is not None and before.what == state.what:
            state = replace(state, note=before.note)
        self._shown[worker] = state
        if worker not in self._tasks:
            self._tasks[worker] = self._bars.add_task("", rate="", left="", note="")
        fields: dict[str, Any] = {"rate": state.rate, "left": state.left, "note": state.note}
        total = state.total or None
        self._bars.update(self._tasks[worker], description=state.what, total=total, completed=state.done, **fields)


class _Log:
    """Lines in a file: of the task now and then, of a process also when it begins something else."""

    def __init__(self) -> None:
        self._last: dict[int | None, float] = {None: time.monotonic()}
        self._tasks: dict[int | None, str] = {}

    def __call__(self, worker: int | None, state: State) -> None:
        now = time.monotonic()
        begins = worker is not None and self._tasks.get(worker) != state.what
        if not begins and (now - self._last[worker] < LOG_SECONDS or (worker is None and state.pace <= 0)):
            return
        self._tasks[worker], self._last[worker] = state.what, now
        sys.stderr.write(f"{state.line}\n")
        sys.stderr.flush()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield bars


def span(seconds: float) -> str:
    """Seconds in words: 0.4 s, 11 s, 12 min, 3.5 h."""
    if seconds < 10:
        return f"{seconds:.1g} s" if seconds < 1 else f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
