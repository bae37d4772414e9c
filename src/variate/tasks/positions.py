"""A class for every position: segmentation in two dimensions, tagging in one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import InputError, UsageError, unknown_name
from variate.inputs.validation import whole_findings
from variate.oracle.losses import bounded
from variate.random.average import mean_log_probabilities
from variate.registry import task
from variate.tasks.classes import votes
from variate.tasks.parts.margins import below, near, smoothed, until_all
from variate.tasks.task import Task

IGNORED = -1  # the label of positions that do not count
LAST, UNSEEN = 254, 255  # the last class that a report tells apart, and what it shows where none counts
BALANCE = 0.3  # weight of the positions that are wrong already
Score = Literal["iou", "accuracy"]
Order = Literal["first", "last"]


@task(
    cite="losses: Gu et al. 2022 (SegPGD), arXiv:2207.12391; Agnihotri et al. 2023 (CosPGD), arXiv:2302.02213; "
    "Croce et al. 2024 (SEA), arXiv:2306.12941",
    labels="a class for every position, -1 where none counts, shape (B, H, W) or (B, T)",
    answers="logits, shape (B, K, H, W), or (B, T, K) with classes=last",
)
@dataclass(frozen=True)
class Positions(Task):
    """A class for every position of the input; the score is the mean intersection over union, or the share right.

    Attributes:
        score_by: ``iou``, the intersection over union averaged over the classes in the labels or the answer of an
            example, or ``accuracy``, the share of positions that are right.
        classes: whether the classes are the ``first`` dimension of an answer after the batch, or the ``last``.
    """

    climbs = ("smoothed", "masked", "cross-entropy", "balanced", "divergence", "cosine")
    approaches = ("smoothed", "masked", "cross-entropy")
    targets = "next (the next class at every position) or a class (at all of them)"

    score_by: Score = "iou"
    classes: Order = "first"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for name, value, choices in (("score", self.score_by, Score), ("place of the classes", self.classes, Order)):
            if value not in get_args(choices):
                raise unknown_name(name, str(value), get_args(choices))

    @property
    def bits(self) -> bool:
        """An answer may be right in part."""
        return False

    def label_shape(self, answer: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A class for every position."""
        return tuple(self._logits(answer, shape).shape[2:])

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Logits of all positions in one row, (B, K * P); maps of another size than the image are brought to its."""
        return self._logits(answer, shape).flatten(1)

    def _logits(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Logits of all positions, (B, K, ...)."""
        if answer.dim() < 3:
            raise InputError(
                f"the network returned shape {tuple(answer.shape)}",
                expected="logits of every position, shape (B, K, H, W) or (B, K, T)",
                todo="if the classes come last, as in taggers: positions(classes=last)",
            )
        logits = answer.movedim(-1, 1) if self.classes == "last" else answer
        if logits.dim() == 4 and len(shape) == 4 and logits.shape[2:] != shape[2:]:
            logits = F.interpolate(logits, size=shape[2:], mode="bilinear", align_corners=False)
        return logits

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Labels are whole numbers from 0 or -1, for every position."""
        expected = f"({examples}, positions...)"
        yield from whole_findings(y, expected)
        if y.dim() < 2 or len(y) != examples:
            yield f"y has shape {tuple(y.shape)}: {expected} is needed, a class for every position"
        elif int(y.min()) < IGNORED:
            yield f"y has the label {int(y.min())}: classes start at 0, and {IGNORED} marks positions that do not count"
        else:
            empty = (y == IGNORED).flatten(1).all(1).nonzero()[:, 0].tolist()
            if empty:
                yield f"no position counts in {len(empty)} examples; the first is number {empty[0]}"

    def check(self, width: int, y: Tensor) -> None:
        """Logits for every position, and every label among the classes."""
        count = y[0].numel()
        if width % count or width < 2 * count:
            raise InputError(
                f"the network returns {width} numbers for {count} positions, y has shape {tuple(y.shape)}",
                expected="at least two logits for every position",
            )
        classes = width // count
        if int(y.max()) >= classes:
            raise InputError(
                f"y has the label {int(y.max())}, but the network has {classes} classes",
                expected=f"labels from 0 to {classes - 1}, {IGNORED} where none counts",
            )

    def count(self, y: Tensor) -> int:
        """At least two classes."""
        return max(int(y.max()) + 1, 2)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The cross-entropy, averaged over the positions that count."""
        return _mean(F.cross_entropy(*_maps(outputs, y), ignore_index=IGNORED, reduction="none"), y)

    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """How far the positions are from being wrong; above 0 where all are.

        ``smoothed``: the share of wrong positions, with a sigmoid for a step. ``masked``: the mean gap to the strongest
        other class over the positions that are still right. The others rise with a mean over the positions:
        ``cross-entropy``; ``balanced``, that of wrong positions counting .3 and that of right ones .7 (SegPGD halfway);
        ``divergence``, of Jensen and Shannon, between probabilities and label (SEA); ``cosine``, the cross-entropy
        weighted by the likeness of probabilities and label (CosPGD).
        """
        name = self.check_climb(climb)
        maps, labels = _maps(outputs, y)  # (B, K, P), (B, P)
        counted, gaps = labels != IGNORED, _gaps(maps, labels)  # (B, P)
        masked = until_all(gaps, counted)
        if name == "smoothed":
            return smoothed(gaps, counted)
        if name == "masked":
            return masked
        values = F.cross_entropy(maps, labels, ignore_index=IGNORED, reduction="none")
        if name == "balanced":
            values = values * torch.where(gaps > 0, BALANCE, 1 - BALANCE)
        elif name == "divergence":
            values = _divergence(maps, labels)
        elif name == "cosine":
            values = values * _likeness(maps.detach(), labels)
        return torch.where(masked > 0, masked, below(_mean(values, labels)))

    def approach(self, outputs: Tensor, goal: Tensor, climb: str | None = None) -> Tensor:
        """How near the positions are to the goal: as ``margin``, of positions that are to be right."""
        name = self.check_climb(climb)
        maps, labels = _maps(outputs, goal)
        counted, rightness = labels != IGNORED, -_gaps(maps, labels)  # (B, P)
        if name == "smoothed":
            return smoothed(rightness, counted)
        reached = until_all(rightness, counted)
        if name == "masked":
            return reached
        return torch.where(reached > 0, reached, near(self.loss(outputs, goal)))

    def check_target(self, word: str) -> None:
        """The next class, or a class."""
        if word != "next" and not word.isdecimal():
            raise self._no_target(word)

    def goal(self, word: str, y: Tensor, width: int) -> Tensor:
        """The class to reach at every position that counts, in the shape of the labels."""
        self.check_target(word)
        classes = width // y[0].numel()
        if word != "next" and int(word) >= classes:
            raise UsageError(f"there is no class {word}", expected=f"a class from 0 to {classes - 1}")
        wanted = (y + 1) % classes if word == "next" else torch.full_like(y, int(word))
        return wanted.where(y != IGNORED, IGNORED)

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean intersection over union of an example, or the share of its positions that are right."""
        flat = outputs.reshape(-1, *outputs.shape[-2:])
        return torch.stack([self._score(draw, y) for draw in flat]).view(outputs.shape[:-1])

    def _score(self, outputs: Tensor, y: Tensor) -> Tensor:
        maps, labels = _maps(outputs, y)
        answers, counted = maps.argmax(1), labels != IGNORED
        if self.score_by == "accuracy":
            return ((answers == labels) & counted).sum(1).to(outputs) / counted.sum(1)
        classes = maps.shape[1]
        of_answer = F.one_hot(answers, classes) * counted[..., None]  # (B, P, K)
        of_label = F.one_hot(labels.clamp(min=0), classes) * counted[..., None]
        both, either = (of_answer & of_label).sum(1), (of_answer | of_label).sum(1)  # (B, K)
        present = either > 0
        return (both / either.clamp(min=1)).sum(1).to(outputs) / present.sum(1)

    def shown(self, outputs: Tensor, y: Tensor) -> dict[str, Any]:
        """Bytes in hexadecimal of two maps: the label, 255 where none counts, and the class that most draws answer."""
        maps, labels = _maps(outputs, y[None].expand(len(outputs), *y.shape))
        answer = maps.argmax(1).mode(0).values.clamp(max=LAST)
        label = labels[0].clamp(max=LAST).where(labels[0] != IGNORED, UNSEEN)
        bytes_of = [values.to(torch.uint8).cpu().numpy().tobytes().hex() for values in (label, answer)]
        return {"shape": list(y.shape), "label": bytes_of[0], "answer": bytes_of[1]}

    def decided(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The class of every position, in the shape of the labels."""
        return _maps(outputs, y)[0].argmax(1).view(y.shape)

    def confidence(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The probability of every one of them."""
        return _maps(outputs, y)[0].softmax(1).amax(1).view(y.shape)

    @property
    def parted(self) -> bool:
        """The positions, if the score is the share of them that are right."""
        return self.score_by == "accuracy"

    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The log of the mean probability at every position."""
        maps = torch.stack([_maps(draw, y)[0] for draw in outputs]).movedim(2, -1)  # (S, B, P, K)
        return mean_log_probabilities(maps.flatten(1, 2)).view(maps.shape[1:]).movedim(-1, 1).flatten(1)

    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Votes at every position."""
        maps = torch.stack([_maps(draw, y)[0] for draw in outputs]).movedim(2, -1)  # (S, B, P, K)
        counts = votes(maps.flatten(1, 2), y.flatten().clamp(min=0)).view(maps.shape[1:])
        return counts.movedim(-1, 1).flatten(1)


def _maps(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, K, P) and labels (B, P) of outputs (B, K * P)."""
    labels = y.reshape(len(y), -1)
    return outputs.reshape(len(outputs), -1, labels.shape[1]), labels.long()


def _mean(values: Tensor, y: Tensor) -> Tensor:
    """The mean over the positions that count: (B, P) to (B,)."""
    counted = (y.reshape(len(y), -1) != IGNORED).to(values)
    return (values * counted).sum(1) / counted.sum(1)


def _gaps(maps: Tensor, labels: Tensor) -> Tensor:
    """The strongest other logit minus the label's, above 0 where a position is wrong: (B, K, P), (B, P) to (B, P)."""
    maps, at = bounded(maps.movedim(1, -1)).movedim(-1, 1), labels.clamp(min=0)[:, None]
    return maps.scatter(1, at, -torch.inf).amax(1) - maps.gather(1, at)[:, 0]


def _divergence(maps: Tensor, labels: Tensor) -> Tensor:
    """The divergence of Jensen and Shannon between probabilities and label in nats: (B, K, P) and (B, P) to (B, P).

    With p the probability of the label: log 2 - ((1 + p) log(1 + p) - p log p) / 2.
    """
    log_p = maps.log_softmax(1).gather(1, labels.clamp(min=0)[:, None])[:, 0]  # (B, P)
    p = log_p.exp()
    return math.log(2) - ((1 + p) * p.log1p() - p * log_p) / 2


def _likeness(maps: Tensor, labels: Tensor) -> Tensor:
    """The cosine between probabilities and label: (B, P)."""
    p = maps.softmax(1)
    likeness: Tensor = p.gather(1, labels.clamp(min=0)[:, None])[:, 0] / p.norm(dim=1)
    return likeness
