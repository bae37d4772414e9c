"""Which words of a vocabulary are one typo apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence


def one_typo(words: Sequence[str], *, first: int = 0) -> list[list[int]]:
    """For every word those of the others that one letter changed, left out, put in, or two swapped make of it.

    Two words at this distance have a form in common from which at most one letter is missing (Garbe 2012, SymSpell), so
    only words with such a form are compared.

    Args:
        words: different words.
        first: the number of the first word.

    Returns:
        Numbers of words, in the order of the vocabulary.
    """
    sharing: dict[str, list[int]] = defaultdict(list)
    for number, word in enumerate(words):
        for form in _shortened(word):
            sharing[form].append(number)
    found: list[set[int]] = [set() for _ in words]
    for numbers in sharing.values():
        for one in numbers:
            found[one].update(other for other in numbers if other != one)
    return [
        [first + other for other in sorted(others) if is_one_typo(words[number], words[other])]
        for number, others in enumerate(found)
    ]


def is_one_typo(one: str, other: str) -> bool:
    """Whether one letter changed, left out or put in, or two neighbours swapped, makes one word of the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and len(a) > 1 and a[2:] == b[2:])


def _shortened(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}
