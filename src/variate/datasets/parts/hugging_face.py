"""Tables of Hugging Face's ``datasets`` from folders and files, read without the network and without anybody's code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from variate.errors import DataError
from variate.optional import imported

BUILDERS = {"arrow": (".arrow",), "csv": (".csv", ".tsv"), "json": (".json", ".jsonl"), "parquet": (".parquet",)}
HOLDS = "a folder that save_to_disk wrote, or a repository of .parquet, .csv or .jsonl files"
HELD = ("Value", "ClassLabel")  # features whose rows are one value
UNLABELLED = -1  # where a data set keeps its labels to itself


def tables(place: Path) -> dict[str, Any]:
    """The tables of a folder or a ``.parquet`` file by the names of their splits; a file's own has no name.

    Args:
        place: a folder that ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote, a folder laid out as a
            dataset repository, or one file.

    Raises:
        DataError: for what cannot be read, and for a repository that names files elsewhere.
        UsageError: where ``datasets`` is not installed.
    """
    saved = any((place / name).is_file() for name in ("state.json", "dataset_dict.json"))
    if place.is_dir() and not saved and not _has_tables(place):
        raise DataError(f"there is no table in the folder {place}", expected=HOLDS)
    library = imported("datasets", "datasets")
    try:
        with _quiet(library):
            if saved:
                found = library.load_from_disk(str(place.resolve()))
            elif place.is_dir():
                found = _repository(library, place.resolve())
            else:
                found = library.Dataset(imported("pyarrow.parquet", "datasets").read_table(place))
    except DataError:
        raise
    except Exception as error:  # of damaged files, and of folders of another layout, it raises errors of many kinds
        said = " ".join(str(error).split("\n")[:2])
        todo = "of several data sets in one repository, name the folder or the .parquet file of one"
        raise DataError(f"{place} cannot be read: {said}", expected=HOLDS, todo=todo) from error
    return dict(found) if isinstance(found, dict) else {"": found}


def cells(table: Any, column: str) -> list[str]:
    """The texts of a column: of classes their names, nothing where there is no value or no class.

    Raises:
        DataError: for a column of lists, pictures or the like.
    """
    kind = table.features[column]
    if type(kind).__name__ not in HELD:
        raise DataError(f"the column {column} holds {kind}", expected="one text or one class in every row")
    values: Sequence[Any] = table.select_columns([column]).with_format(None)[:][column]
    names = getattr(kind, "names", None)
    if names is not None:
        return ["" if value is None or value == UNLABELLED else names[value] for value in values]
    if values and all(value == UNLABELLED for value in values):
        return [""] * len(values)
    return ["" if value is None else str(value) for value in values]


def _has_tables(folder: Path) -> bool:
    suffixes = {suffix for every in BUILDERS.values() for suffix in every}
    return any(path.suffix in suffixes for path in folder.rglob("*"))


def _repository(library: ModuleType, folder: Path) -> Any:
    """The tables of files as a repository has them, kept in memory: the cache is away when they are read."""
    _refuse_addresses(library, folder)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        builder = library.load_dataset_builder(str(folder), cache_dir=cache)
        name = type(builder).__module__.rpartition(".")[2]
        if name not in BUILDERS:
            raise DataError(f"{folder} is taken for a folder of the kind {name}", expected=HOLDS)
        return library.load_dataset(str(folder), cache_dir=cache, keep_in_memory=True)


def _refuse_addresses(library: ModuleType, folder: Path) -> None:
    """Nothing is fetched: the card of a repository may say that its files are elsewhere."""
    hub, yaml = imported("huggingface_hub", "datasets"), imported("yaml", "datasets")
    card, alone = folder / library.config.REPOCARD_FILENAME, folder / library.config.REPOYAML_FILENAME
    told = [hub.DatasetCard.load(card).data.to_dict()] if card.is_file() else []
    told += [yaml.safe_load(alone.read_text(encoding="utf-8"))] if alone.is_file() else []
    elsewhere = sorted({text for one in told for text in _strings((one or {}).get("configs")) if "://" in text})
    if elsewhere:
        raise DataError(
            f"the card of {folder} names files elsewhere, and nothing is fetched",
            findings=elsewhere,
            todo="download these files too, and leave out the configs of the card",
        )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Without the library's own bars."""
    shown = not library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            library.enable_progress_bars()
