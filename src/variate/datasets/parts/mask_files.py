"""Pictures and their masks in two folders: which belong together, and the classes of the pixels of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from variate.datasets.parts.folders import split_named
from variate.datasets.parts.palettes import IGNORED, Color, Palette
from variate.datasets.parts.pictures import DEEP, SUFFIXES
from variate.datasets.splits import SplitName
from variate.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES, MASKS = "images", "masks"  # names of the folders, in any case
ENDING = "_mask"  # that the name of a mask may have
LOSSY = (".jpg", ".jpeg", ".jfif", ".jp2")
LAYOUT = (
    "folders images/ and masks/ with files of the same names; train, validation (val, valid, dev) and test are folders "
    "in both, or around both"
)
MOST_NUMBERS = 64  # different classes in one mask; more are shades
SHOWN = 3  # colors in a finding
ORIENTATION = 274  # number of this tag of EXIF
Classes = NDArray[np.uint8]
_Key = tuple[SplitName | None, tuple[str, ...], str]


class Pair(NamedTuple):
    """The paths of a picture and its mask, and their split, None without splits."""

    picture: PurePosixPath
    mask: PurePosixPath
    split: SplitName | None


def has_masks(files: Sequence[PurePosixPath]) -> bool:
    """Whether a source has masks of pictures, and not classes of these names: some files in both have the same name."""
    pictures, masks = _keyed(files, PICTURES), _keyed(files, MASKS)
    return bool(set(pictures) & set(masks))


def paired(files: Sequence[PurePosixPath], findings: list[str]) -> list[Pair]:
    """The pictures with their masks, by name; a finding for every file without the other, and for names used twice."""
    pictures, masks = _keyed(files, PICTURES), _keyed(files, MASKS)
    for sides in (pictures, masks):
        for paths in sides.values():
            findings += [f"{path} has the name of {paths[0].name} in the same folder" for path in paths[1:]]
    findings += [f"{pictures[key][0]} has no mask" for key in pictures if key not in masks]
    findings += [f"{masks[key][0]} is the mask of no picture" for key in masks if key not in pictures]
    return [Pair(paths[0], masks[key][0], key[0]) for key, paths in pictures.items() if key in masks]


def turned(picture: Image, name: str) -> None:
    """Refuse a picture that its EXIF data turns, for masks have none. Raises ``DataError``."""
    if picture.getexif().get(ORIENTATION, 1) != 1:
        raise DataError(f"{name} is turned by its EXIF data, and its mask is not: save it as it is seen")


def classes_in(mask: Image, name: str, palette: Palette | None) -> Classes:
    """The class of every pixel of a mask, shape (H, W); ``IGNORED`` where none counts.

    Numbers of a palette image, and shades of gray, are classes; with a ``palette``, the colors of a palette image are
    looked up, as those of a colored mask are, and shades of gray if the palette has nothing else.

    Raises:
        DataError: for unknown colors, numbers beyond the classes, several frames, and masks without classes.
    """
    if PurePosixPath(name).suffix.lower() in LOSSY:
        raise DataError(f"{name} is a JPEG, which changes the colors of a mask: save masks as PNG")
    if getattr(mask, "n_frames", 1) > 1:
        raise DataError(f"{name} has several frames")
    if mask.mode == "1":
        return np.asarray(mask).astype(np.uint8)
    if palette is not None and palette.gray and mask.mode == "L":
        mask = mask.convert("RGB")
    if mask.mode in ("L", *DEEP) or (mask.mode == "P" and palette is None):
        return _numbers(np.asarray(mask).astype(np.int64), name, palette)
    if mask.mode not in ("P", "RGB", "RGBA"):
        raise DataError(f"{name} has the mode {mask.mode}: a mask is gray, a palette image or RGB")
    colors = np.asarray(mask.convert("RGB")).astype(np.int64)  # (H, W, 3)
    if palette is not None:
        return _looked_up(colors, name, palette)
    if not (colors == colors[..., :1]).all():
        raise DataError(f"{name} is in color: say what the colors mean with palette=voc, cityscapes or FILE.csv")
    return _numbers(colors[..., 0], name, None)


def _numbers(values: NDArray[np.int64], name: str, palette: Palette | None) -> Classes:
    most = IGNORED if palette is None else len(palette.names)
    there = np.unique(values)
    beyond = there[(there >= most) & (there != IGNORED)]
    if len(beyond) or there[0] < 0:
        known = "the palette" if palette else "a mask"
        raise DataError(
            f"{name} has the class {beyond[0] if len(beyond) else there[0]}, and {known} has 0 to {most - 1}"
        )
    if len(there) > MOST_NUMBERS:
        raise DataError(f"{name} has {len(there)} shades: a mask has a number per class, without smooth edges")
    return values.astype(np.uint8)


def _looked_up(colors: NDArray[np.int64], name: str, palette: Palette) -> Classes:
    """The classes of colors, shape (H, W, 3). Raises ``DataError`` for colors that the palette lacks."""
    codes = (colors[..., 0] << 16) | (colors[..., 1] << 8) | colors[..., 2]  # (H, W)
    there, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    known = {(red << 16) | (green << 8) | blue: label for (red, green, blue), label in palette.classes.items()}
    unknown = [(_color(code), count) for code, count in zip(there.tolist(), counts, strict=True) if code not in known]
    if unknown:
        shown = ", ".join(f"{color} in {count:,} pixels" for color, count in unknown[:SHOWN])
        raise DataError(f"{name} has {len(unknown)} colors that the palette lacks: {shown}")
    labels = np.array([known[code] for code in there.tolist()], dtype=np.uint8)
    classes: Classes = labels[inverse.reshape(codes.shape)]
    return classes


def _color(code: int) -> Color:
    return code >> 16, (code >> 8) & 255, code & 255


def _keyed(files: Sequence[PurePosixPath], folder: str) -> dict[_Key, list[PurePosixPath]]:
    """The pictures in the folders of a name, by split, by the folders around them, and by their name."""
    found: dict[_Key, list[PurePosixPath]] = {}
    for path in sorted(files):
        names = [part.lower() for part in path.parts[:-1]]
        sides = [name for name in names if name in (PICTURES, MASKS)]
        if path.suffix.lower() not in SUFFIXES or not sides or sides[0] != folder:
            continue
        names.remove(folder)
        split = next((split for name in names if (split := split_named(name))), None)
        around = tuple(name for name in names if split is None or split_named(name) != split)
        stem = path.stem.removesuffix(ENDING) if folder == MASKS else path.stem
        found.setdefault((split, around, stem), []).append(path)
    return found
