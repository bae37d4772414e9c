"""Images in class folders, in a directory or a zip archive: PART/CLASS/NAME.jpg, the most common layout."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from variate.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def class_folders(source: Path, part: str, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images of one part, sorted by class and then by file name.

    Args:
        source: a directory or zip archive with files ``part/CLASS/NAME``, at its top or inside one folder.
        part: name of the part, such as ``train``.
        shape: shape of one image, (C, H, W), with C 1 or 3.

    Returns:
        Images, shape (N, C, H, W), and labels, shape (N,).

    Raises:
        DataError: if the part is missing, an image cannot be read, or an image has another size.
    """
    from PIL import Image, UnidentifiedImageError

    files = sorted((path.parent.name, path.name, data) for path, data in _files(source, part))
    if not files:
        raise DataError(f"{source} has no images in {part}/CLASS/", expected=f"files {', '.join(SUFFIXES)}")
    classes = sorted({label for label, _, _ in files})
    images = np.empty((len(files), *shape), np.uint8)
    for i, (label, name, data) in enumerate(files):
        try:
            with Image.open(io.BytesIO(data.read_bytes() if isinstance(data, Path) else data)) as image:
                pixels = np.asarray(image.convert("L" if shape[0] == 1 else "RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{part}/{label}/{name} in {source} is not an image: {error}") from error
        if pixels.shape[:2] != shape[1:]:
            raise DataError(
                f"{part}/{label}/{name} in {source} has {pixels.shape[1]}x{pixels.shape[0]} pixels",
                expected=f"{shape[2]}x{shape[1]}, like the others",
            )
        images[i] = pixels.reshape(*shape[1:], shape[0]).transpose(2, 0, 1)
    return images, np.array([classes.index(label) for label, _, _ in files])


def _files(source: Path, part: str) -> Iterator[tuple[PurePosixPath, Path | bytes]]:
    """Path of every image of a part with its content, or with the file that has it."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if _belongs(PurePosixPath(path.relative_to(source).as_posix()), part):
                yield PurePosixPath(path.as_posix()), path
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                if _belongs(PurePosixPath(name), part):
                    yield PurePosixPath(name), archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source} cannot be read as a zip archive: {error}", todo="download it again") from error


def _belongs(path: PurePosixPath, part: str) -> bool:
    return path.suffix.lower() in SUFFIXES and len(path.parts) in (3, 4) and path.parts[-3] == part
