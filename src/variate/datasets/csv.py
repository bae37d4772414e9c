"""Any table in a CSV file, with what is declared of it in a TOML file beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import read_csv
from variate.datasets.parts.declared import declaration_beside, toml_of
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.tables import table_of
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.registry import dataset


@dataset(modality="tabular", budget="linf:0.1", cite="Shafranovich 2005, RFC 4180")
def csv(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """A table of your own: FILE.csv as --data-folder, what FILE.toml declares of it, splits fixed or in a column.

    Numbers are scaled by their range in the training split, beyond which those of the other splits are clipped; whole
    numbers move by whole steps, words are categories. The label is the last column. FILE.toml may say otherwise: see
    docs/tabular.md.

    Args:
        split: ``train``, ``validation`` or ``test``: three to one to one of one fixed permutation, or as the column
            says that is declared as ``split``.
        folder: the file, plain or compressed (``.csv.gz``), or a folder that holds one such file.

    Returns:
        Inputs in [0, 1], shape (N, D), and labels, shape (N,).

    Raises:
        DataError: for missing values, values out of a declared range, unknown categories, constant features: by name.
    """
    name = check_split(split)
    return _read(_file(folder)).splits[name]


def about(folder: Path | None = None) -> About:
    """The facts of the table. Raises ``DataError``."""
    return _read(_file(folder)).about


@partial(read_once, beside=toml_of)
def _read(path: Path) -> Loaded:
    declared = declaration_beside(path)
    return table_of(read_csv(path, declared.delimiter), declared)


def _file(folder: Path | None) -> Path:
    if folder is None:
        raise DataError("no table is named", todo="give a file: --data csv --data-folder FILE.csv")
    if not folder.is_dir():
        return folder
    found = sorted({*folder.glob("*.csv"), *folder.glob("*.csv.gz")})
    if len(found) != 1:
        raise DataError(
            f"{folder} holds {len(found)} CSV files", findings=[path.name for path in found], todo="name one of them"
        )
    return found[0]
