"""The user's own arrays as tensors: inputs of any float type, labels as numbers or as names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.errors import DataError
from variate.files.reading import reading

MOST_CLASSES = 65_536  # a network has at least one weight for each
SHOWN = 3  # labels in an error
CHANNELS = (1, 3)  # numbers of channels by which pixels are told from rows and columns
LABELS = "one integer from 0 for each example, or its name"


def inputs_of(values: Any, where: str) -> Tensor:
    """Inputs as float32, whatever float type they have; 8-bit and other integers stay integers. Raises ``DataError``.

    Args:
        values: array, tensor or nested lists, shape (N, ...).
        where: what they are, for error messages.
    """
    if isinstance(values, Tensor):
        return values.to(torch.float32) if values.is_floating_point() else values
    array = _array(values, where)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{where} holds {_kind(array)}, not numbers", expected="floats in [0, 1], one row or image per example"
        )
    if array.dtype.kind in "iu":
        native = np.uint8 if array.dtype == np.uint8 else np.int64
        return torch.from_numpy(np.require(array, native, ["C", "W"]))
    with np.errstate(over="ignore"):  # what overflows is infinite, and is refused as such
        return torch.from_numpy(np.require(array, np.float32, ["C", "W"]))


def classes_of(labels: NDArray[Any]) -> tuple[str, ...]:
    """The names of classes in order, for labels that are names; empty for labels that are numbers."""
    if labels.dtype.kind not in "US":
        return ()
    names = np.unique(labels.astype(np.str_)).tolist()
    return tuple(sorted(names, key=int) if all(_is_whole(name) for name in names) else sorted(names))


def labels_of(values: Any, where: str, *, of_classes: bool = True) -> NDArray[Any]:
    """Labels as an array of int64, or of text for names of classes: shape (N,).

    Args:
        values: array, tensor or nested lists.
        where: what they are, for error messages.
        of_classes: whether they are classes; labels of other tasks are numbers of any shape (N, ...) and type.

    Raises:
        DataError: for fractions, negative numbers, missing labels, one-hot rows, dates and the like.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    array = _array(values, where)
    if not of_classes:
        if array.dtype.kind not in "biuf" or array.ndim < 1:
            raise DataError(f"{where} holds {_kind(array)}", expected="numbers, with a row for each example")
        return array
    if array.dtype == object and array.ndim == 1:
        array = _plain(array, where)
    if array.ndim != 1:
        if array.ndim == 0 or array.size == len(array):
            todo = "y.reshape(-1)"
        else:
            one_hot = "y.argmax(1) if they are one-hot, or " if array.ndim == 2 else ""
            task = "labels" if array.ndim == 2 else "positions"
            todo = f"{one_hot}name their task, such as {task}: `variate list tasks` shows all"
        raise DataError(f"{where} has shape {array.shape}", expected=LABELS, todo=todo)
    if array.dtype.kind in "US":
        with reading(where, DataError, expected=LABELS):
            names = array.astype(np.str_)
        _refuse(names, names == "", where, "empty")
        return names
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} holds {_kind(array)}", expected=LABELS)
    if array.dtype.kind == "f":
        _refuse(array, ~np.isfinite(array), where, "not finite")
        _refuse(array, array != np.floor(array), where, "not a whole number")
    _refuse(array, array < 0, where, "negative")
    _refuse(array, array >= MOST_CLASSES, where, f"too large: there may be {MOST_CLASSES:,} classes")
    return array.astype(np.int64)


def numbered(labels: NDArray[Any], classes: Sequence[str]) -> Tensor:
    """Labels as numbers of classes, shape (N,); labels that are numbers already stay as they are."""
    if labels.dtype.kind != "U":
        return torch.from_numpy(labels)
    index = {name: i for i, name in enumerate(classes)}
    return torch.tensor([index[name] for name in labels.tolist()], dtype=torch.int64)


def image_of(values: Any, where: str) -> Tensor:
    """One example as float32; 8-bit pixels become floats in [0, 1] with channels first. Raises ``DataError``.

    Arrays keep channels last and tensors channels first where the shape allows both, as numpy's pictures and torch's
    tensors do.
    """
    is_tensor = isinstance(values, Tensor)
    pixels = values if is_tensor else inputs_of(values, where)
    if pixels.dtype != torch.uint8:
        return pixels.to(torch.float32)
    pixels = pixels.to(torch.float32) / 255
    if pixels.dim() == 2:
        return pixels.unsqueeze(0)  # (1, H, W)
    first, last = (pixels.dim() == 3 and pixels.shape[axis] in CHANNELS for axis in (0, -1))
    if not first and not last:
        raise DataError(
            f"{where} has 8-bit values of shape {tuple(pixels.shape)}",
            expected="pixels of shape (H, W), (H, W, 3) or (3, H, W)",
            todo="divide other values by 255 to get floats in [0, 1]",
        )
    return pixels if first and (is_tensor or not last) else pixels.permute(2, 0, 1)  # (C, H, W)


def _array(values: Any, where: str) -> NDArray[Any]:
    with reading(where, DataError, expected="an array of numbers"):
        return np.asarray(values)


def _plain(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Python objects as names or as numbers. Raises ``DataError`` for missing labels and mixtures."""
    missing = np.array([label is None for label in array])
    _refuse(array, missing, where, "missing")
    if not len({isinstance(label, str | bytes) for label in array}) == 1:
        raise DataError(f"{where} holds names and numbers", expected=LABELS)
    return _array(array.tolist(), where)


def _refuse(labels: NDArray[Any], bad: NDArray[np.bool_], where: str, problem: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        shown = ", ".join(f"{labels[row]!s:.40} in row {row}" for row in rows[:SHOWN])
        raise DataError(
            f"{where} has {len(rows)} labels that are {problem}", findings=[shown], expected=LABELS,
            todo="remove these examples, or correct their labels",
        )  # fmt: skip


def _kind(array: NDArray[Any]) -> str:
    kinds = {"U": "text", "S": "text", "M": "dates", "m": "durations", "c": "complex numbers", "O": "Python objects"}
    return kinds.get(array.dtype.kind, f"values of type {array.dtype}")


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 18
