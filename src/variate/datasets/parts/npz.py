"""Arrays from ``.npz`` files: never unpickled, and never larger than the file says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from variate.errors import DataError
from variate.files.reading import reading, unzipping

MAGIC = b"\x93NUMPY"  # of a single array, .npy
EXPECTED = "a file that np.savez(FILE, x=inputs, y=labels) wrote, without Python objects"


def arrays_of(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The arrays ``x`` and ``y`` of a file. Raises ``DataError``."""
    with reading(path, DataError, expected=EXPECTED), path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            raise DataError(
                f"{path} holds one array, and labels are needed too",
                expected=EXPECTED,
                todo="np.savez('data.npz', x=inputs, y=labels)",
            )
    with unzipping(path, DataError, todo=f"pass {EXPECTED}") as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = {"x", "y"} - set(names)
        if missing:
            raise DataError(
                f"{path} has no array {' and no array '.join(sorted(missing))}",
                findings=[f"it has {', '.join(names) or 'none'}"],
                expected="inputs in x and labels in y",
            )
        return _member(archive, "x", path), _member(archive, "y", path)


def _member(archive: ZipFile, name: str, path: Path) -> NDArray[Any]:
    """One array, whose header is compared with its size before memory is taken. Raises ``DataError``."""
    member = archive.getinfo(f"{name}.npy")
    with reading(f"{name} in {path}", DataError, expected=EXPECTED):
        with archive.open(member) as file:
            promised = _size(file)
            held = member.file_size - file.tell()
        if promised != held:
            raise DataError(
                f"the header of {name} in {path} promises {promised:,} bytes, and {held:,} follow",
                todo="write the file again",
            )
        with archive.open(member) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array


def _size(file: IO[bytes]) -> int:
    """Bytes of the array whose header is read from a file."""
    version = np.lib.format.read_magic(file)
    old = version == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not unpickled")
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return math.prod(shape) * dtype.itemsize
