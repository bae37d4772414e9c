"""Activation checkpointing: what is computed again in the backward pass sees the draws of the first time.

``torch.utils.checkpoint`` runs a function a second time when a gradient first needs it, which may be long after the
forward pass, and for a loss of something that the forward did not return. It has no hook for this, so the two
functions to which it hands the function are replaced here by ones that remember the draws in place and the keys taken.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils import checkpoint as checkpoints

from variate.random.draw.shadows import Held, Places


class _Thread(threading.local):
    """What one thread is doing.

    Attributes:
        draws: the draws in place, the innermost first: (places, draw, those around it); None outside of them.
        records: where the keys taken are noted, for every checkpoint under way.
        replay: the keys to take instead of new ones, if any.
    """

    draws: tuple[Places, Held, Any] | None = None
    replay: Iterator[int] | None = None

    def __init__(self) -> None:
        self.records: list[list[int]] = []


THREAD = _Thread()


class Memory:
    """The draws in place when a checkpoint begins, and the keys taken while it runs for the first time."""

    def __init__(self) -> None:
        self._draws = THREAD.draws
        self._keys: list[int] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Context of the first time."""
        THREAD.records.append(self._keys)
        try:
            yield
        finally:
            THREAD.records[:] = [keys for keys in THREAD.records if keys is not self._keys]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Context of the second time."""
        before = THREAD.draws, THREAD.replay
        draws = [] if self._draws is before[0] else list(_around(self._draws))
        held = [places.put(draw.drawn, draw.key, block=draw.block) for places, draw in draws]
        THREAD.draws, THREAD.replay = self._draws, iter(list(self._keys))
        try:
            yield
        finally:
            THREAD.draws, THREAD.replay = before
            for (places, _), previous in zip(draws[::-1], held[::-1], strict=True):
                places.back(previous)


def _around(draws: tuple[Places, Held, Any] | None) -> Iterator[tuple[Places, Held]]:
    """The draws in place, the outermost first."""
    if draws is not None:
        places, held, outer = draws
        yield from _around(outer)
        yield places, held


def install() -> None:
    """Make torch's two kinds of checkpoints remember, once per process."""
    begin, function = checkpoints._checkpoint_without_reentrant_generator, checkpoints.CheckpointFunction
    if getattr(function, "remembers_draws", False):
        return

    @functools.wraps(begin)
    def without_reentry(run: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[None]:
        memory = Memory()

        def rerun(*args: Any, **kwargs: Any) -> Any:
            with memory.again():
                return run(*args, **kwargs)

        steps = begin(rerun, *args, **kwargs)
        next(steps)
        with memory.recording():
            yield
        next(steps, None)

    class Reentrant(function):  # type: ignore[misc, valid-type]
        remembers_draws = True

        @classmethod
        def apply(cls, run: Callable[..., Any], *args: Any) -> Any:
            memory, runs = Memory(), itertools.count()

            def run_again(*args: Any, **kwargs: Any) -> Any:
                with memory.again() if next(runs) else memory.recording():
                    return run(*args, **kwargs)

            return function.apply(run_again, *args)  # type: ignore[no-untyped-call]

    checkpoints._checkpoint_without_reentrant_generator = without_reentry  # type: ignore[assignment]
    checkpoints.CheckpointFunction = Reentrant  # type: ignore[misc]
