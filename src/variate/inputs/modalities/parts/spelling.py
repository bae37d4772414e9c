"""Words of a vocabulary that are one or two typos apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

MAX_TYPOS = 2  # per word


def misspelt(words: Sequence[str], *, each: int) -> list[list[tuple[int, int]]]:
    """For every word, the other words that are one or two typos away, and how many.

    A typo substitutes, deletes or inserts a letter, or swaps two adjacent ones. Two words n typos apart share a form
    that lacks at most n letters of each (Garbe 2012, SymSpell), so only words that share such a form are compared.

    Args:
        words: distinct words, most frequent first.
        each: largest number of words to return for each number of typos; the most frequent ones are kept.

    Returns:
        For every word, pairs (index of the other word, typos), sorted by typos and then by index.
    """
    sharing: dict[str, list[int]] = defaultdict(list)
    for index, word in enumerate(words):
        for form in _shortened(word):
            sharing[form].append(index)
    return [_nearest(index, words, sharing, each) for index in range(len(words))]


def _nearest(index: int, words: Sequence[str], sharing: dict[str, list[int]], each: int) -> list[tuple[int, int]]:
    nearest: dict[int, list[tuple[int, int]]] = {typos: [] for typos in range(1, MAX_TYPOS + 1)}
    word = words[index]
    for candidate in sorted({candidate for form in _shortened(word) for candidate in sharing[form]}):
        typos = typos_between(word, words[candidate])
        if typos in nearest and len(nearest[typos]) < each:
            nearest[typos].append((candidate, typos))
            if all(len(pairs) == each for pairs in nearest.values()):
                break
    return [pair for pairs in nearest.values() for pair in pairs]


def typos_between(first: str, second: str) -> int:
    """Typos between two words: 0, 1, 2, or 3 for more. No letter is edited twice (optimal string alignment)."""
    if not _within(first, second, MAX_TYPOS):  # the common case, so test it first
        return MAX_TYPOS + 1
    return next(typos for typos in range(MAX_TYPOS + 1) if _within(first, second, typos))


def _within(first: str, second: str, typos: int) -> bool:
    a, b = _differing(first, second)
    if not a or not b or not typos:
        return len(a) + len(b) <= typos
    if abs(len(a) - len(b)) > typos:
        return False
    if _within(a[1:], b[1:], typos - 1) or _within(a[1:], b, typos - 1) or _within(a, b[1:], typos - 1):
        return True
    return a[:2] == b[1::-1] and len(a) > 1 and _within(a[2:], b[2:], typos - 1)


def _differing(first: str, second: str) -> tuple[str, str]:
    """Strip the common prefix and the common suffix of two words."""
    shorter = min(len(first), len(second))
    start = 0
    while start < shorter and first[start] == second[start]:
        start += 1
    end = 0
    while end < shorter - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return first[start : len(first) - end], second[start : len(second) - end]


def _shortened(word: str) -> set[str]:
    """The word and all forms of it with one or two letters deleted."""
    forms = {word}
    for _ in range(MAX_TYPOS):
        forms |= set(_deletions(forms))
    return forms


def _deletions(forms: set[str]) -> Iterator[str]:
    for form in forms:
        yield from (form[:i] + form[i + 1 :] for i in range(len(form)))
