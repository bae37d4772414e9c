"""Phishing and legitimate websites, from a file in the package river."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import read_csv
from variate.datasets.parts.declared import Declaration, Feature
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.tables import table_of
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.registry import dataset

FILE = "phishing.csv.gz"
ROWS = 1250
GRADES = Feature(low=0, high=1, step=0.5)  # no, suspicious, yes
GIVEN = GRADES.model_copy(update={"immutable": True})  # the owner of a site cannot change its popularity or age
FEATURES = {
    "empty_server_form_handler": GRADES,
    "popup_window": GRADES,
    "https": GRADES,
    "request_from_other_domain": GRADES,
    "anchor_from_other_domain": GRADES,
    "is_popular": GIVEN,
    "long_url": GRADES,
    "age_of_domain": Feature(low=0, high=1, step=1, immutable=True),
    "ip_in_url": Feature(low=0, high=1, step=1),
}
BUDGET = "features:long_url=0.5,popup_window=0.5,https=0.5"  # easy for the owner of a site to change, each by one grade
DECLARED = Declaration(label="is_phishing", budget=BUDGET, features=FEATURES)


@dataset(
    modality="tabular",
    budget="features:long_url=0.5,popup_window=0.5,https=0.5",
    cite="Abdelhamid, Ayesh & Thabtah 2014, UCI website phishing (doi:10.24432/C5B301), as river ships it",
)
def phishing(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Phishing or legitimate websites, 9 features in steps of 0.5 or 1. 750 train, 250 validation, 250 test.

    The popularity of a site and the age of its domain are immutable: its owner cannot set them.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation of the 1,250.
        folder: the file ``phishing.csv.gz`` (or ``phishing.csv``) of the package river, or its folder. By default the
            file of the installed package, which is not imported.

    Returns:
        Inputs in [0, 1], shape (N, 9), and labels, shape (N,): 0 legitimate, 1 phishing.

    Raises:
        DataError: if the file is missing or is not the expected one.
    """
    name = check_split(split)
    return _table(_file(folder)).splits[name]


def about(folder: Path | None = None) -> About:
    """The facts of the data set. Raises ``DataError``."""
    return _table(_file(folder)).about


@read_once
def _table(path: Path) -> Loaded:
    sheet = read_csv(path)
    expected = {*FEATURES, "is_phishing"}
    if set(sheet.names) != expected or len(sheet.rows) != ROWS:
        raise DataError(
            f"{path} is not the phishing data set of river",
            findings=[f"{len(sheet.rows):,} rows of {', '.join(sheet.names)}"],
            expected=f"{ROWS:,} rows of {', '.join(sorted(expected))}",
        )
    table = table_of(sheet, DECLARED)
    return Loaded(replace(table.about, labels=("legitimate", "phishing")), table.splits)


def _file(folder: Path | None) -> Path:
    """The path of the file. Raises ``DataError``."""
    if folder is not None and folder.is_file():
        return folder
    spec = importlib.util.find_spec("river") if folder is None else None
    installed = [Path(candidate) / "datasets" for candidate in (spec.submodule_search_locations or [])] if spec else []
    for candidate in [folder] if folder is not None else installed:
        for name in (FILE, FILE.removesuffix(".gz")):
            if (candidate / name).is_file():
                return candidate / name
    raise DataError(
        f"{FILE} is not in {folder}" if folder is not None else "the phishing data set is not on this machine",
        expected=f"the package river, or its file river/datasets/{FILE}",
        todo="pip install --no-deps river (only this file is read), or pass the file as --data-folder",
    )
