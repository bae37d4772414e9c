"""Pictures of your own in class folders, of any size and kind."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.folders import (
    Layout,
    Read,
    existing,
    laid_out,
    refuse_unreadable,
    splits_of,
    tree_of,
    warn_of_left_out,
)
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.picture_files import (
    Pixels,
    check_memory,
    check_options,
    fitted,
    moments,
    picture_in,
    several_sizes,
    size_of,
    with_channels,
)
from variate.datasets.parts.pictures import SUFFIXES, pixels_of
from variate.datasets.parts.repeats import digests, warn_of_repeats
from variate.datasets.splits import check_split
from variate.registry import dataset


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
    wanted = size_of(size)
    check_options(channels, background)
    with tree_of(source) as tree:
        layout = laid_out(tree, SUFFIXES, source)
        pictures = _read(layout, tree.read, source, wanted, channels, background or None)  # (N, C, H, W)
    x, y = torch.from_numpy(pictures), torch.tensor(layout.labels)
    splits = {name: (x[rows], y[rows]) for name, rows in splits_of(layout).items()}
    warn_of_left_out(layout.left_out, source)
    warn_of_repeats(source, {name: digests(part) for name, (part, _) in splits.items()})
    train = splits["train"][0]
    means, deviations = moments(train)
    facts = About("image", tuple(x.shape[1:]), len(layout.classes), means, deviations, "linf:8/255", layout.classes)
    return Loaded(facts, splits, is_cut=layout.members[0].split is None)


def _read(
    layout: Layout, read: Read, source: Path, size: tuple[int, int] | None, channels: int, background: str | None
) -> Pixels:
    """All pictures, shape (N, C, H, W). Raises ``DataError`` that lists every one that cannot be used."""
    pictures: list[Pixels] = []
    sizes: Counter[tuple[int, int]] = Counter()
    findings: list[str] = []
    for member in layout.members:
        convert = partial(pixels_of, name=str(member.path), channels=channels or None, background=background)
        whole = picture_in(member.path, read, findings, convert)
        if whole is None:
            continue
        pixels = fitted(whole, size)
        if not sizes:
            check_memory(len(layout.members) * pixels.size, source, "images")
        sizes[pixels.shape[0], pixels.shape[1]] += 1
        if len(sizes) == 1:  # with another size nothing is kept: the sizes are told
            pictures.append(pixels)
    transparent = any("transparent" in finding for finding in findings)
    color = f"give the color behind them: --data 'images(background=white)' --data-folder {source}"
    refuse_unreadable(findings, source, todo=color if transparent else None)
    if len(sizes) > 1:
        raise several_sizes(sizes, source, "images")
    colored = any(pixels.ndim == 3 for pixels in pictures)
    stacked = np.stack([with_channels(pixels, colored) for pixels in pictures])  # (N, H, W, C)
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))
