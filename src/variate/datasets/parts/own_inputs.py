"""Inputs of the user's own objects: arrays, and tables and texts that are encoded by their training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.parts.arrays import image_of, inputs_of
from variate.datasets.parts.csv import Sheet
from variate.datasets.parts.encoder import encode
from variate.errors import DataError
from variate.inputs.columns import MOST_STEPS, Column, columns_of

Inputs = Tensor | Sheet | tuple[str, ...]  # arrays, tables, texts
LARGEST_WHOLE = 1e15  # floats up to it are written as whole numbers
LENGTH = 64  # words of a text
TEXT, LABEL = ("text", "sentence"), ("label", "labels", "target", "class", "y")  # names of columns
TODO = "correct the values, or leave the column out"


class EncodedInputs(NamedTuple):
    """Inputs in [0, 1], the name of their modality, and its details: the features, or the words and their neighbors."""

    x: Tensor
    kind: str
    details: dict[str, Any]


def read_inputs(values: Any, where: str, names: Sequence[str] = ()) -> Inputs:
    """The inputs that an object holds: a data frame or an array of words is a table, a sequence of strings texts.

    Args:
        values: array, tensor, data frame, sparse matrix or nested lists, one row per example.
        where: what they are, for error messages.
        names: names of the columns of a two-dimensional array.

    Raises:
        DataError: for anything else.
    """
    if is_frame(values):
        return _sheet_of(columns_of_frame(values, where), where)
    if hasattr(values, "toarray"):  # a sparse matrix
        values = values.toarray()
    array = values if isinstance(values, Tensor) else np.asarray(values)
    if not isinstance(array, Tensor) and array.dtype.kind in "OUS" and array.size:
        if array.ndim == 1 and all(isinstance(value, str) for value in array):
            return tuple(map(str, array))
        if array.ndim == 2:
            rows = [[_cell(value) for value in row] for row in array]
            return _sheet(where, _named(names, array.shape[1]), rows)
    x = inputs_of(array, where)
    if x.dtype == torch.uint8 and x.dim() in (3, 4) and len(x):
        return torch.stack([image_of(row if isinstance(array, Tensor) else row.numpy(), where) for row in x])
    return x


def is_frame(values: Any) -> bool:
    """Whether an object is a data frame of pandas or of its kind."""
    return hasattr(values, "columns") and hasattr(values, "iloc")


def columns_of_frame(frame: Any, where: str) -> dict[str, Sequence[Any]]:
    """The columns of a data frame by name. Raises ``DataError`` if two have one name."""
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where} has several columns named {', '.join(twice)}", todo="give every column its own name")
    return {name: list(frame.iloc[:, i]) for i, name in enumerate(names)}


def needs_scaling(train: Inputs) -> bool:
    """Whether the inputs of a training split are rows of numbers that are finite but not all in [0, 1]."""
    if not isinstance(train, Tensor) or train.dim() != 2 or not train.numel() or train.is_complex():
        return False
    values = train.double()
    beyond = float(values.min()) < 0 or float(values.max()) > 1
    return beyond and bool(values.isfinite().all())


def encoded(inputs: Inputs, train: Inputs, where: str, names: Sequence[str] = ()) -> EncodedInputs:
    """Encode inputs by their training split; categories, ranges and words are those that occur in it.

    Args:
        inputs: a table, texts, or rows of numbers, one per example.
        train: those of the training split, of the same kind.
        where: what they are, for error messages.
        names: names of the columns of arrays.

    Raises:
        DataError: for inputs of two kinds, other columns, missing values, and categories that are not in the training
            split.
    """
    if isinstance(inputs, tuple) and isinstance(train, tuple):
        return _of_texts(inputs, train, where)
    if isinstance(inputs, Sheet) and isinstance(train, Sheet) and inputs.names == train.names:
        return _of_table(inputs, train)
    if isinstance(inputs, Tensor) and isinstance(train, Tensor) and inputs.shape[1:] == train.shape[1:]:
        return _of_numbers(inputs.double(), train.double(), where, names)
    raise DataError(f"the splits of {where} have different inputs", expected="the same columns in all splits")


def _of_table(sheet: Sheet, train: Sheet) -> EncodedInputs:
    rows = [*train.rows, *sheet.rows]
    lines = [*range(len(train.rows)), *range(len(sheet.rows))]
    both = Sheet(sheet.path, sheet.names, rows, lines, counts="row", todo=TODO)
    both.refuse_missing(both.names)
    table = encode(both, both.names, np.arange(len(train.rows)), {}, may_be_constant=True)
    features = [column.as_json() for column in table.columns]
    return EncodedInputs(table.x[len(train.rows) :], "tabular", {"features": features})


def _of_numbers(x: Tensor, train: Tensor, where: str, names: Sequence[str]) -> EncodedInputs:
    """Rows of numbers, shape (N, D), in the units of the training split, as ``encode`` has them of a file."""
    low, high = train.amin(0), train.amax(0)
    whole = (train == train.round()).all(0) & (high - low <= MOST_STEPS)
    bad = (whole & (x != x.round())).nonzero()
    facts = zip(_named(names, x.shape[1]), low.tolist(), high.tolist(), whole.tolist(), strict=True)
    columns = [_number(*fact) for fact in facts]
    if len(bad):
        row, place = bad[0].tolist()
        raise DataError(
            f"{columns[place].name} of {where} is {float(x[row, place]):g} in row {row}",
            expected="whole numbers, as in the training split",
            todo="round them, or add one that is not whole to the training split",
        )
    span = torch.where(high > low, high - low, 1.0)
    scaled = ((x - low) / span).clamp(0.0, 1.0).float()
    features = [column.as_json() for column in columns_of([column.as_json() for column in columns])]
    return EncodedInputs(scaled, "tabular", {"features": features})


def _number(name: str, low: float, high: float, whole: bool) -> Column:
    """A column of numbers; one that is constant cannot be changed."""
    if low == high:
        return Column(name, low, low + 1.0, mutable=False)
    return Column(name, low, high, 1.0 if whole else None)


def _of_texts(texts: Sequence[str], train: Sequence[str], where: str) -> EncodedInputs:
    from variate.datasets.parts.neighbors import COOCCURRENCE, neighbors
    from variate.datasets.parts.text import encoded as as_inputs
    from variate.datasets.parts.text import is_spaced, vocabulary, words_of

    empty = [i for i, text in enumerate(texts) if not text.strip()]
    if empty:
        raise DataError(f"{where} has {len(empty)} empty texts, the first in row {empty[0]}", todo="remove these rows")
    by_character = not is_spaced(train)
    learned = [words_of(text, by_character=by_character) for text in train]
    words = vocabulary(learned, most=10_000, least=2)
    ids = {word: i for i, word in enumerate(words)}
    x = as_inputs([words_of(text, by_character=by_character) for text in texts], ids, LENGTH)
    return EncodedInputs(x, "text", {"words": words, "neighbors": neighbors(COOCCURRENCE, learned, ids)})


def rows_of(inputs: Inputs, rows: NDArray[np.int64]) -> Inputs:
    """Some of the examples, by their indices."""
    if isinstance(inputs, Tensor):
        return inputs[torch.from_numpy(rows)]
    if isinstance(inputs, tuple):
        return tuple(inputs[row] for row in rows)
    return _sheet(str(inputs.path), inputs.names, [inputs.rows[row] for row in rows])


def count_of(inputs: Inputs) -> int:
    """Number of examples."""
    if isinstance(inputs, Tensor):
        return len(inputs) if inputs.dim() else 0
    return len(inputs) if isinstance(inputs, tuple) else len(inputs.rows)


def text_columns(names: Sequence[str]) -> tuple[str, str] | None:
    """The columns of texts and labels, if a table has both by the names that mean them."""
    text, label = (next((name for name in choices if name in names), None) for choices in (TEXT, LABEL[:2]))
    return None if text is None or label is None else (text, label)


def label_column(names: Sequence[str]) -> str:
    """The column of labels: the one of a name that means it, else the last."""
    return next((name for name in LABEL if name in names), names[-1])


def from_columns(columns: Mapping[str, Sequence[Any]], where: str) -> tuple[Inputs, Sequence[Any]]:
    """Inputs and labels of a table with a column of labels: texts if it has them, else features."""
    names = list(columns)
    texts = text_columns(names)
    if texts is not None:
        return tuple(_cell(text) for text in columns[texts[0]]), columns[texts[1]]
    label = label_column(names)
    features = [name for name in names if name != label]
    if not features:
        raise DataError(f"{where} has one column, {label}, and no features", expected="features and a column of labels")
    return _sheet_of({name: columns[name] for name in features}, where), columns[label]


def _sheet_of(columns: Mapping[str, Sequence[Any]], where: str) -> Sheet:
    cells = [[_cell(value) for value in column] for column in columns.values()]
    return _sheet(where, list(columns), list(zip(*cells, strict=True)))


def _named(names: Sequence[str], count: int) -> list[str]:
    given = [str(name) for name in names]
    return given if len(given) == count and len(set(given)) == count else [f"x{i}" for i in range(count)]


def _sheet(where: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Sheet:
    return Sheet(where, tuple(names), rows, range(len(rows)), counts="row", todo=TODO)


def _cell(value: Any) -> str:
    """A value as the cell of a table: empty if it is missing; whole floats are written without a point."""
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:  # NaN differs from itself
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < LARGEST_WHOLE:
        return str(int(value))
    return str(float(value)) if isinstance(value, np.floating) else str(value).strip()
