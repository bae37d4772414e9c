"""An image beside its adversarial one and the magnified difference, as images inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from variate.records.schema import Picture
from variate.report.attacked import Display


@dataclass(frozen=True)
class Pair:
    """One example's images as data addresses.

    Attributes:
        original, adversarial: the images.
        difference: adversarial less original, ``factor`` times as large, about middle gray.
        factor: how much it is magnified.
    """

    original: str
    adversarial: str
    difference: str
    factor: int


def pair(picture: Picture) -> Pair:
    """The images of one example: 8-bit pixels, shape (C, H, W)."""
    original, adversarial = (_values(pixels, picture.shape) for pixels in (picture.original, picture.adversarial))
    moved = adversarial.astype(np.int16) - original
    factor = max(1, 127 // max(1, int(np.abs(moved).max())))
    difference = np.clip(128 + factor * moved, 0, 255).astype(np.uint8)
    return Pair(_address(original), _address(adversarial), _address(difference), factor)


def _values(pixels: str, shape: list[int]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(pixels), np.uint8).reshape(shape)  # (C, H, W)


def _address(values: NDArray[np.uint8]) -> str:
    image = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))  # (H, W) or (H, W, C)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


DISPLAY = Display(
    title="Originals and adversarial inputs",
    text="Original, adversarial input, and their difference about middle gray, magnified as it says.",
    most=6,
    show=pair,
)
