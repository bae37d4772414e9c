"""One example as lines of text: a picture in shades, a sound as its loudness, a row with its units, a text in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.inputs.columns import columns_of, groups_of
from variate.inputs.words import PADDING, ids_of

SHADES = " .:-=+*#%@"  # from 0 to 1
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24  # characters of a picture; its lines are half as many, for characters are twice as high as wide
COLUMNS = 8  # features of a row
VALUES = 8  # numbers of anything else
LONGEST = 160  # characters of a text
QUIETEST = -60.0  # decibels below full scale that the lowest bar stands for


def lines_of_example(x: Tensor, kind: str, details: Mapping[str, Any]) -> list[str]:
    """One input, shape (...), as lines of text.

    Args:
        x: the input, in [0, 1].
        kind: name of its modality.
        details: facts of the modality, as a data set has them.
    """
    if kind == "image" and x.dim() == 3:
        return _picture(x)
    if kind == "audio":
        return _sound(x, details.get("rate"))
    if kind == "tabular" and details.get("features"):
        return _row(x, details["features"])
    if kind == "text" and details.get("words"):
        words = details["words"]
        text = " ".join(words[i] for i in ids_of(x).tolist() if i != PADDING)
        return [text if len(text) <= LONGEST else text[:LONGEST] + "..."]
    values = x.flatten()
    more = f", ... ({len(values)} values)" if len(values) > VALUES else ""
    return [", ".join(f"{value:.3g}" for value in values[:VALUES].tolist()) + more]


def _picture(x: Tensor) -> list[str]:
    """Shades of the mean over channels, of a picture of shape (C, H, W)."""
    gray = x.mean(0, keepdim=True)  # (1, H, W)
    width = min(WIDTH, 2 * x.shape[2])
    height = max(1, round(x.shape[1] * width / x.shape[2] / 2))
    small = F.interpolate(gray[None], (height, width), mode="area" if width <= x.shape[2] else "nearest")[0, 0]
    shades = (small.clamp(0, 1) * (len(SHADES) - 1)).round().long().tolist()
    return ["".join(SHADES[shade] for shade in row) for row in shades]


def _sound(x: Tensor, rate: float | None) -> list[str]:
    """The loudness of a clip over time, and that of the whole."""
    samples = (2 * x.flatten() - 1).double()
    step = max(1, math.ceil(len(samples) / WIDTH))
    levels = [_decibels(samples[start : start + step]) for start in range(0, len(samples), step)]
    bars = [BARS[max(0, min(len(BARS) - 1, int((level / -QUIETEST + 1) * len(BARS))))] for level in levels]
    seconds = f"{len(samples) / rate:.3g} s, " if rate else ""
    return ["".join(bars), f"{seconds}{_decibels(samples):.0f} dB of full scale"]


def _decibels(samples: Tensor) -> float:
    power = float((samples**2).mean())
    return max(QUIETEST * 2, 10 * math.log10(power)) if power > 0 else QUIETEST * 2


def _row(x: Tensor, features: Any) -> list[str]:
    """The features of a row in their own units."""
    columns = columns_of(features)
    words = []
    for name, indices in groups_of(columns).items():
        column = columns[indices[0]]
        if column.group is None:
            words.append(f"{name} {column.value(float(x[indices[0]])):.4g}{column.unit and ' ' + column.unit}")
        else:
            words.append(f"{name} {columns[indices[int(torch.argmax(x[indices]))]].name}")
    more = f", and {len(words) - COLUMNS} more" if len(words) > COLUMNS else ""
    return [", ".join(words[:COLUMNS]) + more]
