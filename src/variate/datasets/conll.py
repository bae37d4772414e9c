"""Your own sentences with a label for every word, in files of columns as at the CoNLL conferences."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.tagged import Sentence, Word, tagged_corpus
from variate.datasets.splits import SplitName, check_split
from variate.errors import DataError, UsageError
from variate.files.reading import reading
from variate.registry import dataset

LENGTH = 64
SUFFIXES = (".conll", ".conllu", ".bio", ".iob", ".iob2")
EXPECTED = (
    "lines of columns with a word and its label, an empty line after every sentence: CoNLL-2003 (the word first, the "
    "label last) or CoNLL-U (ten columns)"
)
FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")  # of CoNLL-U
NUMBER = re.compile(r"\d+")
PART = re.compile(r"\d+-\d+|\d+\.\d+")  # ids of several words written as one, and of words that are not written
SPLITS: dict[SplitName, re.Pattern[str]] = {
    "train": re.compile(r"(?<![a-z])train", re.I),
    "validation": re.compile(r"(?<![a-z])(dev|valid|val|testa)(?![a-z])|validation", re.I),
    "test": re.compile(r"(?<![a-z])(test|testb)(?![a-z])", re.I),
}


@dataset(
    modality="text",
    budget="words:2",
    cite="your own sentences; the columns of Tjong Kim Sang & De Meulder 2003, arXiv:cs/0306050, and of CoNLL-U: "
    "Nivre et al. 2016, Universal Dependencies",
)
def conll(
    split: str,
    *,
    folder: Path | None = None,
    column: str = "",
    length: int = LENGTH,
    neighbors: str = COOCCURRENCE,
) -> tuple[Tensor, Tensor]:
    """Your own sentences with a label for every word, in CoNLL-2003 style or in CoNLL-U; for short ``--data F.conllu``.

    A file in CoNLL-2003 style has a line for every word with columns apart by spaces or tabs, the word in the first,
    and lines -DOCSTART- are passed over. A file is read as CoNLL-U if its first words have ten columns and a number;
    lines that begin with # are comments then, words written together (1-2) and empty nodes (8.1) are passed over. A
    label _ means that a word has none.

    One file is cut by one fixed permutation: 80 % train, 10 % validation, 10 % test. Of a folder, the files named for
    train, for dev, valid, val or testa, and for test or testb are its splits; without a test split, that for validation
    becomes the test split, and without validation 10 % of train are taken for it.

    Args:
        split: ``train``, ``validation`` or ``test``.
        folder: the file or folder.
        column: the column of the labels, a number from 1, -1 for the last, or in CoNLL-U a name such as ``xpos`` or
            ``deprel``; by default the last, in CoNLL-U ``upos``.
        length: number of words of an input, T; longer sentences are truncated.
        neighbors: words that may replace a word: ``cooccurrence`` (words used in similar contexts), ``wordnet``
            (synonyms), or a .json file that lists them for every word; only those with the same most frequent label.

    Returns:
        Inputs, shape (N, T, 1), word indices divided by 65,536, and labels, shape (N, T), in the order of their names,
        -1 for padding and for words without a label.

    Raises:
        DataError: if nothing is there, or a line cannot be read; it names the line.
        UsageError: for a column that is not valid.
    """
    name = check_split(split)
    return _corpus(_existing(folder), column, length, neighbors).splits[name]


def about(
    folder: Path | None = None, *, column: str = "", length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> About:
    """The facts of the data set, including its vocabulary. Raises ``DataError``."""
    return _corpus(_existing(folder), column, length, neighbors).about


def _existing(folder: Path | None) -> Path:
    if folder is None or not folder.exists():
        problem = "no file or folder was given" if folder is None else f"there is nothing at {folder}"
        raise DataError(problem, expected=EXPECTED, todo="--data-folder FILE.conllu")
    return folder


@read_once
def _corpus(source: Path, column: str, length: int, neighbors: str) -> Loaded:
    files = _split_files(source) if source.is_dir() else {"": source}
    splits = {name: list(sentences_of(path, column)) for name, path in files.items()}
    left_out = {name: sum(not any(word.label for word in words[:length]) for words in splits[name]) for name in splits}
    if any(left_out.values()):
        warnings.warn(
            f"sentences of {source} whose first {length} words have no label are left out: {sum(left_out.values()):,}",
            stacklevel=2,
        )
    kept = {
        name: [words for words in sentences if any(word.label for word in words[:length])]
        for name, sentences in splits.items()
    }
    return tagged_corpus(
        [sentence for sentences in kept.values() for sentence in sentences],
        length=length,
        sizes={name: len(sentences) for name, sentences in kept.items()} if source.is_dir() else None,
        replaced=neighbors,
        source=source,
    )


def _split_files(folder: Path) -> dict[str, Path]:
    """The file of every split in a folder. Raises ``DataError``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    named = {name: [path for path in files if pattern.search(path.name)] for name, pattern in SPLITS.items()}
    chosen = {str(name): paths[0] for name, paths in named.items() if paths}
    if any(len(paths) > 1 for paths in named.values()) or not {"train"} < set(chosen):
        raise DataError(
            f"{folder} has {', '.join(f'{len(paths)} files for {name}' for name, paths in named.items())}",
            findings=[str(path.relative_to(folder)) for path in files[:8]],
            expected="one file with train in its name, and one with test or dev",
            todo="give a single file, or a folder with these files alone",
        )
    if "test" not in chosen:
        chosen["test"] = chosen.pop("validation")
    return chosen


def sentences_of(path: Path, column: str = "") -> Iterator[Sentence]:
    """The sentences of a file.

    Args:
        path: the file.
        column: the column of the labels, as ``conll`` takes it.

    Raises:
        DataError: for a line that cannot be read.
        UsageError: for a column that is not valid.
    """
    with reading(path, DataError, expected=EXPECTED):
        lines = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")  # not at U+2028
    is_universal = _is_universal(lines)
    place = _place(column, is_universal)
    sentence: list[Word] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
        elif is_universal:
            if not line.startswith("#"):
                sentence += _universal_word(line.split("\t"), place, f"line {number} of {path}")
        elif not line.startswith("-DOCSTART-"):
            cells = line.split()
            _check_columns(cells, place, 2, f"line {number} of {path}")
            sentence.append(Word(cells[0], _label(cells[place])))
    if sentence:
        yield sentence


def _is_universal(lines: list[str]) -> bool:
    """Whether the first word of a file has the ten columns of CoNLL-U, the first a number."""
    first = next((line.split("\t") for line in lines if line.strip() and not line.startswith("#")), [])
    return len(first) == len(FIELDS) and bool(NUMBER.match(first[0]))


def _place(column: str, is_universal: bool) -> int:
    """The index of a column. Raises ``UsageError``."""
    if not column:
        return FIELDS.index("upos") if is_universal else -1
    if is_universal and column.lower() in FIELDS:
        return FIELDS.index(column.lower())
    if re.fullmatch(r"-?\d+", column) and int(column):
        return int(column) - (int(column) > 0)
    raise UsageError(
        f"there is no column {column!r}",
        expected="a number from 1, or -1 for the last" + (f", or one of {', '.join(FIELDS)}" if is_universal else ""),
    )


def _universal_word(cells: list[str], place: int, where: str) -> list[Word]:
    """The word of a line of CoNLL-U; none for a range or an empty node. Raises ``DataError``."""
    if PART.fullmatch(cells[0]):
        return []
    _check_columns(cells, place, len(FIELDS), where)
    if not NUMBER.fullmatch(cells[0]):
        raise DataError(
            f"{where} begins with {cells[0]!r}",
            expected="the number of the word, as everywhere in CoNLL-U",
            todo="correct the line; comments begin with #",
        )
    return [Word(cells[1], _label(cells[place]))]


def _check_columns(cells: list[str], place: int, least: int, where: str) -> None:
    """Check that a line has its columns. Raises ``DataError``."""
    needed = max(least, place + 1, -place)
    if len(cells) < needed:
        raise DataError(
            f"{where} has {len(cells)} {'column' if len(cells) == 1 else 'columns'}, and {needed} are needed",
            findings=[repr(" ".join(cells)[:60])],
            expected=EXPECTED,
            todo="correct the line, or say which column holds the labels: conll(column=2)",
        )


def _label(cell: str) -> str:
    return "" if cell == "_" else cell
