"""Hugging Face datasets from local folders and files, read without network access and without running their code."""

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
EXPECTED = "a folder that save_to_disk wrote, or a repository of .parquet, .csv or .jsonl files"
SCALAR_FEATURES = ("Value", "ClassLabel")  # features with one value per row
UNLABELED = -1  # the label of examples whose true labels are withheld


def tables(source: Path) -> dict[str, Any]:
    """Read the tables of a folder or a ``.parquet`` file, by split; the split of a single table is named "".

    Args:
        source: a folder that ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote, a folder laid out as a
            dataset repository, or one file.

    Raises:
        DataError: if it cannot be read, or if it is a repository whose card names files elsewhere.
        UsageError: if ``datasets`` is not installed.
    """
    saved = any((source / name).is_file() for name in ("state.json", "dataset_dict.json"))
    if source.is_dir() and not saved and not _has_tables(source):
        raise DataError(f"the folder {source} has no tables", expected=EXPECTED)
    library = imported("datasets", "datasets")
    try:
        with _quiet(library):
            if saved:
                loaded = library.load_from_disk(str(source.resolve()))
            elif source.is_dir():
                loaded = _repository(library, source.resolve())
            else:
                loaded = library.Dataset(imported("pyarrow.parquet", "datasets").read_table(source))
    except DataError:
        raise
    except Exception as error:  # the library raises many kinds of errors for damaged files and other layouts
        message = " ".join(str(error).split("\n")[:2])
        todo = "if the repository has several data sets, pass the folder or .parquet file of one of them"
        raise DataError(f"{source} cannot be read: {message}", expected=EXPECTED, todo=todo) from error
    return dict(loaded) if isinstance(loaded, dict) else {"": loaded}


def cells(table: Any, column: str) -> list[str]:
    """The values of a column as text: names for classes, empty strings for missing values and labels.

    Raises:
        DataError: for a column of lists, images or the like.
    """
    kind = table.features[column]
    if type(kind).__name__ not in SCALAR_FEATURES:
        raise DataError(f"the column {column} has the type {kind}", expected="one text or one class per row")
    values: Sequence[Any] = table.select_columns([column]).with_format(None)[:][column]
    names = getattr(kind, "names", None)
    if names is not None:
        return ["" if value is None or value == UNLABELED else names[value] for value in values]
    if values and all(value == UNLABELED for value in values):
        return [""] * len(values)
    return ["" if value is None else str(value) for value in values]


def _has_tables(folder: Path) -> bool:
    suffixes = {suffix for extensions in BUILDERS.values() for suffix in extensions}
    return any(path.suffix in suffixes for path in folder.rglob("*"))


def _repository(library: ModuleType, folder: Path) -> Any:
    """Load a repository of files into memory, because its cache is deleted before the tables are read."""
    _refuse_addresses(library, folder)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        builder = library.load_dataset_builder(str(folder), cache_dir=cache)
        name = type(builder).__module__.rpartition(".")[2]
        if name not in BUILDERS:
            raise DataError(f"the datasets library reads {folder} as a dataset of type {name}", expected=EXPECTED)
        return library.load_dataset(str(folder), cache_dir=cache, keep_in_memory=True)


def _refuse_addresses(library: ModuleType, folder: Path) -> None:
    """Refuse a repository whose card names files elsewhere, since nothing is downloaded. Raises ``DataError``."""
    hub, yaml = imported("huggingface_hub", "datasets"), imported("yaml", "datasets")
    card, config = folder / library.config.REPOCARD_FILENAME, folder / library.config.REPOYAML_FILENAME
    metadata = [hub.DatasetCard.load(card).data.to_dict()] if card.is_file() else []
    metadata += [yaml.safe_load(config.read_text(encoding="utf-8"))] if config.is_file() else []
    addresses = sorted({text for item in metadata for text in _strings((item or {}).get("configs")) if "://" in text})
    if addresses:
        raise DataError(
            f"the card of {folder} names files elsewhere, and nothing is downloaded",
            findings=addresses,
            todo="download these files too, and remove the configs from the card",
        )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Hide the progress bars of the library."""
    shown = not library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            library.enable_progress_bars()
