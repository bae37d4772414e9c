"""Any table in a CSV file, with an optional declaration in a TOML file beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import Sheet, read_csv
from variate.datasets.parts.declared import Declaration, declaration_beside, toml_of
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.repeats import digests, warn_of_repeats
from variate.datasets.parts.tables import table_of
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.registry import dataset


@dataset(modality="tabular", budget="linf:0.1", cite="Shafranovich 2005, RFC 4180")
def csv(split: str, *, folder: Path | None = None, task: str = "") -> tuple[Tensor, Tensor]:
    """Your own table: --data-folder FILE.csv, declared in FILE.toml; splits are fixed or given by a column.

    Numeric features are scaled by their range in the training split, and other splits are clipped to it; whole numbers
    move in whole steps, and columns of words are categorical. The label is the last column, and a class unless a task
    says otherwise. FILE.toml can override all of this: see docs/tabular.md.

    Args:
        split: ``train``, ``validation`` or ``test``: 60 %, 20 % and 20 % of one fixed permutation, or as given in the
            column that is declared as ``split``.
        folder: the file, plain or compressed (``.csv.gz``), or a folder with exactly one such file.
        task: what the labels mean: ``classes``, ``binary``, ``labels`` (0 or 1 in several columns), or numbers as
            ``regression(tolerance=0.5)``; quoted if it has a comma. By default the ``task`` of FILE.toml, or classes.

    Returns:
        Inputs in [0, 1], shape (N, D), and labels: classes or numbers, shape (N,), or several, shape (N, L).

    Raises:
        DataError: for missing values, values outside a declared range, unknown categories, constant features, and cells
            that are no labels of the task.
        UsageError: for a task that does not exist.
    """
    name = check_split(split)
    return _read(_file(folder), task).splits[name]


def about(folder: Path | None = None, *, task: str = "") -> About:
    """The facts of the table. Raises ``DataError``."""
    return _read(_file(folder), task).about


def sheet_of(folder: Path | None) -> tuple[Sheet, Declaration]:
    """The cells of the table, and what is declared of it. Raises ``DataError``."""
    path = _file(folder)
    declared = declaration_beside(path)
    return read_csv(path, declared.delimiter), declared


@partial(read_once, beside=toml_of)
def _read(path: Path, task: str) -> Loaded:
    table = table_of(*sheet_of(path), task)
    warn_of_repeats(path, {split: digests(x) for split, (x, _) in table.splits.items()})
    return table


def _file(folder: Path | None) -> Path:
    if folder is None:
        raise DataError("no table was given", todo="name a file: --data csv --data-folder FILE.csv")
    if not folder.is_dir():
        return folder
    files = sorted({*folder.glob("*.csv"), *folder.glob("*.csv.gz")})
    if len(files) != 1:
        raise DataError(
            f"{folder} has {len(files)} CSV files, not one",
            findings=[path.name for path in files],
            todo="pass one of them",
        )
    return files[0]
