"""CIFAR-10, read from its official binary files or from class folders of images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.parts.images import class_folders
from variate.datasets.splits import check_split, permutation
from variate.errors import DataError
from variate.registry import dataset

SHAPE = (3, 32, 32)
BINARY = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
VALIDATION = 5_000
CLASSES = 10


@dataset(
    modality="image",
    shape=(3, 32, 32),
    classes=10,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    budget="linf:8/255",
    labels=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    cite="Krizhevsky 2009, Learning multiple layers of features from tiny images",
)
def cifar10(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Ten kinds of animals and vehicles, 32x32 color. 45,000 train, 5,000 validation, 10,000 test examples.

    Args:
        split: ``train`` and ``validation`` are cut from one fixed permutation of the 50,000; ``test`` is the official
            test set.
        folder: a folder of the official binary files (data_batch_1.bin ... test_batch.bin), a folder of class folders
            (train/CLASS/NAME.png, test/CLASS/NAME.png), or a zip archive of class folders. Images recompressed as JPEG
            are not the published ones; say so wherever you report numbers on them. Defaults to ``variate/cifar10`` in
            the user's cache.

    Returns:
        Inputs in [0, 1], shape (N, 3, 32, 32), and labels, shape (N,).

    Raises:
        DataError: if the files are missing or damaged.
    """
    part = "test" if check_split(split) == "test" else "train"
    source = folder or _cache()
    if not source.exists():
        raise DataError(
            f"CIFAR-10 is not in {source}",
            expected="its binary version (data_batch_1.bin ...), class folders, or a zip archive of class folders",
            todo="get cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and pass --data-folder",
        )
    if (source / BINARY[part][0]).is_file():
        images, labels = _binary(source, BINARY[part])
    else:
        images, labels = class_folders(source, part, SHAPE)
    if labels.size and int(labels.max()) >= CLASSES:
        raise DataError(f"{source} has {int(labels.max()) + 1} classes", expected=f"{CLASSES} classes")
    if split != "test":
        if len(labels) <= VALIDATION:
            raise DataError(
                f"{source} has {len(labels):,} training images, and {VALIDATION:,} of them are for validation",
                expected=f"more than {VALIDATION:,} images in train, as in CIFAR-10",
                todo="for images of your own write module:callable, which may return each split as you cut it",
            )
        order = permutation(len(labels))
        rows = order[-VALIDATION:] if split == "validation" else order[:-VALIDATION]
        images, labels = images[rows], labels[rows]
    return torch.from_numpy(images).to(torch.float32).div_(255), torch.from_numpy(labels).to(torch.int64)


def default_folder() -> Path | None:
    """The folder that is used by default; None if it does not exist."""
    return _cache() if _cache().exists() else None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "variate" / "cifar10"


def _binary(folder: Path, names: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read records of one label byte and 3,072 pixel bytes, channel by channel."""
    record = 1 + int(np.prod(SHAPE))
    parts = []
    for name in names:
        path = folder / name
        content = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
        if not len(content) or len(content) % record or int(content[::record].max()) > 9:
            raise DataError(
                f"{path} is missing or is not a CIFAR-10 binary file",
                findings=[f"{len(content):,} bytes"],
                expected=f"records of {record:,} bytes, the first a label from 0 to 9",
            )
        parts.append(content.reshape(-1, record))
    whole = np.concatenate(parts)
    return whole[:, 1:].reshape(-1, *SHAPE).copy(), whole[:, 0].astype(np.int64)
