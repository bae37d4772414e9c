"""Pictures of your own in class folders, of any size and kind."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.folders import (
    Layout,
    Read,
    attempt,
    existing,
    laid_out,
    refuse_unreadable,
    splits_of,
    tree_of,
    warn_of_left_out,
)
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.pictures import SUFFIXES, pixels_of
from variate.datasets.parts.repeats import digests, warn_of_repeats
from variate.datasets.splits import check_split
from variate.errors import DataError, UsageError, VariateError
from variate.files.reading import told
from variate.registry import dataset

SIZE = re.compile(r"(\d{1,4})(?:x(\d{1,4}))?")
BYTES_PER_VALUE = 5  # as read, and as a float
SHARE_OF_MEMORY = 0.7
CHUNK = 256  # pictures counted at once
SHOWN = 5  # findings of one kind in an error
Pixels = NDArray[np.uint8]


@dataset(modality="image", budget="linf:8/255", cite="your own pictures")
def images(
    split: str, *, folder: Path | None = None, size: str = "", channels: int = 0, background: str = ""
) -> tuple[Tensor, Tensor]:
    """Your own pictures, in a folder or zip archive of CLASS/NAME or SPLIT/CLASS/NAME; for short ``--data FOLDER/``.

    Splits are named train, validation (val, valid, dev) and test. Without splits, a tenth of every class is held out
    for validation and a tenth for testing, by one fixed permutation; without validation, a tenth of every class of
    train is; without test, the given validation split becomes the test split. Classes are numbered once for all
    splits, in the order of their names, whole numbers by value. Hidden files are passed over; files of other formats
    and in no class folder are left out and named.

    JPEG, PNG, BMP, GIF, TIFF, WebP, PPM, TGA and JPEG 2000 are read as they are seen: turned as their EXIF data says,
    palettes, 1-bit and CMYK converted, 12- and 16-bit gray scaled to 8 bits. Floats are refused: their range is not
    known.

    Args:
        split: ``train``, ``validation`` or ``test``; each is shuffled by one fixed permutation.
        folder: the folder or zip archive.
        size: HEIGHTxWIDTH, or one number for both: the largest centered part of that shape is cut out and resized by a
            bicubic filter with antialiasing. By default pictures stay as they are, and all must have one size.
        channels: 1 for gray, 3 for color; by default gray if all pictures are gray.
        background: color seen through transparent pixels, such as ``white`` or ``#808080``; by default pictures with
            transparent pixels are refused.

    Returns:
        Inputs in [0, 1], shape (N, C, H, W), and labels, shape (N,).

    Raises:
        DataError: if there are no class folders, or pictures cannot be used; it lists them with the reasons.
        UsageError: for options that are not valid.
    """
    name = check_split(split)
    return _floats(*_pictures(existing(folder, "images", "pictures"), size, channels, background).splits[name])


def about(folder: Path | None = None, *, size: str = "", channels: int = 0, background: str = "") -> About:
    """The facts of the pictures. Raises ``DataError``."""
    return _pictures(existing(folder, "images", "pictures"), size, channels, background).about


def whole(
    folder: Path | None = None, *, size: str = "", channels: int = 0, background: str = ""
) -> tuple[Tensor, Tensor]:
    """All pictures of a folder without splits, otherwise those of its test split. Raises ``DataError``."""
    return _floats(*_pictures(existing(folder, "images", "pictures"), size, channels, background).whole())


def _floats(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return pixels.to(torch.float32).div_(255), labels


@read_once
def _pictures(source: Path, size: str, channels: int, background: str) -> Loaded:
    wanted = _size(size)
    _check_options(channels, background)
    with tree_of(source) as tree:
        layout = laid_out(tree, SUFFIXES, source)
        pictures = _read(layout, tree.read, source, wanted, channels, background or None)  # (N, C, H, W)
    x, y = torch.from_numpy(pictures), torch.tensor(layout.labels)
    splits = {name: (x[rows], y[rows]) for name, rows in splits_of(layout).items()}
    warn_of_left_out(layout.left_out, source)
    warn_of_repeats(source, {name: digests(part) for name, (part, _) in splits.items()})
    train = splits["train"][0]
    means, deviations = _moments(train)
    facts = About("image", tuple(x.shape[1:]), len(layout.classes), means, deviations, "linf:8/255", layout.classes)
    return Loaded(facts, splits, is_cut=layout.members[0].split is None)


def _size(text: str) -> tuple[int, int] | None:
    """Height and width; None to keep every picture as it is. Raises ``UsageError``."""
    match = SIZE.fullmatch(str(text))
    if text and (match is None or 0 in (sides := (int(match[1]), int(match[2] or match[1])))):
        raise UsageError(f"{text!r} is not a size of pictures", expected="HEIGHTxWIDTH, such as 48x64, or one number")
    return sides if text else None


def _check_options(channels: int, background: str) -> None:
    from PIL import ImageColor

    if channels not in (0, 1, 3):
        raise UsageError(f"pictures cannot have {channels} channels", expected="1 for gray, 3 for color")
    try:
        if background:
            ImageColor.getrgb(background)
    except ValueError as error:
        raise UsageError(f"{background!r} is not a color", expected="a name or #RRGGBB, such as white") from error


def _read(
    layout: Layout, read: Read, source: Path, size: tuple[int, int] | None, channels: int, background: str | None
) -> Pixels:
    """All pictures, shape (N, C, H, W). Raises ``DataError`` that lists every one that cannot be used."""
    pictures: list[Pixels] = []
    sizes: Counter[tuple[int, int]] = Counter()
    findings: list[str] = []
    for member in layout.members:
        pixels = _pixels(member.path, read, findings, size, channels, background)
        if pixels is None:
            continue
        if not sizes:
            _check_memory(len(layout.members) * pixels.size, source)
        sizes[pixels.shape[0], pixels.shape[1]] += 1
        if len(sizes) == 1:  # with another size nothing is kept: the sizes are told
            pictures.append(pixels)
    transparent = any("transparent" in finding for finding in findings)
    color = f"give the color behind them: --data 'images(background=white)' --data-folder {source}"
    refuse_unreadable(findings, source, todo=color if transparent else None)
    if len(sizes) > 1:
        raise _different(sizes, source)
    colored = any(pixels.ndim == 3 for pixels in pictures)
    stacked = np.stack([_with_channels(pixels, colored) for pixels in pictures])  # (N, H, W, C)
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))


def _pixels(
    path: PurePosixPath,
    read: Read,
    findings: list[str],
    size: tuple[int, int] | None,
    channels: int,
    background: str | None,
) -> Pixels | None:
    """The pixels of one picture, shape (H, W) or (H, W, 3); None, and a finding, if it cannot be used."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    content = attempt(read, path, findings)
    if content is None:
        return None
    if not content:
        findings.append(f"{path} is empty")
        return None
    try:
        with Image.open(io.BytesIO(content)) as opened:
            pixels = pixels_of(opened, str(path), channels=channels or None, background=background)
    except VariateError as error:
        findings.append(error.problem)
        return None
    except UnidentifiedImageError:
        findings.append(f"{path} is not a picture of a format that is read")
        return None
    except Exception as error:  # damaged files raise many kinds of errors
        findings.append(f"{path} cannot be read: {told(error)}")
        return None
    if size is None or pixels.shape[:2] == size:
        return pixels
    picture = Image.fromarray(pixels)
    return np.asarray(ImageOps.fit(picture, (size[1], size[0]), method=Image.Resampling.BICUBIC))


def _with_channels(pixels: Pixels, colored: bool) -> Pixels:
    """Pixels of shape (H, W, C): gray ones are repeated if others are colored."""
    if pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[..., None], 3 if colored else 1, axis=2)


def _different(sizes: Counter[tuple[int, int]], source: Path) -> DataError:
    most = [f"{height}x{width}: {count:,} pictures" for (height, width), count in sizes.most_common(SHOWN)]
    more = [f"and {len(sizes) - SHOWN} more sizes"] if len(sizes) > SHOWN else []
    smallest = min(min(size) for size in sizes)
    return DataError(
        f"the pictures of {source} have {len(sizes)} sizes (height x width)",
        findings=[*most, *more],
        expected="one size, or the size that all are to be cut and resized to",
        todo=f"--data 'images(size={min(smallest, 224)})' --data-folder {source}",
    )


def _check_memory(values: int, source: Path) -> None:
    """Check that so many values fit into memory, before they are read. Raises ``DataError``."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return
    if values * BYTES_PER_VALUE > SHARE_OF_MEMORY * memory:
        raise DataError(
            f"the pictures of {source} need {values * BYTES_PER_VALUE / 2**30:.0f} GiB of memory, and this machine has "
            f"{memory / 2**30:.0f}",
            todo=f"make them smaller: --data 'images(size=64)' --data-folder {source}",
        )


def _moments(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel of pixels in [0, 255], shape (N, C, H, W), as parts of 255."""
    means, deviations = [], []
    for channel in range(pixels.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for start in range(0, len(pixels), CHUNK):
            counts += torch.bincount(pixels[start : start + CHUNK, channel].flatten(), minlength=256)
        shades = torch.arange(256, dtype=torch.float64) / 255
        share = counts / counts.sum()
        mean = float((share * shades).sum())
        deviation = float((share * (shades - mean) ** 2).sum().sqrt())
        means.append(round(mean, 6))
        deviations.append(round(deviation, 6) or 1.0)
    return tuple(means), tuple(deviations)
