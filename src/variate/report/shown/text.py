"""Original and adversarial texts, marking replaced words or those whose embeddings moved most, and wrong tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from variate.records.schema import TASK, Picture
from variate.report.attacked import Display

UNCOUNTED = 255  # the tag of a word that does not count, as ``positions`` shows it
FAR = 0.5  # embeddings that moved by at least this share of the largest move are marked


@dataclass(frozen=True)
class Word:
    """One word of a text.

    Attributes:
        original: the original word.
        adversarial: the word after the attack; unchanged if only its embedding moved.
        moved: distance that its embedding moved.
        marked: whether it was replaced, or its embedding moved far.
        tag: its class, where the task has one for every word and this one counts.
        answer: the class that most draws answer.
    """

    original: str
    adversarial: str
    moved: float
    marked: bool
    tag: int | None = None
    answer: int | None = None

    @property
    def mistagged(self) -> bool:
        """Whether most draws answer another class than its own."""
        return self.tag != self.answer


@dataclass(frozen=True)
class AttackedText:
    """One text, word by word."""

    words: list[Word]

    @property
    def changed(self) -> int:
        """Number of replaced words."""
        return sum(word.original != word.adversarial for word in self.words)

    @property
    def tagged(self) -> int:
        """Number of words with a tag."""
        return sum(word.tag is not None for word in self.words)

    @property
    def mistagged(self) -> int:
        """Number of words with a wrong tag."""
        return sum(word.mistagged for word in self.words)


def attacked_text(picture: Picture) -> AttackedText:
    """Display of one example: its words before and after, how far each embedding moved, and its tags if it has some."""
    details = picture.details
    least = FAR * max(details["moved"], default=0.0)
    words = zip(details["original"], details["adversarial"], details["moved"], _tags(details), strict=True)
    return AttackedText(
        [Word(old, new, moved, old != new or moved > max(least, 1e-6), *tags) for old, new, moved, tags in words]
    )


def _tags(details: dict[str, Any]) -> list[tuple[int | None, int | None]]:
    """The class of every word and the one that most draws answer; None for words without one."""
    words, shown = len(details["original"]), details.get(TASK, {})
    if len(shown.get("shape", ())) != 1:
        return [(None, None)] * words
    label, answer = (bytes.fromhex(shown[name]) for name in ("label", "answer"))
    pairs = [(label[place], answer[place]) for place in details.get("places", range(words))]
    return [(None, None) if tag == UNCOUNTED else (tag, said) for tag, said in pairs]


DISPLAY = Display(
    title="Originals and adversarial texts",
    text=(
        "A replaced word is struck out before its replacement. A word that is only marked was kept, but its embedding "
        "moved."
    ),
    most=4,
    show=attacked_text,
)
