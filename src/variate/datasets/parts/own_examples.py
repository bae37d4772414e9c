"""The examples of a ``Dataset`` of PyTorch, torchvision or Hugging Face, and the names of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.parts.arrays import image_of
from variate.datasets.parts.hugging_face import SCALAR_FEATURES
from variate.datasets.parts.pictures import pixels_of
from variate.errors import DataError, UsageError


def stacked(
    dataset: Any, names: Sequence[tuple[str, str]], source: str
) -> tuple[Tensor, NDArray[Any], tuple[str, ...]]:
    """Inputs, shape (N, ...), labels as they are, shape (N,), and the names of the classes, if it brings any.

    Args:
        dataset: anything with a length whose items are pairs or mappings.
        names: pairs of keys of inputs and labels in mappings.
        source: what it is, for error messages.

    Raises:
        DataError: for examples of several shapes, and labels that are not single values.
        UsageError: for items of another form.
    """
    keys = _feature_keys(dataset, names)
    pairs = list(_pairs(dataset, keys, names, source))
    shapes = sorted({tuple(x.shape) for x, _ in pairs})
    if len(shapes) > 1:
        raise DataError(f"the examples of {source} have different shapes", findings=[f"{shapes[0]} and {shapes[1]}"])
    labels = np.empty(len(pairs), dtype=object)
    for i, (_, label) in enumerate(pairs):
        label = label.tolist() if isinstance(label, Tensor | np.ndarray | np.generic) else label
        if isinstance(label, list | tuple | Mapping):
            raise DataError(
                f"the label of example {i} of {source} is {type(label).__name__}",
                expected="one integer or name per example",
                todo="y.argmax() if labels are one-hot",
            )
        labels[i] = label
    return torch.stack([x for x, _ in pairs]), labels, class_names(dataset, keys[1] if keys else None)


def _pairs(
    dataset: Any, keys: tuple[str, str] | None, names: Sequence[tuple[str, str]], source: str
) -> Iterator[tuple[Tensor, Any]]:
    """Inputs as floats, images in [0, 1] with channels first, and labels as they are."""
    for i in range(len(dataset)):
        where, row = f"example {i} of {source}", dataset[i]
        if isinstance(row, Mapping):
            both = next(((x, y) for x, y in ((keys,) if keys else names) if x in row and y in row), None)
            row = row if both is None else (row[both[0]], row[both[1]])
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise UsageError(
                f"an example of {source} is {type(row).__name__}",
                expected=f"(input, label), or a mapping with {' or '.join(f'{x} and {y}' for x, y in names)}",
            )
        yield image_of(_pixels(row[0], where), where), row[1]


def _pixels(values: Any, where: str) -> Any:
    """The pixels of a picture of Pillow, shape (H, W) or (H, W, 3); anything else is returned unchanged."""
    from PIL import Image

    return pixels_of(values, where) if isinstance(values, Image.Image) else values


def scalar_columns(dataset: Any) -> dict[str, Sequence[Any]] | None:
    """The columns of a Hugging Face data set of single values, the only column of classes last; None for any other."""
    kinds = _kinds(dataset)
    if len(kinds) < 2 or not set(kinds.values()) <= set(SCALAR_FEATURES):
        return None
    classes = [name for name in kinds if kinds[name] == "ClassLabel"]
    names = sorted(kinds, key=lambda name: [name] == classes)  # keeps the order of the others
    rows = dataset.with_format(None)
    return {name: list(rows[name]) for name in names}


def class_names(dataset: Any, label: str | None) -> tuple[str, ...]:
    """The names of the classes that a data set of Hugging Face or torchvision brings; empty if it brings none."""
    if label is not None:
        return tuple(getattr(dataset.features[label], "names", None) or ())
    named: Any = getattr(dataset, "classes", None)
    is_list = isinstance(named, list | tuple) and all(isinstance(name, str) for name in named)
    return tuple(named) if is_list else ()


def _kinds(dataset: Any) -> dict[str, str]:
    features = getattr(dataset, "features", None)
    if not isinstance(features, Mapping):
        return {}
    return {name: type(feature).__name__ for name, feature in features.items()}


def _feature_keys(dataset: Any, pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The columns of a Hugging Face data set that hold an image and a class, if there is one of each."""
    kinds = _kinds(dataset)
    usual = next(((x, y) for x, y in pairs if x in kinds and y in kinds), None)
    images, labels = ([name for name in kinds if kinds[name] == kind] for kind in ("Image", "ClassLabel"))
    return usual or ((images[0], labels[0]) if len(images) == len(labels) == 1 else None)
