"""Pictures of your own with masks: a class for every pixel."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.folders import (
    Layout,
    Member,
    Tree,
    existing,
    refuse_unreadable,
    splits_of,
    tree_of,
    warn_of_left_out,
)
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.mask_files import LAYOUT, Classes, Pair, classes_in, paired, turned
from variate.datasets.parts.palettes import IGNORED, Palette, palette_of
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
from variate.errors import DataError
from variate.registry import dataset

if TYPE_CHECKING:
    from PIL.Image import Image

SPARE = 32  # numbers below the largest that masks without a palette may leave out


@dataset(modality="image", budget="linf:8/255", cite="your own pictures and masks")
def masks(
    split: str,
    *,
    folder: Path | None = None,
    size: str = "",
    channels: int = 0,
    background: str = "",
    palette: str = "",
) -> tuple[Tensor, Tensor]:
    """Your own pictures with masks, in a folder or zip archive of images/NAME and masks/NAME; short ``--data FOLDER/``.

    A picture and its mask have one name, apart from the suffix and an ending ``_mask``. Splits are named train,
    validation (val, valid, dev) and test, as folders in images and masks or around them; without them, tenths are held
    out, as ``images`` does it.

    The numbers of a palette image (VOC), or the shades of a gray mask (train ids of Cityscapes), are the classes, and
    255 marks pixels that do not count. Masks of nothing but 0 and 255 are black and white: white is class 1. Colored
    masks, and shades that are not numbers of classes, need a palette.

    Args:
        split: ``train``, ``validation`` or ``test``; each is shuffled by one fixed permutation.
        folder: the folder or zip archive.
        size: HEIGHTxWIDTH, or one number for both: the largest centered part of that shape is cut out of both and
            resized, pictures by a bicubic filter and masks by the nearest pixel. By default all must have one size.
        channels: 1 for gray, 3 for color; by default gray if all pictures are gray.
        background: color seen through transparent pixels of pictures; by default these are refused.
        palette: ``voc``, ``cityscapes``, or a CSV file with the columns name, r, g and b; it names the classes.

    Returns:
        Inputs in [0, 1], shape (N, C, H, W), and classes, shape (N, H, W), -1 where none counts.

    Raises:
        DataError: for files that cannot be used: without picture or mask, of different sizes, of unknown colors, and
            others; it lists them with the reasons.
        UsageError: for options that are not valid.
    """
    name = check_split(split)
    return _tensors(*_read(_folder(folder), size, channels, background, palette).splits[name])


def about(
    folder: Path | None = None, *, size: str = "", channels: int = 0, background: str = "", palette: str = ""
) -> About:
    """The facts of the pictures. Raises ``DataError``."""
    return _read(_folder(folder), size, channels, background, palette).about


def whole(
    folder: Path | None = None, *, size: str = "", channels: int = 0, background: str = "", palette: str = ""
) -> tuple[Tensor, Tensor]:
    """All pictures of a folder without splits, otherwise those of its test split. Raises ``DataError``."""
    return _tensors(*_read(_folder(folder), size, channels, background, palette).whole())


def _folder(folder: Path | None) -> Path:
    return existing(folder, "masks", "pictures and masks", layout=LAYOUT)


class _Options(NamedTuple):
    size: tuple[int, int] | None
    channels: int
    background: str | None
    palette: Palette | None


def _tensors(pixels: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    labels = classes.to(torch.int64)
    return pixels.to(torch.float32).div_(255), labels.masked_fill_(labels == IGNORED, -1)


@read_once
def _read(source: Path, size: str, channels: int, background: str, palette: str) -> Loaded:
    check_options(channels, background)
    options = _Options(size_of(size), channels, background or None, palette_of(palette))
    findings: list[str] = []
    with tree_of(source) as tree:
        pairs = paired(tree.files, findings)
        _check_layout(pairs, findings, source)
        x, y = _stacked(tree, pairs, findings, source, options)
    members = tuple(Member(pair.picture, pair.split, "") for pair in pairs)
    rows = splits_of(Layout(members, ("",), ()))
    splits = {name: (x[indices], y[indices]) for name, indices in rows.items()}
    used = {path for pair in pairs for path in pair[:2]}
    left_out = [path for path in tree.files if path not in used and path.name != Path(palette).name]
    warn_of_left_out([f"{path}: is no picture or mask" for path in left_out], source)
    warn_of_repeats(source, {name: digests(part) for name, (part, _) in splits.items()})
    names = options.palette.names if options.palette else ()
    classes = len(names) or max(2, int(y[y != IGNORED].max()) + 1)
    means, deviations = moments(splits["train"][0])
    facts = About("image", tuple(x.shape[1:]), classes, means, deviations, "linf:8/255", names, task="positions")
    return Loaded(facts, splits, is_cut=pairs[0].split is None)


def _check_layout(pairs: list[Pair], findings: list[str], source: Path) -> None:
    """Check that there are pictures with masks, all or none of them in splits. Raises ``DataError``."""
    splits = {pair.split for pair in pairs}
    if not pairs:
        raise DataError(
            f"{source} has no picture with a mask", findings=findings[:20], expected=f"{LAYOUT}; {SUFFIXES}"
        )
    if len(splits) > 1 and None in splits:
        loose = next(pair.picture for pair in pairs if pair.split is None)
        raise DataError(f"{source} has {loose} beside splits", expected=LAYOUT, todo="move it into a split")
    if None not in splits and "train" not in splits:
        raise DataError(f"{source} has no train split, only {', '.join(sorted(map(str, splits)))}", expected=LAYOUT)


def _stacked(
    tree: Tree, pairs: list[Pair], findings: list[str], source: Path, options: _Options
) -> tuple[Tensor, Tensor]:
    """Pixels, shape (N, C, H, W), and classes, (N, H, W). Raises ``DataError`` that lists everything that is wrong."""
    pictures: list[Pixels] = []
    labels: list[Classes] = []
    sizes: Counter[tuple[int, int]] = Counter()
    for pair in pairs:
        both = _pair(tree, pair, findings, options)
        if both is None:
            continue
        pixels, classes = both
        if not sizes:
            check_memory(len(pairs) * (pixels.size + 2 * classes.size), source, "masks")
        sizes[classes.shape[0], classes.shape[1]] += 1
        if len(sizes) == 1:  # with another size nothing is kept: the sizes are told
            pictures.append(pixels)
            labels.append(classes)
    refuse_unreadable(findings, source)
    if len(sizes) > 1:
        raise several_sizes(sizes, source, "masks")
    colored = any(pixels.ndim == 3 for pixels in pictures)
    stacked = np.stack([with_channels(pixels, colored) for pixels in pictures])  # (N, H, W, C)
    y = np.stack(labels)
    if options.palette is None:
        y = _numbered(y, source)
    _refuse_ignored(pairs, y, source)
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))), torch.from_numpy(y)


def _pair(tree: Tree, pair: Pair, findings: list[str], options: _Options) -> tuple[Pixels, Classes] | None:
    """Pixels and classes of one picture in the size that is wanted; None, and findings, if they cannot be used."""

    def pixels_in(opened: Image) -> Pixels:
        turned(opened, str(pair.picture))
        return pixels_of(opened, str(pair.picture), channels=options.channels or None, background=options.background)

    pixels = picture_in(pair.picture, tree.read, findings, pixels_in)
    convert = partial(classes_in, name=str(pair.mask), palette=options.palette)
    classes = picture_in(pair.mask, tree.read, findings, convert)
    if pixels is None or classes is None:
        return None
    if pixels.shape[:2] != classes.shape:
        sides = " and ".join("x".join(map(str, part.shape[:2])) for part in (pixels, classes))
        findings.append(f"{pair.picture} and {pair.mask} are {sides} (height x width)")
        return None
    return fitted(pixels, options.size), fitted(classes, options.size, nearest=True)


def _numbered(y: Classes, source: Path) -> Classes:
    """Classes without a palette: 0 and 1 if masks are black and white. Raises ``DataError`` for numbers far apart."""
    used = set(np.unique(y).tolist()) - {IGNORED}
    if not used - {0}:
        return np.where(y == IGNORED, np.uint8(1), np.uint8(0))
    if max(used) >= 2 * len(used) + SPARE:
        raise DataError(
            f"the masks of {source} hold {len(used)} numbers up to {max(used)}",
            findings=[", ".join(map(str, sorted(used)[:20]))],
            expected="classes that count from 0",
            todo="say what the shades mean: --data 'masks(palette=FILE.csv)' with the columns name, r, g, b",
        )
    return y


def _refuse_ignored(pairs: list[Pair], y: Classes, source: Path) -> None:
    empty = (y == IGNORED).reshape(len(y), -1).all(1)
    findings = [f"{pair.mask}: no pixel counts" for pair, bad in zip(pairs, empty, strict=True) if bad]
    refuse_unreadable(findings, source)
