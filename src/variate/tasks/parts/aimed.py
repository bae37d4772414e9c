"""A task as an attacker sees it who wants particular answers rather than any wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from variate.errors import unknown_name
from variate.tasks.classes import Classes
from variate.tasks.task import Task, name_of


def aimed_at(task: Task, y: Tensor, goal: Tensor | None) -> tuple[Task, Tensor]:
    """The task and the labels of an attack, aimed at a goal, (B, ...); of classes, attacks take targets themselves."""
    return (task, y) if goal is None or isinstance(task, Classes) else (Aimed(task=task), goal)


@dataclass(frozen=True)
class Aimed(Task):
    """The same answers, whose labels are what an attacker aims at; a score is how far they miss it.

    So a targeted attack is one that makes these labels *stand*: its margin is above 0 where they do, and the score 0.

    Attributes:
        task: the task.
    """

    task: Task = field(kw_only=True)

    @property
    def bits(self) -> bool:
        """Whether a goal is reached or missed, and nothing between."""
        return self.task.bits

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """As the task does."""
        return self.task.read(answer, shape)

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Goals have the form of labels."""
        return self.task.label_findings(y, examples)

    def check(self, width: int, y: Tensor) -> None:
        """As the task does."""
        self.task.check(width, y)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The negative loss: it falls as the goal comes nearer."""
        return -self.task.loss(outputs, y)

    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """How near the goal is, above 0 where it is reached."""
        return self.task.approach(outputs, y, self.check_climb(climb))

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """What the goal is missed by: 0 where it is reached."""
        return 1 - self.task.score(outputs, y)

    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """As the task does."""
        return self.task.mean(outputs, y)

    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """As the task does; a tie with the goal misses it."""
        return self.task.majority(outputs, y)

    def check_climb(self, climb: str | None) -> str:
        """The way to approach a goal, by default the first of ``approaches``. Raises ``UsageError``."""
        if climb is not None and climb not in self.task.approaches:
            raise unknown_name(f"way to approach a target of {name_of(self.task)}", climb, self.task.approaches)
        return climb or self.task.approaches[0]
