"""Original and adversarial texts, marking replaced words or those whose embeddings moved most."""

from __future__ import annotations

from dataclasses import dataclass

from variate.records.schema import Picture
from variate.report.attacked import Display

FAR = 0.5  # embeddings that moved by at least this share of the largest move are marked


@dataclass(frozen=True)
class Word:
    """One word of a text.

    Attributes:
        original: the original word.
        adversarial: the word after the attack; unchanged if only its embedding moved.
        moved: distance that its embedding moved.
        marked: whether it was replaced, or its embedding moved far.
    """

    original: str
    adversarial: str
    moved: float
    marked: bool


@dataclass(frozen=True)
class AttackedText:
    """One text, word by word."""

    words: list[Word]

    @property
    def changed(self) -> int:
        """Number of replaced words."""
        return sum(word.original != word.adversarial for word in self.words)


def attacked_text(picture: Picture) -> AttackedText:
    """Display of one example: its words before and after, and how far each embedding moved."""
    details = picture.details
    least = FAR * max(details["moved"], default=0.0)
    return AttackedText(
        [
            Word(old, new, moved, old != new or moved > max(least, 1e-6))
            for old, new, moved in zip(details["original"], details["adversarial"], details["moved"], strict=True)
        ]
    )


DISPLAY = Display(
    title="Originals and adversarial texts",
    text=(
        "A replaced word is struck out before its replacement. A word that is only marked was kept, but its embedding "
        "moved."
    ),
    most=4,
    show=attacked_text,
)
