"""A sequence of symbols, such as the words of a recording, by connectionist temporal classification (CTC)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, get_args

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torch.nn import functional as F

from variate.errors import InputError, UsageError, unknown_name
from variate.inputs.validation import whole_findings
from variate.oracle.losses import bounded
from variate.random.average import mean_log_probabilities
from variate.registry import task
from variate.tasks.parts.alignment import alignment, frames_needed
from variate.tasks.parts.margins import below, near
from variate.tasks.task import Task

NONE = -1  # what fills the labels of an example after its last symbol
Blank = Literal["last", "first"]


@task(
    cite="CTC: Graves et al. 2006, doi:10.1145/1143844.1143891; attacks: Carlini & Wagner 2018, arXiv:1801.01944",
    labels="symbols from 0, filled up with -1 at the end, shape (B, L)",
    answers="logits of every frame, the blank last, shape (B, T, symbols + 1)",
)
@dataclass(frozen=True)
class Transcript(Task):
    """Symbols spelled by frames; the score is 1 minus the share of symbols to edit, or whether none is.

    The strongest class of every frame answers; repeats are merged, then blanks are dropped. The share is the character
    error rate: the Levenshtein distance to the labels divided by their number; above 1 it counts as 1.

    Attributes:
        symbols: number of symbols; a network has one output more, for the blank.
        blank: whether the blank is the ``last`` output or the ``first``; symbols are counted from 0 without it.
        exact: count an answer as right only if every symbol is.
    """

    climbs = ("ctc", "alignment")
    approaches = climbs
    targets = "next (each symbol the next one), or symbols separated by spaces, such as '3 1 4'"

    symbols: int = 0
    blank: Blank = "last"
    exact: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not isinstance(self.symbols, int) or isinstance(self.symbols, bool) or self.symbols < 1:
            raise UsageError(
                "the task transcript needs the number of symbols",
                expected="a whole number from 1, without the blank: transcript(symbols=10)",
            )
        if self.blank not in get_args(Blank):
            raise unknown_name("place of the blank", str(self.blank), get_args(Blank))
        if not isinstance(self.exact, bool):
            raise UsageError(f"exact is {self.exact!r}", expected="true or false")

    @property
    def bits(self) -> bool:
        """Whether all symbols must be right."""
        return self.exact

    def read(self, answer: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Logits of all frames in one row, (B, T * K)."""
        width = self.symbols + 1
        if answer.dim() != 3 or answer.shape[2] != width:
            turned = answer.dim() == 3 and answer.shape[1] == width
            raise InputError(
                f"the network returned shape {tuple(answer.shape)}",
                expected=f"logits of every frame, shape (B, T, {width}): {self.symbols} symbols and a blank",
                todo="put the classes last: logits.transpose(1, 2)" if turned else "correct symbols=, or the network",
            )
        return answer.flatten(1)

    def label_findings(self, y: Tensor, examples: int) -> Iterator[str]:
        """Labels are symbols, at least one, with -1 after the last alone."""
        expected = f"({examples}, symbols of the longest)"
        yield from whole_findings(y, expected)
        if y.dim() != 2 or len(y) != examples:
            yield f"y has shape {tuple(y.shape)}: {expected} is needed, shorter ones filled up with {NONE}"
            return
        low, high = (int(y.long().min()), int(y.long().max())) if y.numel() else (0, 0)
        if not NONE <= low <= high < self.symbols:
            yield (
                f"y ranges from {low} to {high}: symbols are 0 to {self.symbols - 1}, "
                f"and {NONE} fills the rest of a shorter one"
            )
        counted = y != NONE
        empty = (~counted.any(1)).nonzero()[:, 0].tolist()
        if empty:
            yield f"{len(empty)} examples have no symbol; the first is number {empty[0]}"
        holes = (counted[:, 1:] & ~counted[:, :-1]).any(1).nonzero()[:, 0].tolist()
        if holes:
            yield f"{len(holes)} examples have symbols after {NONE}; the first is number {holes[0]}"

    def check(self, width: int, y: Tensor) -> None:
        """Frames of all classes, enough of them to spell every transcript."""
        classes = self.symbols + 1
        if width % classes:
            raise InputError(f"the network returns {width} numbers, which are not frames of {classes} classes")
        frames, needed = width // classes, frames_needed(y, _lengths(y))
        short = (needed > frames).nonzero()[:, 0].tolist()
        if short:
            raise InputError(
                f"{len(short)} transcripts need more frames than the {frames} of the network; the first is number "
                f"{short[0]} and needs {int(needed[short[0]])}",
                expected="a frame for every symbol, and one between two equal symbols",
                todo="a network that shortens its inputs less, or shorter transcripts",
            )

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The negative log-likelihood of the transcript over all alignments, in nats per symbol."""
        logs, (classes, lengths) = self._frames(outputs).log_softmax(-1).transpose(0, 1), self._classes(y)
        frames = torch.full_like(lengths, len(logs))
        return F.ctc_loss(logs, classes, frames, lengths, blank=self._blank, reduction="none") / lengths

    def margin(self, outputs: Tensor, y: Tensor, climb: str | None = None) -> Tensor:
        """How close a transcript is to having every symbol wrong, or with ``exact`` any; above 0 where it has.

        ``ctc``: the loss, brought to -1 to 0, or 0 to 1 once all is lost. ``alignment``: the gap from the class of a
        frame in the most likely alignment of the labels to the strongest other class; the largest with ``exact``, which
        is above 0 where the answer is another; else a mean that counts gaps only until they are above 0.
        """
        name, lost = self.check_climb(climb), self.score(outputs, y) == 0
        if name == "ctc":
            rise = below(self.loss(outputs, y).clamp(min=0))
            return torch.where(lost, _positive(1 + rise), rise)
        gaps = self._gaps(outputs, y)  # (B, T)
        if self.exact:
            return torch.where(lost, _positive(gaps.amax(1)), gaps.amax(1).clamp(max=0))
        return torch.where(lost, _positive(gaps.clamp(min=0).mean(1)), F.logsigmoid(gaps).mean(1))

    def approach(self, outputs: Tensor, goal: Tensor, climb: str | None = None) -> Tensor:
        """How near an answer is to spelling the goal, above 0 where it does: by the loss, or by the frames' gaps."""
        reached = replace(self, exact=True).score(outputs, goal) == 1
        if self.check_climb(climb) == "ctc":
            rise = near(self.loss(outputs, goal).clamp(min=0))
            return torch.where(reached, _positive(1 + rise), rise)
        lead = -self._gaps(outputs, goal)  # (B, T)
        return torch.where(reached, _positive(lead.amin(1)), F.logsigmoid(lead).mean(1))

    def check_target(self, word: str) -> None:
        """The next symbols, or symbols."""
        if word != "next" and not all(part.isdecimal() and int(part) < self.symbols for part in word.split() or [""]):
            raise self._no_target(word)

    def goal(self, word: str, y: Tensor, width: int) -> Tensor:
        """The symbols to spell, (B, L)."""
        self.check_target(word)
        if word == "next":
            return ((y + 1) % self.symbols).where(y != NONE, NONE)
        return torch.tensor([int(part) for part in word.split()], device=y.device).expand(len(y), -1)

    def score(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 minus the character error rate, at least 0; with ``exact``, whether nothing has to be edited."""
        labels = [[symbol for symbol in row if symbol != NONE] for row in y.tolist()]
        answers = self.decoded(outputs.reshape(-1, outputs.shape[-1]))
        edits = [Levenshtein.distance(answer, labels[row % len(y)]) for row, answer in enumerate(answers)]
        distances = torch.tensor(edits, dtype=torch.float64, device=outputs.device).view(outputs.shape[:-1])
        return ((distances == 0) if self.exact else (1 - distances / _lengths(y)).clamp(min=0)).to(outputs)

    def decoded(self, outputs: Tensor) -> list[list[int]]:
        """The symbols of every answer, (B, M): the strongest class of every frame, without repeats and blanks."""
        path = self._frames(outputs).argmax(-1)  # (B, T)
        spelled = path != self._blank
        spelled[:, 1:] &= path[:, 1:] != path[:, :-1]
        symbols = iter((path[spelled] - int(self.blank == "first")).tolist())
        return [list(islice(symbols, count)) for count in spelled.sum(1).tolist()]

    def shown(self, outputs: Tensor, y: Tensor) -> dict[str, Any]:
        """The symbols, and those of the mean probabilities of all draws."""
        answer = self.decoded(self.mean(outputs[:, None], y[None]))[0]
        return {"label": [symbol for symbol in y.tolist() if symbol != NONE], "answer": answer}

    def label_shape(self, answer: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A symbol for every frame at most."""
        return (answer.shape[1],)

    def decided(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The symbols, filled up with -1 to the longest answer: (B, L)."""
        rows = self.decoded(outputs)
        longest = max(map(len, rows))
        filled = [row + [NONE] * (longest - len(row)) for row in rows]
        return torch.tensor(filled, dtype=torch.long, device=outputs.device).view(len(rows), longest)

    def mean(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The log of the mean probability in every frame."""
        frames = self._frames(outputs.flatten(0, 1))  # (S B, T, K)
        logits = frames.reshape(len(outputs), -1, self.symbols + 1)  # (S, B T, K)
        return mean_log_probabilities(logits).view(outputs.shape[1:])

    def majority(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Votes in every frame; of a tie the other symbols win, then the blank, the symbols of the labels last."""
        width = self.symbols + 1
        answers = outputs.view(*outputs.shape[:2], -1, width).argmax(-1)  # (S, B, T)
        counts = F.one_hot(answers, width).sum(0).to(outputs)  # (B, T, K)
        classes, lengths = self._classes(y)
        later = torch.arange(classes.shape[1], device=y.device) >= lengths[:, None]
        own = F.one_hot(classes.masked_fill(later, self._blank), width).amax(1).to(outputs)  # (B, K)
        own[:, self._blank] = 0.5
        return (counts - own[:, None] / 2).flatten(1)

    def count(self, y: Tensor) -> int:
        """The number of symbols."""
        return self.symbols

    def width(self, classes: int) -> int:
        """One output for every symbol, and one for the blank."""
        return classes + 1

    @property
    def _blank(self) -> int:
        return 0 if self.blank == "first" else self.symbols

    def _frames(self, outputs: Tensor) -> Tensor:
        """Logits of every frame, finite: (B, M) to (B, T, K)."""
        return bounded(outputs.reshape(len(outputs), -1, self.symbols + 1))

    def _classes(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Classes of the network, (B, L), 0 or more beyond the lengths, and the lengths, (B,)."""
        return y.long().clamp(min=0) + (self.blank == "first"), _lengths(y)

    def _gaps(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The strongest other logit minus that of the most likely alignment, in every frame: (B, T)."""
        frames = self._frames(outputs)
        at = alignment(frames.log_softmax(-1), *self._classes(y), self._blank)[..., None]  # (B, T, 1)
        return frames.scatter(2, at, -torch.inf).amax(2) - frames.gather(2, at)[..., 0]


def _lengths(y: Tensor) -> Tensor:
    """The number of symbols of every transcript: (B,)."""
    return (y != NONE).sum(1)


def _positive(value: Tensor) -> Tensor:
    """The same above 0, however close: ties and rounding do not turn a lost answer into one that stands."""
    return value.clamp(min=torch.finfo(value.dtype).tiny)
