"""Your own sentences with a label for every word, in files of columns as at the CoNLL conferences."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.conll import EXPECTED, sentences_of
from variate.datasets.parts.given import existing
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.tagged import tagged_corpus
from variate.datasets.splits import SplitName, check_split
from variate.errors import DataError
from variate.registry import dataset

LENGTH = 64
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
    column: str = "auto",
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
    folder: Path | None = None, *, column: str = "auto", length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> About:
    """The facts of the data set, including its vocabulary. Raises ``DataError``."""
    return _corpus(_existing(folder), column, length, neighbors).about


def _existing(folder: Path | None) -> Path:
    return existing(folder, "no file or folder was given", expected=EXPECTED, todo="--data-folder FILE.conllu")


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
