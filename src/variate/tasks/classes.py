"""One of K classes: logits, an argmax, and a bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from variate.errors import InputError, unknown_name
from variate.inputs.validation import check_classes, label_findings
from variate.oracle.losses import margin
from variate.oracle.view import View
from variate.random.average import mean_log_probabilities
from variate.registry import task
from variate.tasks.task import Task

TARGETS = ("next", "random", "least-likely")


@task(cite="", labels="whole numbers from 0, shape (B,)", answers="logits, shape (B, K)")
@dataclass(frozen=True)
class Classes(Task):
    """One of K classes for every input; the largest logit answers, and an answer is right or wrong."""

    climbs = ("margin",)
    targets = "next, random, least-likely or a label"

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Logits, (B, K)."""
        if answer.dim() != 2:
            raise InputError(
                f"the network returned shape {tuple(answer.shape)}", expected="logits of shape (B, classes)"
            )
        return answer

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Labels are whole numbers, one per example."""
        return label_findings((examples, 1), y)

    @property
    def reads(self) -> bool:
        """Networks return rows of logits already, unless they are only a part of what one returns."""
        return type(self) is not Classes or self.key is not None

    def check(self, width: int, y: Tensor) -> None:
        """At least two classes, and every label is one of them."""
        check_classes(y, width)

    def count(self, y: Tensor) -> int:
        """At least two classes."""
        return max(int(y.max()) + 1, 2)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The cross-entropy."""
        return F.cross_entropy(outputs, y, reduction="none")

    def mean_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean cross-entropy."""
        return F.cross_entropy(outputs, y)

    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """The largest other logit minus the label's."""
        self.check_climb(climb)
        return margin(outputs, y)

    def check_target(self, word: str) -> None:
        """``next``, ``random``, ``least-likely`` or a label."""
        if word not in TARGETS and not word.isdecimal():
            raise unknown_name("target", word, [*TARGETS, "a label"])

    def seen(self, y: Tensor, climb: str | None = None) -> tuple[View | None, Tensor]:
        """Logits and labels themselves."""
        return None, y

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 where the largest logit is the label's."""
        return (outputs.argmax(-1) == y).to(outputs)

    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The log of the mean probability."""
        return mean_log_probabilities(outputs)

    def decided(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The class of the largest logit, (B,)."""
        return outputs.argmax(-1)

    def confidence(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The probability of that class, (B,)."""
        return outputs.softmax(-1).amax(-1)

    @property
    def parted(self) -> bool:
        """One part, the class."""
        return True

    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The number of draws that answer each class."""
        return votes(outputs, y)


CLASSES = Classes()


def votes(logits: Tensor, y: Tensor) -> Tensor:
    """Votes for each class, half a vote less for the label, so that a tie is wrong: (S, B, K) and (B,) to (B, K)."""
    counts = F.one_hot(logits.argmax(-1), logits.shape[-1]).sum(0).to(logits)  # (B, K)
    return counts - 0.5 * F.one_hot(y, logits.shape[-1]).to(logits)
