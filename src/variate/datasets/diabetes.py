"""The 442 diabetes patients that come with scikit-learn: a number to predict."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded
from variate.datasets.parts.tables import about_table
from variate.datasets.parts.targets import target_of
from variate.datasets.splits import SplitName, check_split, permutation
from variate.inputs.columns import Column
from variate.registry import dataset

BOUNDS: dict[SplitName, tuple[int, int]] = {"train": (0, 266), "validation": (266, 354), "test": (354, 442)}
BUDGET = "linf:0.05"
IMMUTABLE = ("age", "sex")  # of a person, and not measured
TASK = "regression(tolerance=60)"


@dataset(
    modality="tabular",
    budget="linf:0.05",
    cite="Efron, Hastie, Johnstone & Tibshirani 2004, Least angle regression, in scikit-learn",
)
def diabetes(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Progression of diabetes within a year, from 25 to 346, predicted from 10 features; no download. 266, 88, 88.

    Age and sex cannot be changed, and the eight measurements can; the range of each is taken over all 442 patients. An
    answer is right within 60, which is about three quarters of the target's standard deviation of 77. It is where a
    model and a guess differ most: least squares is right for 76 % of the validation split, and the median of the
    training split for 47 %.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation of the 442.
        folder: unused; scikit-learn ships the data.

    Returns:
        Inputs in [0, 1], shape (N, 10), and numbers, shape (N,).
    """
    return _table().splits[check_split(split)]


def about(folder: Path | None = None) -> About:
    """The facts of the data set."""
    return _table().about


@cache
def _table() -> Loaded:
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    values = torch.from_numpy(data.data)  # (442, 10)
    low, high = values.amin(0), values.amax(0)
    whole = (values == values.round()).all(0).tolist()
    columns = [
        Column(name, low, high, 1.0 if is_whole else None, name not in IMMUTABLE)
        for name, low, high, is_whole in zip(data.feature_names, low.tolist(), high.tolist(), whole, strict=True)
    ]
    x = ((values - low) / (high - low)).to(torch.float32)
    y = torch.tensor(data.target, dtype=torch.float32)
    order = torch.from_numpy(permutation(len(y)))
    rows = {split: order[start:end] for split, (start, end) in BOUNDS.items()}
    about = about_table(columns, x[rows["train"]], classes=1, budget=BUDGET, labels=["progression"])
    details = {**about.details, "target": target_of(y[rows["train"]])}
    facts = replace(about, details=details, task=TASK)
    return Loaded(facts, {split: (x[index], y[index]) for split, index in rows.items()})
