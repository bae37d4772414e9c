"""Read files of pictures: each one checked, cut and resized, every finding kept; and what pixels weigh and mean."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.parts.folders import Read, attempt
from variate.errors import DataError, UsageError, VariateError
from variate.files.reading import told

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = re.compile(r"(\d{1,4})(?:x(\d{1,4}))?")
BYTES_PER_VALUE = 5  # as read, and as a float
SHARE_OF_MEMORY = 0.7
CHUNK = 256  # pictures counted at once
SHOWN = 5  # findings of one kind in an error
Pixels = NDArray[np.uint8]


def size_of(text: str) -> tuple[int, int] | None:
    """Height and width; None to keep every picture as it is. Raises ``UsageError``."""
    match = SIZE.fullmatch(str(text))
    if text and (match is None or 0 in (sides := (int(match[1]), int(match[2] or match[1])))):
        raise UsageError(f"{text!r} is not a size of pictures", expected="HEIGHTxWIDTH, such as 48x64, or one number")
    return sides if text else None


def check_options(channels: int, background: str) -> None:
    """Check the options of a reader of pictures. Raises ``UsageError``."""
    from PIL import ImageColor

    if channels not in (0, 1, 3):
        raise UsageError(f"pictures cannot have {channels} channels", expected="1 for gray, 3 for color")
    try:
        if background:
            ImageColor.getrgb(background)
    except ValueError as error:
        raise UsageError(f"{background!r} is not a color", expected="a name or #RRGGBB, such as white") from error


def picture_in(
    path: PurePosixPath, read: Read, findings: list[str], convert: Callable[[Image], Pixels]
) -> Pixels | None:
    """What ``convert`` makes of the opened picture of a file; None, and a finding, if it cannot be used."""
    from PIL import UnidentifiedImageError
    from PIL.Image import open as open_picture

    content = attempt(read, path, findings)
    if content is None:
        return None
    if not content:
        findings.append(f"{path} is empty")
        return None
    try:
        with open_picture(io.BytesIO(content)) as opened:
            return convert(opened)
    except VariateError as error:
        findings.append(error.problem)
    except UnidentifiedImageError:
        findings.append(f"{path} is not a picture of a format that is read")
    except Exception as error:  # damaged files raise many kinds of errors
        findings.append(f"{path} cannot be read: {told(error)}")
    return None


def fitted(pixels: Pixels, size: tuple[int, int] | None, *, nearest: bool = False) -> Pixels:
    """The largest centered part of a shape, resized to it by a bicubic filter, or by the nearest pixel."""
    from PIL import ImageOps
    from PIL.Image import Resampling, fromarray

    if size is None or pixels.shape[:2] == size:
        return pixels
    method = Resampling.NEAREST if nearest else Resampling.BICUBIC
    return np.asarray(ImageOps.fit(fromarray(pixels), (size[1], size[0]), method=method))


def with_channels(pixels: Pixels, colored: bool) -> Pixels:
    """Pixels of shape (H, W, C): gray ones are repeated if others are colored."""
    if pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[..., None], 3 if colored else 1, axis=2)


def several_sizes(sizes: Counter[tuple[int, int]], source: Path, dataset: str) -> DataError:
    """The error for pictures of several sizes, counted by height and width."""
    most = [f"{height}x{width}: {count:,} pictures" for (height, width), count in sizes.most_common(SHOWN)]
    more = [f"and {len(sizes) - SHOWN} more sizes"] if len(sizes) > SHOWN else []
    smallest = min(min(size) for size in sizes)
    return DataError(
        f"the pictures of {source} have {len(sizes)} sizes (height x width)",
        findings=[*most, *more],
        expected="one size, or the size that all are to be cut and resized to",
        todo=f"--data '{dataset}(size={min(smallest, 224)})' --data-folder {source}",
    )


def check_memory(values: int, source: Path, dataset: str) -> None:
    """Check that so many values fit into memory, before they are read. Raises ``DataError``."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return
    if values * BYTES_PER_VALUE > SHARE_OF_MEMORY * memory:
        raise DataError(
            f"the pictures of {source} need {values * BYTES_PER_VALUE / 2**30:.0f} GiB of memory, and this machine has "
            f"{memory / 2**30:.0f}",
            todo=f"make them smaller: --data '{dataset}(size=64)' --data-folder {source}",
        )


def moments(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
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
