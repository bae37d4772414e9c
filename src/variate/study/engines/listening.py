"""Show what the worker processes of a study do: each tells it over a pipe of its own."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from threading import Event, Thread
from typing import cast

from variate.progress import Board, State, send_to

LOOK = 0.2  # seconds between looks at whether to stop


class Listener:
    """Reads what worker processes tell, in a thread, and shows it on a board.

    A worker has a pipe of its own, without locks: one that is killed keeps none of the others waiting.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._workers: dict[Connection, int] = {}
        self._stopped = Event()
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Listener:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to listen."""
        self._stopped.set()
        self._thread.join(1.0)

    def pipe(self, worker: int) -> Connection:
        """The end of a new pipe that a worker writes to, by ``tell``."""
        receiver, sender = Pipe(duplex=False)
        self._workers[receiver] = worker
        return sender

    def begin(self, worker: int, name: str) -> None:
        """Show that a worker is given a task, before its process has loaded anything."""
        self._board.show_worker(worker, State(name, 0, "", note="begins"))

    def _listen(self) -> None:
        try:
            while not self._stopped.wait(0 if self._workers else LOOK):
                for receiver in wait(list(self._workers), LOOK) if self._workers else ():
                    self._take(cast(Connection, receiver))
        finally:
            for receiver in self._workers:
                receiver.close()  # a worker that tells more is not kept waiting

    def _take(self, receiver: Connection) -> None:
        try:
            state = receiver.recv()
        except (EOFError, OSError):  # the process has ended
            del self._workers[receiver]
            return
        self._board.show_worker(self._workers[receiver], state)


def tell(sender: Connection, name: str) -> None:
    """Make the progress of this process go to its parent, under the name of its task."""

    def send(state: State) -> None:
        try:
            sender.send(state if name in state.what else replace(state, what=f"{name}: {state.what}"))
        except OSError:  # the parent has ended, or does not listen
            send_to(None)

    send_to(send)
