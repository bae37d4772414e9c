"""Several labels at once: one logit for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import InputError, UsageError
from variate.inputs.validation import whole_findings
from variate.registry import task
from variate.tasks.parts.margins import below, near, smoothed, until_all
from variate.tasks.task import Task


@task(
    cite="attacks on several labels at once: Song et al. 2019, arXiv:1901.00546",
    labels="0 or 1 for each of L labels, shape (B, L)",
    answers="a logit for each label, shape (B, L)",
)
@dataclass(frozen=True)
class Labels(Task):
    """Any of L labels for every input; the score is the share of labels that are right, or all of them.

    Attributes:
        exact: count an answer as right only if every label is.
    """

    climbs = ("smoothed", "margin", "cross-entropy")
    approaches = climbs
    targets = "opposite, 1 (every label) or 0 (none)"

    exact: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not isinstance(self.exact, bool):
            raise UsageError(f"exact is {self.exact!r}", expected="true or false")

    @property
    def bits(self) -> bool:
        """Whether all labels must be right."""
        return self.exact

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Logits, (B, L)."""
        if answer.dim() != 2:
            raise InputError(
                f"the network returned shape {tuple(answer.shape)}", expected="logits of shape (B, labels)"
            )
        return answer

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Labels are rows of 0 and 1."""
        expected = f"({examples}, labels)"
        yield from whole_findings(y, expected)
        if y.dim() != 2 or len(y) != examples:
            yield f"y has shape {tuple(y.shape)}: {expected} is needed"
        elif not bool(((y == 0) | (y == 1)).all()):
            yield "y has values other than 0 and 1"

    def check(self, width: int, y: Tensor) -> None:
        """As many logits as labels."""
        if width != y.shape[1]:
            raise InputError(f"the network has {width} outputs, but y has {y.shape[1]} labels")

    def count(self, y: Tensor) -> int:
        """The number of labels."""
        return y.shape[1]

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean binary cross-entropy."""
        return F.softplus(_wrongness(outputs, y)).mean(1)

    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """How far the labels are from being wrong.

        ``smoothed``: the share of wrong labels, with a sigmoid for a step. ``margin``: the mean over the labels that
        are still right. If all labels must be right, both are the one closest to an error.
        ``cross-entropy``: the mean cross-entropy of all labels; if all must be right, that of a wrong one.
        """
        wrongness = _wrongness(outputs, y)
        if self.check_climb(climb) == "smoothed" and not self.exact:
            return smoothed(wrongness)
        if climb == "cross-entropy" and not self.exact:
            return torch.where((wrongness > 0).all(1), wrongness.amin(1), below(F.softplus(wrongness).mean(1)))
        return wrongness.amax(1) if self.exact else until_all(wrongness)

    def approach(self, outputs: Tensor, goal: Tensor, climb: str | None = None) -> Tensor:
        """How near the labels are to the goal: as ``margin``, of labels that are to be right."""
        rightness = -_wrongness(outputs, goal)
        name = self.check_climb(climb)
        if name == "smoothed":
            return smoothed(rightness)
        reached = until_all(rightness)
        return reached if name == "margin" else torch.where(reached > 0, reached, near(F.softplus(-rightness).mean(1)))

    def check_target(self, word: str) -> None:
        """Opposite labels, all or none."""
        if word not in ("opposite", "0", "1"):
            raise self._no_target(word)

    def goal(self, word: str, y: Tensor, width: int) -> Tensor:
        """The labels to reach, (B, L)."""
        self.check_target(word)
        return 1 - y if word == "opposite" else torch.full_like(y, int(word))

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The share of labels that are right; with ``exact``, whether all are."""
        right = (outputs > 0) == (y > 0)
        return (right.all(-1) if self.exact else right.double().mean(-1)).to(outputs)

    def shown(self, outputs: Tensor, y: Tensor) -> dict[str, Any]:
        """The labels that are on, and those that most draws answer."""
        on = (outputs > 0).double().mean(0) > 0.5
        return {"label": (y > 0).nonzero()[:, 0].tolist(), "answer": on.nonzero()[:, 0].tolist()}

    def label_shape(self, answer: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
        """One number per label."""
        return tuple(answer.shape[1:])

    def decided(self, outputs: Tensor, y: Tensor) -> Tensor:
        """0 or 1 for each label, (B, L)."""
        return (outputs > 0).long()

    def confidence(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The probability of every one of them, (B, L)."""
        return outputs.abs().sigmoid()

    @property
    def parted(self) -> bool:
        """The labels; with ``exact``, one part: whether all are right."""
        return True

    def parts(self, outputs: Tensor, y: Tensor) -> Tensor:
        """0 or 1 for each label; with ``exact``, 1 where all are right."""
        if not self.exact:
            return super().parts(outputs, y)
        return self.score(outputs, y).long()[..., None]

    def part_labels(self, y: Tensor) -> Tensor:
        """0 or 1 for each label; with ``exact``, 1."""
        return y.new_ones(len(y), 1).long() if self.exact else (y > 0).long()

    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The log-odds of the mean probability."""
        yes, no = F.logsigmoid(outputs).logsumexp(0), F.logsigmoid(-outputs).logsumexp(0)
        return yes - no

    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Votes for each label minus votes against it; a tie counts against the truth."""
        return (outputs > 0).to(outputs).mul(2).sub(1).sum(0) + (0.5 - (y > 0).to(outputs))


def _wrongness(outputs: Tensor, y: Tensor) -> Tensor:
    """Each logit with the sign at which it is wrong above 0: (B, L)."""
    return outputs * (1 - 2 * (y > 0).to(outputs))
