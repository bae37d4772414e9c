"""Images in class folders, in a directory or a zip archive: PART/CLASS/NAME.jpg, the most common layout."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from variate.datasets.parts.folders import Read, tree_of
from variate.datasets.parts.pictures import pixels_of
from variate.errors import DataError
from variate.files.reading import reading

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
OTHERS = (
    ".avif", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".npy", ".npz", ".pbm", ".pgm", ".pnm", ".ppm",
    ".raw", ".svg", ".tga", ".tif", ".tiff", ".webp",
)  # fmt: skip  # formats of images that are refused, so that none is left out without notice
PARTS = ("train", "validation", "test")
SHOWN = 5  # findings of one kind in an error


def class_folders(source: Path, part: str, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images of one part, sorted by class and then by file name.

    Classes are numbered once, by the names of the class folders of all parts. Hidden files and folders are passed over.

    Args:
        source: a directory or zip archive with files ``part/CLASS/NAME``, at its top or inside one folder.
        part: name of the part, such as ``train``.
        shape: shape of one image, (C, H, W), with C 1 or 3.

    Returns:
        Images, shape (N, C, H, W), and labels, shape (N,).

    Raises:
        DataError: if the part is missing, an image cannot be read or has another size, files would be left out, or a
            class is not in the training part.
    """
    with tree_of(source) as tree:
        return _read(_classified(tree.files, part, source), part, shape, source, tree.read)


def _classified(paths: Sequence[PurePosixPath], part: str, source: Path) -> dict[PurePosixPath, int]:
    """The images of a part, sorted by class and name, with their labels. Raises ``DataError``."""
    left_out = list(_left_out(paths, part))
    if left_out:
        more = [f"and {len(left_out) - SHOWN} more"] if len(left_out) > SHOWN else []
        raise DataError(
            f"{source} has images in {part} that would be left out",
            findings=[*left_out[:SHOWN], *more],
            expected=f"files {part}/CLASS/NAME that end in {', '.join(SUFFIXES)}",
            todo="convert or move these files",
        )
    images = [path for path in paths if path.suffix.lower() in SUFFIXES and len(path.parts) in (3, 4)]
    classes: dict[str, set[str]] = {}
    for path in images:
        if path.parts[-3] in {*PARTS, part}:
            classes.setdefault(path.parts[-3], set()).add(path.parts[-2])
    if part not in classes:
        raise DataError(f"{source} has no images in {part}/CLASS/", expected=f"files {', '.join(SUFFIXES)}")
    names = set().union(*classes.values())
    unseen = names - classes.get("train", names)
    if unseen:
        raise DataError(
            f"{source} has classes that are not in train: {', '.join(sorted(unseen)[:SHOWN])}",
            todo="move these folders away, or add images of these classes to train",
        )
    numbers = {name: i for i, name in enumerate(sorted(names))}
    own = sorted(
        (path for path in images if path.parts[-3] == part), key=lambda path: (path.parts[-2], path.name, path)
    )
    return {path: numbers[path.parts[-2]] for path in own}


def _left_out(paths: Sequence[PurePosixPath], part: str) -> Iterator[str]:
    """Files of a part that hold images and would not be read, each with the reason."""
    for path in sorted(paths):
        nested = len(path.parts) > 3 and path.parts[1] == part  # inside one folder
        if (path.parts[0] != part and not nested) or path.suffix.lower() not in (*SUFFIXES, *OTHERS):
            continue
        depth = len(path.parts) - nested  # 3 for PART/CLASS/NAME
        if depth != 3:
            yield f"{path}: {'in a folder below its class' if depth > 3 else 'in no class folder'}"
        elif path.suffix.lower() in OTHERS:
            yield f"{path}: files of this format are not read"


def _read(
    labels: Mapping[PurePosixPath, int], part: str, shape: tuple[int, ...], source: Path, read: Read
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images, shape (N, C, H, W), and labels, shape (N,). Raises ``DataError``."""
    from PIL import Image

    images = np.empty((len(labels), *shape), np.uint8)
    for i, path in enumerate(labels):
        name = f"{part}/{path.parts[-2]}/{path.name} in {source}"
        refusal = reading(name, DataError, expected="an image", todo="replace the file, or remove it")
        with refusal, Image.open(io.BytesIO(read(path))) as image:
            _check_size(image.size, name, shape)  # before anything is decoded
            pixels = pixels_of(image, name, channels=shape[0])
        _check_size((pixels.shape[1], pixels.shape[0]), name, shape, turned=False)
        images[i] = pixels.reshape(*shape[1:], shape[0]).transpose(2, 0, 1)
    return images, np.array([*labels.values()], dtype=np.int64)


def _check_size(size: tuple[int, int], name: str, shape: tuple[int, ...], *, turned: bool = True) -> None:
    """Check width and height; ``turned`` also accepts those of a picture that is still to be turned by 90 degrees."""
    width, height = size
    if (height, width) != shape[1:] and not (turned and (width, height) == shape[1:]):
        raise DataError(f"{name} has {width}x{height} pixels", expected=f"{shape[2]}x{shape[1]}, like the others")
