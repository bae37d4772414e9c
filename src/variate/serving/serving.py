"""A network in deployment: fresh draws for every request, keys from the operating system, any number of threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from variate.errors import InputError, SimilarQueryError, UsageError, VariateError, unknown_name
from variate.inputs.validation import check_module, check_several, checked_logits
from variate.own_code import lines_of
from variate.random.copies import copied
from variate.random.keys import fresh_keys
from variate.random.many import draws
from variate.random.network import RandomNetwork
from variate.random.seeding import draws_elsewhere, input_type, left_as_found, outputs_under, under
from variate.random.strata import stratified
from variate.random.uncertainty import Uncertainty
from variate.serving.fixed_noise import warn_of_fixed_noise
from variate.serving.similar import Similar, detector_of
from variate.tasks.classes import Classes
from variate.tasks.task import Task, answer_in, network_of, task_of
from variate.tasks.task import name_of as task_name

Together = Literal["mean", "majority"]


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        values: what the network says, in the form of the task's labels: a class (B,), 0 or 1 for each label (B, L), a
            class at every position (B, ...), numbers (B, Q), or symbols (B, L), filled up with -1.
        confidence: probability of every value, in its shape; of a majority, the share of draws that say the same. None
            for numbers and symbols, which have none.
    """

    values: Tensor
    confidence: Tensor | None


class Served:
    """A network that answers each request with the mean probability over fresh draws.

    Every key comes from the operating system's entropy, for one draw, and is then discarded: it is never logged, saved,
    shown or derived from another key, a fork repeats none, and one key reveals no other. The network runs in eval mode
    without gradients; its tensors are shared, so newly loaded weights are served at once.

    Threads run in parallel, each with its own modules over the same tensors, if the network draws from nothing but its
    keys. Otherwise requests run one at a time. A process forked after this file was imported computes with one thread:
    those of the OpenMP library end with the fork, and waiting for them would never end.

    Noise on the input (``Shift``, ``Mask``) is fresh at every answer, as certificates require, whatever seed the
    network's own stream has. A frozen or averaged network has fixed noise there, which voids every certificate: that
    raises a ``CertificateWarning``. ``variate.Certified`` answers only where its certificate is large enough.

    Args:
        network: a module from inputs to what the task reads, such as logits: a random network, one with another
            defense, or a deterministic one.
        draws: S, number of draws averaged for every request; they use the modes of a network with modes evenly.
        task: what the answers mean, such as ``positions`` or ``regression(tolerance=0.5)``.
        together: how the draws answer together: the ``mean`` of their probabilities or numbers, or the ``majority``: a
            vote, or the median of numbers. A tie goes against class 0, and for a label.
        detector: rejects queries that are too similar to earlier ones of the same client: ``Similar``, or text such as
            ``similar(queries=500)``; None: every query is answered. An adaptive attacker evades it: report it with the
            attack ``oars`` alone.
        on_similar: called with the error about such queries, which are then answered; None: the error is raised.
    """

    _parallel: bool | None  # whether it draws from nothing but its keys; None: unknown

    def __init__(
        self,
        network: nn.Module,
        draws: int = 1,
        *,
        task: str | Task = "classes",
        together: Together = "mean",
        detector: Similar | str | None = None,
        on_similar: Callable[[SimilarQueryError], object] | None = None,
    ) -> None:
        check_module(network)
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"draws is {draws!r}", expected="a whole number from 1")
        if together not in get_args(Together):
            raise unknown_name("way to answer together", str(together), get_args(Together))
        warn_of_fixed_noise(network, levels=2)
        self.task = task_of(task)
        self.network = self.task.answers(network)
        self.draws = draws
        self.together = together
        self.detector = detector_of(detector)
        self.on_similar = on_similar
        if on_similar is not None and self.detector is None:
            raise UsageError("on_similar is never called without a detector", todo="pass detector='similar'")
        self._prepare()

    def __call__(self, x: Tensor, *, client: Hashable = "") -> Tensor:
        """Inputs of shape (B, ...) to log probabilities of shape (B, K); for other tasks, to their outputs (B, M).

        Of a majority it is the votes for each class, or the median.

        Args:
            x: the inputs of one request.
            client: who asks, for the detector of similar queries; by default all share one memory.

        Raises:
            InputError: for inputs that are not finite numbers with a row for each example, or that the network refuses,
                and for a network that does not return a row of logits for each.
            SimilarQueryError: if the detector rejects one of the inputs; then none is answered.
        """
        return self._combined(self._requested(x, client), x)

    def answer(self, x: Tensor, *, client: Hashable = "") -> Answer:
        """The answers to inputs of shape (B, ...), with their confidence. Raises as a call."""
        drawn = self._requested(x, client)
        y = self._placeholder(x)
        outputs = self._combined(drawn, x)
        values, confidence = self.task.decided(outputs, y), self.task.confidence(outputs, y)
        if confidence is not None and self.together == "majority":
            confidence = torch.stack([self.task.decided(draw, y) == values for draw in drawn]).to(drawn).mean(0)
        return Answer(values, confidence)

    def labels(self, x: Tensor, *, client: Hashable = "") -> Tensor:
        """The values of ``answer``: for classes the most probable ones, shape (B,)."""
        return self.answer(x, client=client).values

    def uncertainty(self, x: Tensor, *, client: Hashable = "") -> Uncertainty:
        """Mean probabilities with predictive entropy, mutual information and expected pairwise KL of the draws.

        One draw has no mutual information: pass ``draws`` of 2 or more. Raises as a call, and ``UsageError`` for a task
        other than classes.
        """
        if not isinstance(self.task, Classes):
            raise UsageError(
                f"the answers are of the task {task_name(self.task)}, and uncertainty is measured of classes",
                todo="answer(x) has the confidence of other tasks",
            )
        return Uncertainty.of(self._requested(x, client))

    def _combined(self, drawn: Tensor, x: Tensor) -> Tensor:
        """The outputs of all draws together: (S, B, M) to (B, M)."""
        y = self._placeholder(x)
        return self.task.mean(drawn, y) if self.together == "mean" else self.task.majority(drawn, y)

    def _requested(self, x: Tensor, client: Hashable) -> Tensor:
        """The outputs of fresh draws, shape (S, B, M), if the detector lets the inputs pass."""
        _check_request(x)
        drawn = self._drawn(x)
        if self.detector is not None and len(x):  # last: a request that failed may be sent again
            self._detect(self.detector, x, client)
        return drawn

    def _detect(self, detector: Similar, x: Tensor, client: Hashable) -> None:
        """Raise ``SimilarQueryError``, or report it, for inputs that are too similar to earlier ones of the client."""
        try:
            hash(client)
        except TypeError as error:
            raise UsageError(f"the client is a {type(client).__name__}", expected="text or a number") from error
        if self.on_similar is None:
            detector.answered(x, client)
        elif (found := detector.flagged(x, client)) is not None:
            self.on_similar(found)

    def _drawn(self, x: Tensor) -> Tensor:
        """The outputs of fresh draws, shape (S, B, M)."""
        if self._process != os.getpid():
            self._prepare()
        try:
            if self._runs_in_parallel(x):
                return self._answer(x)
            with self._lock:
                return self._answer(x)
        except (VariateError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # of any kind: the network's own code
            raise InputError(
                f"the network cannot answer inputs of shape {tuple(x.shape)}, {x.dtype}: {error}",
                findings=lines_of(error),
                expected="inputs as in its training, with a row for each example",
            ) from error

    def _answer(self, x: Tensor) -> Tensor:
        """The outputs of fresh draws, in this thread."""
        replica = self._replica()
        keys = stratified(replica, fresh_keys(self.draws))
        if self._parallel:
            x = x.to(input_type(replica, x))
            with torch.no_grad():
                logits = torch.stack([checked_logits(output, x) for output in draws(replica, x, keys)])  # (S, B, K)
        else:
            logits = outputs_under(replica, x, keys)
        if isinstance(self.task, Classes):
            check_several(logits.shape[-1])
        return logits

    def _placeholder(self, x: Tensor) -> Tensor:
        """Zeros in the shape of labels, for a task that needs their shape to read its outputs."""
        if not self.task.reads:
            return x.new_zeros(len(x), dtype=torch.long)
        if x.shape[1:] not in self._shapes:
            replica = self._replica()
            with self._lock, left_as_found(replica), under(replica, fresh_keys(1)[0]), torch.no_grad():
                one = x[:1].to(input_type(replica, x))
                answer = answer_in(self.task, network_of(replica)(one), tuple(one.shape))
            self._shapes[x.shape[1:]] = self.task.label_shape(answer, tuple(one.shape))
        return x.new_zeros((len(x), *self._shapes[x.shape[1:]]), dtype=torch.long)

    def _runs_in_parallel(self, x: Tensor) -> bool:
        """Whether requests can run in parallel, determined at the first one."""
        with self._lock:
            if self._parallel is None and draws_elsewhere(self._replica(), x):
                raise UsageError(
                    f"{type(network_of(self.network)).__name__} draws random numbers outside torch, which no entropy "
                    "reaches: a fork or a restart would repeat them",
                    todo="draw them with torch.randn or torch.rand",
                )
            if self._parallel is None:
                self._parallel = isinstance(network_of(self.network), RandomNetwork) and not self._uses_generator(x)
            return self._parallel

    def _uses_generator(self, x: Tensor) -> bool:
        """Whether the network draws from torch's generator, which all threads share."""
        before = torch.get_rng_state()
        with torch.no_grad(), torch.random.fork_rng():
            replica = self._replica()
            draws(replica, x.to(input_type(replica, x)), fresh_keys(1))
            return not torch.equal(before, torch.get_rng_state())

    def _replica(self) -> Any:
        """This thread's modules over the tensors of the network."""
        replica = getattr(self._local, "replica", None)
        if replica is None:
            tensors = list(chain(self.network.parameters(), self.network.buffers()))
            replica = self._local.replica = copied(self.network, tensors).eval()
        return replica

    def _prepare(self) -> None:
        """Set up the state of one process."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._parallel = None  # determined at the first request
        self._shapes: dict[torch.Size, tuple[int, ...]] = {}  # of labels, by that of an input

    def __getstate__(self) -> dict[str, Any]:
        kept = ("network", "draws", "task", "together", "detector", "on_similar")
        return {name: vars(self)[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def __repr__(self) -> str:
        detector = "" if self.detector is None else f", detector={str(self.detector)!r}"
        return f"Served({type(network_of(self.network)).__name__}, draws={self.draws}{detector})"


def _check_request(x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise InputError(f"the request is a {type(x).__name__}", expected="a tensor (torch.as_tensor makes one)")
    if x.dim() < 1:
        raise InputError("the request is a single number", expected="a tensor with a row for each example")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise InputError("the request has NaN or infinite values", expected="finite numbers")


def _in_a_child() -> None:
    """After a fork: torch would wait forever for the parent's OpenMP threads, which do not live on."""
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_a_child)
