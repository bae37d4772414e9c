"""A task: what the answers of a network mean, and everything that follows from that.

Inside Variate every answer is one row of numbers per example, the *outputs* (B, M): ``Answers`` reads them from what a
network returns. What a row means, only the task knows: logits of K classes, one logit per label, K logits at every
position (K, H, W) in one row, or numbers in the units of the labels.

A task gives an answer a *score* in [0, 1]; for some tasks it is a bit, right or wrong. An attack climbs a *margin*,
which is above 0 exactly where an answer is lost (a score of 0; where a score cannot be, the margin stays below).
``variate.oracle.view`` shows an attack two logits, ``[0, margin]``, so that attacks on classes work on every task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from variate import options, registry
from variate.errors import InputError, UsageError, unknown_name
from variate.oracle.view import View
from variate.tasks.parts.output import Key, part_of


@dataclass(frozen=True)
class Task(ABC):
    """One kind of answers. A task is a frozen dataclass whose fields are its options.

    Attributes:
        key: the part of a network's output that is the answer: a key of a dictionary, an attribute, or the index in a
            tuple; by default the output itself, or what it holds as ``logits`` or ``out``.
    """

    __variate__: ClassVar[dict[str, Any]]  # the facts given to its decorator
    climbs: ClassVar[tuple[str, ...]]  # names of the margins that an attack can climb, the usual one first
    approaches: ClassVar[tuple[str, ...]] = ()  # those of them on the way to a goal
    targets: ClassVar[str] = ""  # how a user writes a goal; empty where there are none

    key: Key = None

    def __post_init__(self) -> None:
        """Check the options. Raises ``UsageError``."""
        if not isinstance(self.key, str | int | None):
            raise UsageError(f"the key of an answer is {self.key!r}", expected="a name or an index")

    @property
    def bits(self) -> bool:
        """Whether every score is 0 or 1."""
        return True

    @property
    def parted(self) -> bool:
        """Whether the score is the mean over parts of the answer, each of which is right or wrong: see ``parts``."""
        return False

    @abstractmethod
    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The outputs in what a network answered to inputs of a shape: (B, ...) to (B, M). Raises ``InputError``."""

    @abstractmethod
    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """What is wrong with the labels ``y`` of so many examples."""

    @abstractmethod
    def check(self, width: int, y: Tensor) -> None:
        """Check that ``width`` outputs per example, M, fit the labels (N, ...). Raises ``InputError``."""

    @abstractmethod
    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss to train on: (B, M) and (B, ...) to (B,)."""

    def mean_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean of the loss over a batch: (B, M) and (B, ...) to a scalar."""
        return self.loss(outputs, y).mean()

    @abstractmethod
    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """How close an answer is to being lost, above 0 where it is: (B, M) and (B, ...) to (B,).

        Args:
            outputs: the answers.
            y: the labels.
            climb: one of ``climbs``; by default the first.
        """

    def approach(self, outputs: Tensor, goal: Tensor, climb: str | None = None) -> Tensor:
        """How near an answer is to what a targeted attack aims at, above 0 where it is that: (B, M), (B, ...) to (B,).

        Args:
            outputs: the answers.
            goal: what it aims at, in the form of labels.
            climb: one of ``approaches``; by default the first.
        """
        raise self._no_target()

    def goal(self, word: str, y: Tensor, width: int) -> Tensor:
        """What a targeted attack aims at, in the form of labels: (B, ...). Raises ``UsageError``.

        Args:
            word: the target as a user writes it.
            y: the labels, shape (B, ...).
            width: number of outputs per example, M.
        """
        raise self._no_target()

    def check_target(self, word: str) -> None:
        """Check a target as a user writes it. Raises ``UsageError``."""
        raise self._no_target()

    def _no_target(self, word: str | None = None) -> UsageError:
        if not self.targets:
            return UsageError(f"the task {name_of(self)} has no targets", todo="leave the target out")
        return UsageError(f"{word!r} is no target of the task {name_of(self)}", expected=self.targets)

    def seen(self, y: Tensor, climb: str | None = None) -> tuple[View | None, Tensor]:
        """What an attack sees of answers to examples with these labels, and its labels, (B,).

        The view is None where an attack sees the outputs and the labels themselves.

        Args:
            y: labels, shape (B, ...).
            climb: the margin to climb; by default the first of ``climbs``.
        """
        view = View(partial(self.margin, climb=climb), y)
        return view, torch.zeros(len(y), dtype=torch.long, device=y.device)  # as the view numbers them

    @abstractmethod
    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The score of every answer: (..., B, M) and (B, ...) to (..., B), in [0, 1]."""

    @abstractmethod
    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The answer of S draws together, by the mean of their probabilities or numbers: (S, B, M) to (B, M).

        Of ``y`` only the shape counts.
        """

    @abstractmethod
    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The answer of S draws together, by vote or median: (S, B, M) to (B, M). A tie with ``y`` is wrong."""

    def parts(self, outputs: Tensor, y: Tensor) -> Tensor:
        """What answers say of each of their parts, as whole numbers: (n, B, M) and (B, ...) to (n, B, P).

        Where the task is ``parted``, the score is the share of parts that say what ``part_labels`` does; and where more
        than half of several draws do, so does their ``majority``.
        """
        return self.decided(outputs.flatten(0, 1), y.repeat(len(outputs), *(1,) * (y.dim() - 1))).view(
            *outputs.shape[:2], -1
        )

    def part_labels(self, y: Tensor) -> Tensor:
        """What is right, as whole numbers, -1 for a part that does not count: (B, ...) to (B, P)."""
        return y.reshape(len(y), -1).long()

    def label_shape(self, answer: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the labels of one example, from what a network answered to inputs of a shape."""
        return ()

    def decided(self, outputs: Tensor, y: Tensor) -> Tensor:
        """What outputs say, in the form of labels: (B, M) to (B, ...). Of ``y`` only the shape counts."""
        return outputs

    def confidence(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """The probability of every value of ``decided``, in its shape; None where a task has none.

        Of ``y`` only the shape counts.
        """
        return None

    def shown(self, outputs: Tensor, y: Tensor) -> dict[str, Any]:
        """What a report shows of one example: its ``label`` and the ``answer`` of most draws, as JSON values.

        Args:
            outputs: outputs under every draw, shape (n, M).
            y: its labels, shape (...).
        """
        return {}

    def count(self, y: Tensor) -> int:
        """The number of classes, labels or numbers that labels (N, ...) show, which ``width`` takes."""
        return int(y.max()) + 1

    def typed(self, y: Tensor) -> Tensor:
        """Labels in the type that losses take."""
        return y.long()

    @property
    def reads(self) -> bool:
        """Whether outputs are read from what a network returns, which are rows of logits otherwise."""
        return True

    def answers(self, network: nn.Module) -> nn.Module:
        """A network with one row of outputs per example: itself, or in ``Answers``."""
        return Answers(network, self) if self.reads and not isinstance(network, Answers) else network

    def width(self, classes: int) -> int:
        """The number of outputs a network needs per position, for data with so many classes, labels or numbers."""
        return classes

    def check_climb(self, climb: str | None) -> str:
        """The margin to climb, by default the first of ``climbs``. Raises ``UsageError``."""
        if climb is not None and climb not in self.climbs:
            raise unknown_name(f"margin of {name_of(self)}", climb, self.climbs)
        return climb or self.climbs[0]

    def check_labels(self, y: object, examples: int) -> None:
        """Check labels. Raises ``InputError`` with every finding."""
        found = [f"y is {type(y).__name__}"] if not isinstance(y, Tensor) else list(self.label_findings(y, examples))
        if found:
            of_task = "" if name_of(self) == "classes" else f" as {name_of(self)}"
            raise InputError(f"these labels cannot be judged{of_task}", findings=found)


class Answers(nn.Module):
    """A network as everything in Variate sees it: one row of numbers per example.

    Args:
        network: any module.
        task: how its output is read.
    """

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.training = network.training

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to outputs of shape (B, M)."""
        return read_answer(self.task, self.network(x), tuple(x.shape))


def read_answer(task: Task, output: object, inputs: tuple[int, ...]) -> Tensor:
    """The outputs (B, M) in what a network returned for inputs of a shape. Raises ``InputError``."""
    return task.read(answer_in(task, output, inputs), inputs)


def answer_in(task: Task, output: object, inputs: tuple[int, ...]) -> Tensor:
    """The answer (B, ...) in what a network returned for inputs of a shape. Raises ``InputError``."""
    answer, examples = part_of(output, task.key), inputs[0]
    if not isinstance(answer, Tensor) or answer.dim() < 1 or len(answer) != examples:
        shown = f"shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise InputError(
            f"the network returned {shown} for {examples} inputs",
            expected=f"a tensor with one row per example, for the task {name_of(task)}",
            todo=f"say which part of the output it is, as in {name_of(task)}(key=...)",
        )
    return answer


def network_of(network: nn.Module) -> nn.Module:
    """The network inside ``Answers``; any other one itself."""
    return network.network if isinstance(network, Answers) else network


def task_of(task: str | Task) -> Task:
    """The task of a name with options, such as ``regression(tolerance=0.3)``. Raises ``UsageError``."""
    if isinstance(task, Task):
        return task
    name, _ = options.parse(task, "a task")
    kind = registry.get("tasks", name).load()
    chosen = {option: options.whole(value) for option, value in options.parse(task, "a task", kind)[1].items()}
    known = [field.name for field in fields(kind)]
    for option in chosen:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
    built: Task = kind(**chosen)
    return built


def name_of(task: Task) -> str:
    """The registered name of a task."""
    return type(task).__module__.rpartition(".")[2].replace("_", "-")


def written(task: Task) -> str:
    """The inverse of ``task_of``: the name with the options that differ from their defaults."""
    defaults = {field.name: field.default for field in fields(task)}
    chosen = {name: getattr(task, name) for name in defaults if getattr(task, name) != defaults[name]}
    return options.written(name_of(task), chosen)
