"""Pictures of any kind as 8-bit pixels: palettes, 1-bit and 16-bit gray, CMYK, transparency, pictures to be turned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from variate.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
    ".jp2",
)  # fmt: skip  # of pictures that are read
GRAY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I")  # modes of one channel, besides transparency
SIXTEEN = ("PNG", "PPM")  # formats whose mode "I" has 16 bits
BITS_PER_SAMPLE = 258  # number of this tag of TIFF
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # modes of 16-bit gray


def pixels_of(
    picture: Image, name: str, *, channels: int | None = None, background: str | None = None
) -> NDArray[np.uint8]:
    """The pixels of a picture as it is meant to be seen, shape (H, W) or (H, W, 3).

    The turn in its EXIF data is applied, palettes and other color spaces become RGB or gray, and 16-bit gray is scaled
    to 8 bits.

    Args:
        picture: opened picture.
        name: its name, for error messages.
        channels: 1 for gray, 3 for RGB; by default gray for pictures in gray.
        background: color, as CSS writes it, that is seen through transparent pixels; by default they are refused.

    Raises:
        DataError: for pictures with transparent pixels, several frames, or values of unknown range.
    """
    from PIL import ImageOps
    from PIL.Image import alpha_composite, new

    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a photo of a telephone, with previews as further frames
        raise DataError(f"{name} has {frames} frames", expected="one picture per file", todo="save one frame of it")
    gray = picture.mode in GRAY if channels is None else channels == 1
    turned = ImageOps.exif_transpose(picture)
    if turned.mode == "F" or (turned.mode == "I" and picture.format not in SIXTEEN):
        raise DataError(
            f"{name} has 32-bit values, whose range is not known", todo="scale it to 8 or 16 bits and save it as PNG"
        )
    if turned.mode in DEEP:
        values = np.asarray(turned)
        shades = _eight_bits(values, name, highest=2 ** _bits(picture) - 1)
        clear = values == turned.info.get("transparency", -1)
        if clear.any():
            shades[clear] = np.asarray(new("L", (1, 1), _background(name, background)))[0, 0]
        return shades if gray else np.repeat(shades[..., None], 3, axis=2)
    if ("A" in turned.mode.upper() and turned.mode != "LAB") or "transparency" in turned.info:
        turned = turned.convert("RGBA")
        if turned.getchannel("A").getextrema() != (255, 255):
            turned = alpha_composite(new("RGBA", turned.size, _background(name, background)), turned)
    color = turned.convert("RGB") if turned.mode not in ("1", "L") else turned
    return np.asarray(color.convert("L" if gray else "RGB"))


def _background(name: str, background: str | None) -> str:
    """The color behind transparent pixels, if it is known. Raises ``DataError``."""
    if background is None:
        raise DataError(
            f"{name} has transparent pixels, and their background is not known",
            todo="paste it onto a background and save it without transparency",
        )
    return background


def _bits(picture: Image) -> int:
    """Bits of a shade of 16-bit gray: 16, or fewer where a TIFF file says so."""
    bits = getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
    return int(bits[0] if isinstance(bits, tuple) else bits)


def _eight_bits(values: NDArray[np.generic], name: str, *, highest: int) -> NDArray[np.uint8]:
    """Deeper shades as 8-bit ones: the highest, such as 65,535, becomes 255."""
    shades = values.astype(np.int64)
    if shades.size and not 0 <= int(shades.min()) <= int(shades.max()) <= highest:
        raise DataError(f"{name} has values from {shades.min()} to {shades.max()}", expected=f"0 to {highest:,}")
    eight: NDArray[np.uint8] = ((shades * 255 + highest // 2) // highest).astype(np.uint8)
    return eight
