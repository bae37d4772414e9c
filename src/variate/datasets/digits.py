"""The 1,797 handwritten digits that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from variate.datasets.splits import check_split, permutation
from variate.registry import dataset

BOUNDS = {"train": (0, 1097), "validation": (1097, 1397), "test": (1397, 1797)}


@dataset(
    modality="image",
    shape=(1, 8, 8),
    classes=10,
    mean=(0.3050,),
    std=(0.3757,),
    budget="linf:0.1",
    cite="Alpaydin & Kaynak 1998, UCI optical recognition of handwritten digits (test part), in scikit-learn",
)
def digits(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Handwritten digits, 8x8 gray; no download. 1,097 train, 300 validation, 400 test examples.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation of the 1,797 images.
        folder: unused; scikit-learn ships the data.

    Returns:
        Inputs in [0, 1], shape (N, 1, 8, 8), and labels, shape (N,).
    """
    from sklearn.datasets import load_digits

    start, end = BOUNDS[check_split(split)]
    data = load_digits()
    rows = permutation(len(data.target))[start:end]
    images = torch.tensor(data.images[rows], dtype=torch.float32).unsqueeze(1) / 16  # (N, 1, 8, 8)
    return images, torch.tensor(data.target[rows], dtype=torch.int64)
