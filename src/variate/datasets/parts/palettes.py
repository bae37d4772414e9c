"""Palettes: which class a color of a mask stands for, and the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from variate.datasets.parts.csv import SHOWN, read_csv
from variate.errors import DataError, unknown_name

IGNORED = 255  # in masks of 8 bits, the number of pixels that do not count
NOT_COUNTED = ("ignored", "void")  # names of colors of pixels that do not count
COLUMNS = ("name", "r", "g", "b")
MOST = 254  # classes
Color = tuple[int, int, int]

VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip  # Everingham et al. 2010, doi:10.1007/s11263-009-0275-4
VOC_BORDER = (224, 224, 192)
CITYSCAPES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}  # Cordts et al. 2016, arXiv:1604.01685, in the order of their train ids
CITYSCAPES_IGNORED = (
    (0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100),
    (150, 120, 90), (0, 0, 90), (0, 0, 110),
)  # fmt: skip  # of labels without a train id: ego vehicle, dynamic, ground, parking, rails, bridges, caravans


@dataclass(frozen=True)
class Palette:
    """The names of classes in order, and the class of every color; ``IGNORED`` for colors that do not count."""

    names: tuple[str, ...]
    classes: Mapping[Color, int]

    @property
    def gray(self) -> bool:
        """Whether all colors are shades of gray."""
        return all(red == green == blue for red, green, blue in self.classes)


def palette_of(text: str) -> Palette | None:
    """The palette of an option: ``voc``, ``cityscapes``, a CSV file, or none. Raises ``UsageError``, ``DataError``.

    A file has the columns name, r, g and b; its rows are the classes in order. Rows named ignored or void are colors of
    pixels that do not count.
    """
    if not text:
        return None
    if text == "voc":
        return Palette(VOC, {**{_voc_color(i): i for i in range(len(VOC))}, VOC_BORDER: IGNORED})
    if text == "cityscapes":
        classes = {color: i for i, color in enumerate(CITYSCAPES.values())}
        return Palette(tuple(CITYSCAPES), {**classes, **dict.fromkeys(CITYSCAPES_IGNORED, IGNORED)})
    if not Path(text).suffix:
        raise unknown_name("palette", text, ["voc", "cityscapes", "FILE.csv with the columns name, r, g, b"])
    return _of_file(Path(text))


def _of_file(path: Path) -> Palette:
    """The palette of a CSV file. Raises ``DataError`` with every finding."""
    sheet = read_csv(path)
    columns = {name.lower(): name for name in sheet.names}
    if set(COLUMNS) - set(columns):
        raise DataError(
            f"{path} is not a palette", findings=[f"it has {', '.join(sheet.names)}"], expected=", ".join(COLUMNS)
        )
    rows = zip(*(sheet.column(columns[name]) for name in COLUMNS), sheet.lines, strict=True)
    names: list[str] = []
    classes: dict[Color, int] = {}
    findings: list[str] = []
    for name, *color, line in rows:
        values = tuple(int(value) if value.isascii() and value.isdecimal() else -1 for value in color)
        if not all(0 <= value <= 255 for value in values):
            findings.append(f"line {line}: {', '.join(color)} is not a color of three numbers from 0 to 255")
        elif values in classes or name in names:
            findings.append(f"line {line}: the color or the name {name} is in the palette already")
        else:
            counts = name.lower() not in NOT_COUNTED
            classes[values[0], values[1], values[2]] = len(names) if counts else IGNORED
            names += [name] if counts else []
    if findings or not 1 < len(names) <= MOST:
        raise DataError(
            f"{path} is not a palette of 2 to {MOST} classes",
            findings=findings[:SHOWN] or [f"it has {len(names)}"],
            expected="one row per class: its name and three numbers from 0 to 255",
        )
    return Palette(tuple(names), classes)


def _voc_color(label: int) -> Color:
    """The color of a class in VOC: its bits in turn, the highest bits of the channels first."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= ((label >> (3 * place + channel)) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
