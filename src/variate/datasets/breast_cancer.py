"""The 569 tumors of the Wisconsin diagnostic data set that comes with scikit-learn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded
from variate.datasets.parts.tables import about_table
from variate.datasets.splits import SplitName, check_split, permutation
from variate.inputs.columns import Column
from variate.registry import dataset

BOUNDS: dict[SplitName, tuple[int, int]] = {"train": (0, 341), "validation": (341, 455), "test": (455, 569)}
BUDGET = "linf:0.05"


@dataset(
    modality="tabular",
    budget="linf:0.05",
    cite="Street, Wolberg & Mangasarian 1993, UCI breast cancer Wisconsin (diagnostic), in scikit-learn",
)
def breast_cancer(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Malignant or benign tumors, 30 measurements each; no download. 341 train, 114 validation, 114 test.

    Every measurement may be changed; its range is taken over all 569 tumors.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation of the 569.
        folder: unused; scikit-learn ships the data.

    Returns:
        Inputs in [0, 1], shape (N, 30), and labels, shape (N,): 0 malignant, 1 benign.
    """
    return _table().splits[check_split(split)]


def about(folder: Path | None = None) -> About:
    """The facts of the data set."""
    return _table().about


@cache
def _table() -> Loaded:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names, values = [str(name) for name in data.feature_names], torch.from_numpy(data.data)  # (569, 30)
    low, high = values.amin(0), values.amax(0)
    columns = [Column(name, *ends) for name, *ends in zip(names, low.tolist(), high.tolist(), strict=True)]
    x = ((values - low) / (high - low)).to(torch.float32)
    y = torch.tensor(data.target, dtype=torch.int64)
    order = torch.from_numpy(permutation(len(y)))
    rows = {split: order[start:end] for split, (start, end) in BOUNDS.items()}
    labels = [str(name) for name in data.target_names]
    about = about_table(columns, x[rows["train"]], classes=2, budget=BUDGET, labels=labels)
    return Loaded(about, {split: (x[index], y[index]) for split, index in rows.items()})
