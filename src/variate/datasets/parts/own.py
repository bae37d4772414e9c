"""The user's own data: an ``.npz`` file, or a ``module:callable`` that returns arrays, tables, a data set or splits."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from variate.datasets.parts.arrays import classes_of, inputs_of, labels_of, numbered
from variate.datasets.parts.folders import split_named
from variate.datasets.parts.npz import arrays_of
from variate.datasets.parts.own_examples import class_names, scalar_columns, stacked
from variate.datasets.parts.own_inputs import (
    Inputs,
    columns_of_frame,
    count_of,
    encoded,
    from_columns,
    is_frame,
    needs_scaling,
    read_inputs,
    rows_of,
)
from variate.datasets.splits import SHARES, SplitName, check_split, cut_splits, held_out
from variate.errors import DataError, UsageError, VariateError
from variate.files.reading import told
from variate.options import import_callable, names_code
from variate.own_code import lines_of

PAIRS = (
    ("x", "y"),
    ("image", "label"),
    ("img", "label"),
    ("pixel_values", "labels"),
    ("inputs", "labels"),
    ("data", "target"),
)  # keys of inputs and labels
BUNCH = PAIRS[-1]
FILES = (".npz", ".npy")
RETURNED = "(inputs, labels), a Dataset, or a dictionary of these by split"


class OwnSplit(NamedTuple):
    """Inputs, shape (N, ...), and labels, shape (N,), or of another task, (N, ...).

    ``classes`` has the names of the classes, if labels are names or come with names; ``kind`` is the modality of tables
    and texts, empty for arrays, and ``details`` are the facts of the modality.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    kind: str = ""
    details: Mapping[str, Any] = MappingProxyType({})


class _Raw(NamedTuple):
    """Inputs and labels before classes are numbered: numbers or names, and names that come with numbers."""

    x: Inputs
    labels: NDArray[Any]
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()  # names of the columns of an array
    may_be_scaled: bool = True  # whether rows of numbers beyond [0, 1] are encoded, and not refused


def is_own(source: str) -> bool:
    """Whether a source is the user's own file or code instead of the name of a data set."""
    return names_code(source) or source.endswith(FILES)


def own_split(source: str, split: str, *, cut: bool, of_classes: bool = True) -> OwnSplit:
    """One split of the user's own data; classes given by name are numbered in sorted order, once for all splits.

    Args:
        source: the path of an ``.npz`` file, or ``module:callable``.
        split: name of the split.
        cut: cut data without splits into 80 % train, 10 % validation and 10 % test; if False, all of it is returned.
        of_classes: whether labels are classes; those of other tasks are numbers of any shape (N, ...).

    Raises:
        DataError: for data that cannot be read, or that lacks the split.
        UsageError: for a callable that returns anything else.
    """
    name = check_split(split)
    parts = _parts(source, of_classes)
    if callable(parts):
        raw = parts(name)
        classes = raw.classes or _all_classes(parts, name, raw, source)
        train = raw if name == "train" else _training_part(parts, raw)
        return _split_of(raw, train, classes, source)
    classes = parts.classes or classes_of(parts.labels)
    count = count_of(parts.x)
    cuts = cut_splits(count)
    train = _rows(parts, cuts["train"]) if _may_be_encoded(parts) else parts
    if cut and count and not len(cuts[name]):
        raise DataError(
            f"{source} has {count} examples, too few to cut a {name} split from", expected="at least 10 examples"
        )
    _check(parts, source)
    return _split_of(_rows(parts, cuts[name]) if cut else parts, train, classes, source)


def is_encoded(source: str, *, of_classes: bool = True) -> bool:
    """Whether data of the user's own are tables or texts, which have a modality; arrays are taken as they are."""
    return is_own(source) and bool(own_split(source, "test", cut=False, of_classes=of_classes).kind)


def _split_of(raw: _Raw, train: _Raw | None, classes: tuple[str, ...], source: str) -> OwnSplit:
    """Arrays as they are; tables, texts and rows of numbers beyond [0, 1] encoded by their training split."""
    _check(raw, source)
    y = numbered(raw.labels, classes)
    is_scaled = raw.may_be_scaled and train is not None and needs_scaling(train.x)
    if isinstance(raw.x, Tensor) and not is_scaled:
        return OwnSplit(raw.x, y, classes)
    if train is None:
        raise DataError(f"{source} has no training split, by which its tables and texts are encoded", expected=RETURNED)
    if isinstance(raw.x, Tensor):
        warnings.warn(
            f"the columns of {source} are scaled to [0, 1] by their ranges in the training split; a network of your "
            "own gets the scaled ones",
            stacklevel=2,
        )
    x, kind, details = encoded(raw.x, train.x, source, raw.columns)
    return OwnSplit(x, y, classes, kind, details)


def _check(raw: _Raw, source: str) -> None:
    count = count_of(raw.x)
    if not count:
        raise DataError(f"{source} has no examples", expected=RETURNED)
    if len(raw.labels) != count:
        raise DataError(f"{source} has {count} inputs and {len(raw.labels)} labels", expected="as many of both")


def _rows(raw: _Raw, rows: NDArray[np.int64]) -> _Raw:
    if len(raw.labels) != count_of(raw.x):
        return raw  # refused before it is used
    return raw._replace(x=rows_of(raw.x, rows), labels=raw.labels[rows])


def _may_be_encoded(raw: _Raw) -> bool:
    return not isinstance(raw.x, Tensor) or raw.x.dim() == 2


def _training_part(part: Callable[[SplitName], _Raw], raw: _Raw) -> _Raw | None:
    """The training split, if inputs are encoded by it; None if there is none."""
    if not _may_be_encoded(raw):
        return raw
    try:
        return part("train")
    except VariateError:
        return None


def _all_classes(part: Callable[[SplitName], _Raw], name: SplitName, raw: _Raw, source: str) -> tuple[str, ...]:
    """The names of the classes of all splits together; empty for labels that are numbers. Raises ``DataError``."""
    if raw.labels.dtype.kind != "U":
        return ()
    named = {name: raw.labels}
    for other in get_args(SplitName):
        if other != name:
            try:
                named[other] = part(other).labels
            except VariateError:  # said when this split is asked for
                continue
    if any(labels.dtype.kind != "U" for labels in named.values()):
        raise DataError(f"{source} has names as labels in one split and numbers in another", expected="one of them")
    classes = classes_of(np.concatenate([*named.values()]))
    unseen = sorted(set(classes) - set(named.get("train", np.array(classes)).tolist()))
    if unseen:
        raise DataError(f"{source} has classes that are not in its training split: {', '.join(unseen[:5])}")
    return classes


def _parts(source: str, of_classes: bool) -> _Raw | Callable[[SplitName], _Raw]:
    """All examples; or, for data with splits, a function that reads one of them."""
    if not names_code(source):
        x, y = arrays_of(Path(source))
        return _Raw(
            inputs_of(x, f"x in {source}"), labels_of(y, f"y in {source}", of_classes=of_classes), may_be_scaled=False
        )
    function = import_callable(source)
    if _takes_split(function):
        return lambda split: _raw(_call(function, source, split), f"the split {split} of {source}", of_classes)
    returned = _call(function, source)
    if isinstance(returned, Mapping) and any(split_named(name) for name in returned):
        return _given_splits(returned, source, of_classes)
    return _raw(returned, source, of_classes)


def _given_splits(returned: Mapping[str, Any], source: str, of_classes: bool) -> _Raw | Callable[[SplitName], _Raw]:
    """A function that reads one of the given splits; of a training split alone, all examples.

    Without a test split the validation split is the test split; without a validation split, a tenth of every class of
    the training split is held out. Raises ``DataError`` if there is no training split.
    """
    given = {name: key for key in returned if (name := split_named(key)) is not None}
    if "train" not in given:
        raise DataError(
            f"{source} has no split train: it returned {', '.join(map(str, returned))}",
            expected="the splits train, validation and test",
            todo="return at least train and test, or the examples without splits, which are then cut into three",
        )
    if len(given) == 1:
        return _raw(returned[given["train"]], f"the split train of {source}", of_classes)
    if "test" not in given:
        given["test"] = given.pop("validation")

    def part(name: SplitName) -> _Raw:
        if name == "test" or "validation" in given:
            return _raw(returned[given[name]], f"the split {name} of {source}", of_classes)
        raw = _raw(returned[given["train"]], f"the split train of {source}", of_classes)
        strata = np.unique(raw.labels, return_inverse=True)[1] if of_classes else np.zeros(len(raw.labels), np.int64)
        held = held_out(strata, SHARES[1])
        return _rows(raw, np.flatnonzero(held if name == "validation" else ~held))

    return part


def _takes_split(function: Callable[..., Any]) -> bool:
    try:
        return "split" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function without a signature
        return False


def _call(function: Callable[..., Any], source: str, split: SplitName | None = None) -> Any:
    """Call the user's function; its own error is shown with the line of the user's code. Raises ``DataError``."""
    try:
        return function() if split is None else function(split=split)
    except VariateError:
        raise
    except Exception as error:
        asked = "" if split is None else f" when asked for the split {split}"
        raise DataError(
            f"{source} raised {told(error)}{asked}",
            findings=lines_of(error),
            expected=RETURNED if split is None else f"a function of the splits {', '.join(get_args(SplitName))}",
            todo=None if split is None else "return every split, or leave out the argument split: the data is then cut",
        ) from error


def _raw(returned: Any, source: str, of_classes: bool) -> _Raw:
    """Inputs and labels of what a callable returned. Raises ``DataError`` or ``UsageError``."""
    where, read = f"the labels of {source}", partial(labels_of, of_classes=of_classes)
    if is_frame(returned):
        x, labels = from_columns(columns_of_frame(returned, source), source)
        return _Raw(x, read(np.asarray(labels), where))
    if isinstance(returned, Mapping):
        return _of_mapping(returned, source, of_classes)
    if isinstance(returned, tuple) and len(returned) == 2:
        x, y = returned
        y = y.iloc[:, 0] if is_frame(y) and len(y.columns) == 1 else y
        return _Raw(read_inputs(x, f"x of {source}"), read(y, f"y of {source}"))
    is_dataset = (
        hasattr(returned, "__len__") and hasattr(returned, "__getitem__") and not isinstance(returned, nn.Module)
    )
    if not is_dataset or isinstance(returned, str | bytes) or not len(returned):
        raise UsageError(f"{source} returned {type(returned).__name__}", expected=RETURNED)
    columns = scalar_columns(returned)
    if columns is not None:
        x, labels = from_columns(columns, source)
        label = next(name for name, values in columns.items() if values is labels)
        return _Raw(x, read(np.asarray(labels), where), class_names(returned, label))
    examples, found, named = stacked(returned, PAIRS, source)
    return _Raw(examples, read(found, where), named)


def _of_mapping(returned: Mapping[str, Any], source: str, of_classes: bool) -> _Raw:
    """Inputs and labels of a dictionary, or of a ``Bunch`` of scikit-learn."""
    keys = next(((x, y) for x, y in PAIRS if x in returned and y in returned), None)
    if keys is None:
        raise UsageError(
            f"{source} returned a dictionary with {', '.join(map(str, returned)) or 'nothing'}",
            expected=f"the keys {' or '.join(f'{x} and {y}' for x, y in PAIRS)}; or train, validation and test",
        )
    values, columns = returned[keys[0]], _strings(returned.get("feature_names"))
    pictures = returned.get("images") if keys == BUNCH else None
    if pictures is not None and np.ndim(pictures) == 3 and 0 <= np.min(pictures) <= np.max(pictures) <= 1:
        values = np.asarray(pictures)[:, None]  # (N, 1, H, W)
    labels = labels_of(returned[keys[1]], f"{keys[1]} of {source}", of_classes=of_classes)
    named = _strings(returned.get("target_names")) if keys == BUNCH and labels.dtype.kind != "U" and of_classes else ()
    classes = named if len(labels) and len(named) > int(labels.max() if named else 0) else ()
    return _Raw(read_inputs(values, f"{keys[0]} of {source}", columns), labels, classes, columns)


def _strings(names: Any) -> tuple[str, ...]:
    return () if names is None else tuple(map(str, names))
