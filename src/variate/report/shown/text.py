"""A text beside what an attack made of it: the changed words marked, or those whose vectors were moved most."""

from __future__ import annotations

from dataclasses import dataclass

from variate.records.schema import Picture
from variate.report.attacked import Display

FAR = 0.5  # of the largest move: vectors that were moved as far are marked


@dataclass(frozen=True)
class Word:
    """One word of a text.

    Attributes:
        original: as it was.
        adversarial: as it is now; the same where only its vector was moved.
        moved: how far its vector was moved.
        marked: whether it was replaced, or its vector moved among the farthest.
    """

    original: str
    adversarial: str
    moved: float
    marked: bool


@dataclass(frozen=True)
class AttackedText:
    """One example, word by word."""

    words: list[Word]

    @property
    def changed(self) -> int:
        """How many words were replaced."""
        return sum(word.original != word.adversarial for word in self.words)


def attacked_text(picture: Picture) -> AttackedText:
    """One example: its words before and after, and how far each vector was moved."""
    told = picture.details
    least = FAR * max(told["moved"], default=0.0)
    return AttackedText(
        [
            Word(old, new, moved, old != new or moved > max(least, 1e-6))
            for old, new, moved in zip(told["original"], told["adversarial"], told["moved"], strict=True)
        ]
    )


DISPLAY = Display(
    title="Originals and adversarial texts",
    text=(
        "A replaced word stands struck out before the word that took its place; a word that is only marked stayed, "
        "and its vector was moved."
    ),
    most=4,
    show=attacked_text,
)
