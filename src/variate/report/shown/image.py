"""Original and adversarial images with their magnified difference, embedded in the page."""

from __future__ import annotations

import base64
import colorsys
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from variate.records.schema import TASK, Picture
from variate.report.attacked import Display


@dataclass(frozen=True)
class ImagePair:
    """One example's images as data URLs.

    Attributes:
        original, adversarial: the images.
        difference: ``factor * (adversarial - original)``, centered on middle gray.
        factor: magnification of the difference.
        masks: the mask of the label and that of the answer, if the answer is one; else none.
    """

    original: str
    adversarial: str
    difference: str
    factor: int
    masks: tuple[str, ...] = ()


def image_pair(picture: Picture) -> ImagePair:
    """Display of one example: 8-bit pixels, shape (C, H, W)."""
    original, adversarial = (_values(pixels, picture.shape) for pixels in (picture.original, picture.adversarial))
    change = adversarial.astype(np.int16) - original
    factor = max(1, 127 // max(1, int(np.abs(change).max())))
    difference = np.clip(128 + factor * change, 0, 255).astype(np.uint8)
    shown = picture.details.get(TASK, {})
    masks = tuple(_mask(shown[name], shown["shape"]) for name in ("label", "answer")) if "shape" in shown else ()
    return ImagePair(_data_url(original), _data_url(adversarial), _data_url(difference), factor, masks)


def _mask(classes: str, shape: list[int]) -> str:
    """A map of classes in the colors of the report: 0 is black, and gray is what does not count."""
    values = np.frombuffer(bytes.fromhex(classes), np.uint8).reshape(shape[-2:])  # (H, W)
    colors = np.zeros((256, 3), np.uint8)
    for index in range(1, 255):
        hue = (index - 1) * 0.618 % 1
        colors[index] = [round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.35 + 0.3 * (index % 2), 0.75)]
    colors[255] = 128
    return _data_url(colors[values].transpose(2, 0, 1))


def _values(pixels: str, shape: list[int]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(pixels), np.uint8).reshape(shape)  # (C, H, W)


def _data_url(values: NDArray[np.uint8]) -> str:
    image = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))  # (H, W) or (H, W, C)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


DISPLAY = Display(
    title="Originals and adversarial inputs",
    text="Original, adversarial input, and their magnified difference (middle gray: no change).",
    most=6,
    show=image_pair,
)
