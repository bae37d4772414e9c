"""Which words of a vocabulary are one typo or two apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

MOST = 2  # typos in a word


def misspelt(words: Sequence[str], *, each: int) -> list[list[tuple[int, int]]]:
    """For every word the others that typos make of it, and how many typos that takes, 1 or 2.

    A typo changes a letter, leaves one out, puts one in, or swaps two neighbours. Two words that are so many typos
    apart have a form in common from which at most so many letters are missing (Garbe 2012, SymSpell), so only words
    with such a form are compared.

    Args:
        words: different words, the most frequent ones first.
        each: of each number of typos, how many others at most, the first ones.

    Returns:
        Places of words with numbers of typos, those of one typo first, each in the order of the vocabulary.
    """
    sharing: dict[str, list[int]] = defaultdict(list)
    for number, word in enumerate(words):
        for form in _shortened(word):
            sharing[form].append(number)
    return [_nearest(number, words, sharing, each) for number in range(len(words))]


def _nearest(number: int, words: Sequence[str], sharing: dict[str, list[int]], each: int) -> list[tuple[int, int]]:
    found: dict[int, list[tuple[int, int]]] = {typos: [] for typos in range(1, MOST + 1)}
    word = words[number]
    for other in sorted({other for form in _shortened(word) for other in sharing[form]}):
        typos = typos_between(word, words[other])
        if typos in found and len(found[typos]) < each:
            found[typos].append((other, typos))
            if all(len(some) == each for some in found.values()):
                break
    return [one for some in found.values() for one in some]


def typos_between(one: str, other: str) -> int:
    """How many typos make one word of the other: 0, 1, 2, or 3 for more. No letter is touched twice."""
    if not _within(one, other, MOST):  # which most words are not
        return MOST + 1
    return next(typos for typos in range(MOST + 1) if _within(one, other, typos))


def _within(one: str, other: str, typos: int) -> bool:
    a, b = _differing(one, other)
    if not a or not b or not typos:
        return len(a) + len(b) <= typos
    if abs(len(a) - len(b)) > typos:
        return False
    if _within(a[1:], b[1:], typos - 1) or _within(a[1:], b, typos - 1) or _within(a, b[1:], typos - 1):
        return True
    return a[:2] == b[1::-1] and len(a) > 1 and _within(a[2:], b[2:], typos - 1)


def _differing(one: str, other: str) -> tuple[str, str]:
    """Two words without the letters that both begin with, and those that both end with."""
    shorter = min(len(one), len(other))
    start = 0
    while start < shorter and one[start] == other[start]:
        start += 1
    end = 0
    while end < shorter - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return one[start : len(one) - end], other[start : len(other) - end]


def _shortened(word: str) -> set[str]:
    """The word, and what is left of it without one letter or two."""
    forms = {word}
    for _ in range(MOST):
        forms |= set(_without_one(forms))
    return forms


def _without_one(forms: set[str]) -> Iterator[str]:
    for form in forms:
        yield from (form[:i] + form[i + 1 :] for i in range(len(form)))
