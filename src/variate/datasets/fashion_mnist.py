"""Fashion-MNIST, from a given folder, from the Debian package, or downloaded and checked against a checksum."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.splits import check_split, permutation
from variate.errors import DataError
from variate.files.reading import reading, ungzipped
from variate.registry import dataset

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
# SHA-256 of the decompressed files: the compressed files differ between distributors
CONTENT = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
VALIDATION = 5_000


@dataset(
    modality="image",
    shape=(1, 28, 28),
    classes=10,
    mean=(0.2863,),
    std=(0.3532,),
    budget="linf:0.1",
    labels=(
        "T-shirt",
        "trousers",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    cite="Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
)
def fashion_mnist(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Articles of clothing, 28x28 gray, 10 classes. 55,000 train, 5,000 validation, 10,000 test examples.

    Args:
        split: ``train`` and ``validation`` are cut from one fixed permutation of the 60,000; ``test`` is the official
            test set.
        folder: folder of the four idx.gz files. By default the folder of the Debian package, then the user's cache,
            then a download into that cache.

    Returns:
        Inputs in [0, 1], shape (N, 1, 28, 28), and labels, shape (N,).

    Raises:
        DataError: if the files are missing or do not match their checksums.
    """
    part = "t10k" if check_split(split) == "test" else "train"
    files = [f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"]
    source = _folder_of(folder, files)
    images = _read_idx(source / files[0])
    labels = _read_idx(source / files[1])
    if split != "test":
        order = permutation(len(labels))
        rows = order[-VALIDATION:] if split == "validation" else order[:-VALIDATION]
        images, labels = images[rows], labels[rows]
    x = torch.from_numpy(images).to(torch.float32).div_(255).unsqueeze(1)  # (N, 1, 28, 28)
    return x, torch.from_numpy(labels).to(torch.int64)


def _folder_of(folder: Path | None, files: list[str]) -> Path:
    """The folder with the files, which are downloaded if necessary."""
    if folder is not None:
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise DataError(
                f"{folder} does not contain Fashion-MNIST", findings=[f"{name} is missing" for name in missing]
            )
        return folder
    present = _present(files)
    if present is not None:
        return present
    for name in files:
        _download(name, _cache() / name)
    return _cache()


def default_folder() -> Path | None:
    """The default folder that has all files; None if they would have to be downloaded."""
    return _present([*CONTENT])


def _present(files: list[str]) -> Path | None:
    folders = (folder for folder in (DEBIAN, _cache()) if all((folder / name).is_file() for name in files))
    return next(folders, None)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "variate" / "fashion-mnist"


def _download(name: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(f"{ADDRESS}/{name}", timeout=30) as response:  # noqa: S310 (a constant address)
            data = response.read()
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise DataError(
            f"Fashion-MNIST is not on this machine and {name} could not be downloaded: {error}",
            expected=f"the four files in {DEBIAN} or {target.parent}",
            todo="on Debian: apt-get install dataset-fashion-mnist; elsewhere: get the files and pass --data-folder",
        ) from error
    _decompress(data, name, ADDRESS)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(target)


def _decompress(data: bytes, name: str, source: object) -> bytes:
    """The decompressed content of a file, checked against its checksum. Raises ``DataError``."""
    content = ungzipped(data, f"{name} from {source}", DataError)
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != CONTENT[name]:
        raise DataError(
            f"{name} from {source} is not the published file", findings=[f"SHA-256 {checksum}"], expected=CONTENT[name]
        )
    return content


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of bytes: a magic number whose last byte is the number of dimensions, the sizes, the values."""
    with reading(path, DataError):
        packed = path.read_bytes()
    content = _decompress(packed, path.name, path.parent)
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
