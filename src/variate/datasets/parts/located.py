"""Which data set reads a file or a folder that is given in place of a name."""

from __future__ import annotations

from collections import Counter
from os import PathLike
from pathlib import Path

from variate import registry
from variate.datasets.parts.conll import SUFFIXES as TAGGED
from variate.datasets.parts.folders import LAYOUT, tree_of
from variate.datasets.parts.mask_files import has_masks
from variate.datasets.parts.own import is_own
from variate.datasets.parts.pictures import SUFFIXES as PICTURES
from variate.datasets.parts.wav import SPOKEN
from variate.datasets.parts.wav import SUFFIXES as SOUNDS
from variate.errors import DataError, UsageError
from variate.files.reading import reading, ungzipped
from variate.options import plain

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
TEXTS = (".jsonl", ".parquet")
FILES = ", ".join(TABLES + TEXTS + TAGGED)
EXPECTED = f"a folder or zip archive of pictures or sounds ({LAYOUT}), a file that ends in {FILES}"


def located(source: str, folder: str | PathLike[str] | None = None) -> tuple[str, Path | None]:
    """The name of the data set that reads a path, and the path; a name is returned with its folder as it is.

    Args:
        source: a name, the user's own code or ``.npz`` file, or the path of a folder or file.
        folder: the folder that was given beside it.

    Raises:
        UsageError: for a path together with a folder.
        DataError: for a path that does not exist, or that no data set reads.
    """
    given = None if folder is None else Path(folder)
    path = Path(source)
    if is_own(source) or plain(source) in registry.entries("datasets") or not (_is_path(source) or path.exists()):
        return source, given
    if given is not None:
        raise UsageError(f"{source} is a path, and {given} is given as its folder", todo="give one of them")
    if not path.exists():
        raise DataError(f"there is nothing at {source}", expected=f"the name of a data set, or {EXPECTED}")
    name = _of_files(path) if path.is_dir() or path.suffix.lower() == ".zip" else _of_table(path)
    if name is None:
        raise DataError(f"{source} is not data of a kind that can be read as it is", expected=EXPECTED)
    return name, path


def _is_path(source: str) -> bool:
    """Whether a text can only be a path: names have neither slashes nor suffixes."""
    words = plain(source)
    return "/" in words or "\\" in words or words.lower().endswith((*TABLES, *TEXTS, *TAGGED, ".zip"))


def _of_files(path: Path) -> str | None:
    """What most files of a folder or archive are: pictures, sounds, or tables of texts."""
    with tree_of(path) as tree:
        paths = tree.files
        suffixes = Counter(file.suffix.lower() for file in paths)
    counts = {
        "images": sum(suffixes[suffix] for suffix in PICTURES),
        "sounds": sum(suffixes[suffix] for suffix in SOUNDS),
        "texts": sum(suffixes[suffix] for suffix in (".arrow", ".csv", *TEXTS)) if path.is_dir() else 0,
    }
    sounds = [file for file in paths if file.suffix.lower() in SOUNDS]
    if sounds and len({file.parent for file in sounds}) == 1 and all(SPOKEN.fullmatch(file.name) for file in sounds):
        counts["spoken-digits"] = counts.pop("sounds")
    name = max(counts, key=lambda kind: counts[kind])
    if name == "images" and has_masks(paths):
        return "masks"
    if name == "texts" and [file.name.endswith((".csv", ".csv.gz")) for file in paths] == [True]:
        return _of_table(path / paths[0])
    return name if counts[name] else None


def _of_table(path: Path) -> str | None:
    """A table of features, or of texts and labels if its header says so."""
    name = path.name.lower()
    if name.endswith(TEXTS):
        return "texts"
    if name.endswith(TAGGED):
        return "conll"
    if not name.endswith(TABLES):
        return None
    with reading(path, DataError):
        content = path.read_bytes()
        header = (ungzipped(content, path, DataError) if name.endswith(".gz") else content).partition(b"\n")[0]
    columns = {word.strip(' "\r\ufeff').lower() for word in header.decode("utf-8", "replace").split(",")}
    return "texts" if columns & {"text", "sentence"} and len(columns) == 2 and columns & {"label", "labels"} else "csv"
