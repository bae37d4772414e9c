"""The user's own data: an ``.npz`` file, or a ``module:callable`` that returns arrays, a ``Dataset`` or splits."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from variate import registry
from variate.datasets.parts.arrays import classes_of, image_of, inputs_of, labels_of, numbered
from variate.datasets.parts.npz import arrays_of
from variate.datasets.parts.pictures import pixels_of
from variate.datasets.splits import SplitName, check_split, cut_splits
from variate.errors import DataError, UsageError, VariateError
from variate.files.reading import told
from variate.options import names_code

PAIRS = (
    ("x", "y"),
    ("image", "label"),
    ("img", "label"),
    ("pixel_values", "labels"),
    ("inputs", "labels"),
)  # keys of inputs and labels
FILES = (".npz", ".npy")
RETURNED = "(inputs, labels), a Dataset, or a dictionary of these by split"


class OwnSplit(NamedTuple):
    """Inputs, shape (N, ...), labels, shape (N,), and the names of the classes, if labels are names."""

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]


class _Raw(NamedTuple):
    """Inputs and labels before classes are numbered: numbers or names, and names that come with numbers."""

    x: Tensor
    labels: NDArray[Any]
    classes: tuple[str, ...]


def is_own(source: str) -> bool:
    """Whether a source is the user's own file or code instead of the name of a data set."""
    return names_code(source) or source.endswith(FILES)


def own_split(source: str, split: str, *, cut: bool) -> OwnSplit:
    """One split of the user's own data; classes given by name are numbered in sorted order, once for all splits.

    Args:
        source: the path of an ``.npz`` file, or ``module:callable``.
        split: name of the split.
        cut: cut data without splits into 80 % train, 10 % validation and 10 % test; if False, all of it is returned.

    Raises:
        DataError: for data that cannot be read, or that lacks the split.
        UsageError: for a callable that returns anything else.
    """
    name = check_split(split)
    parts = _parts(source)
    if callable(parts):
        raw = parts(name)
        classes = raw.classes or _all_classes(parts, name, raw, source)
        return _split_of(raw, classes, source)
    classes = parts.classes or classes_of(parts.labels)
    x, y, _ = _split_of(parts, classes, source)
    if not cut:
        return OwnSplit(x, y, classes)
    rows = torch.from_numpy(cut_splits(len(x))[name])
    if not len(rows):
        raise DataError(
            f"{source} has {len(x)} examples, too few to cut a {name} split from", expected="at least 10 examples"
        )
    return OwnSplit(x[rows], y[rows], classes)


def _split_of(raw: _Raw, classes: tuple[str, ...], source: str) -> OwnSplit:
    if raw.x.dim() == 0 or not len(raw.x):
        raise DataError(f"{source} has no examples", expected=RETURNED)
    if len(raw.labels) != len(raw.x):
        raise DataError(f"{source} has {len(raw.x)} inputs and {len(raw.labels)} labels", expected="as many of both")
    return OwnSplit(raw.x, numbered(raw.labels, classes), classes)


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


def _parts(source: str) -> _Raw | Callable[[SplitName], _Raw]:
    """All examples; or, for data with splits, a function that reads one of them."""
    if not names_code(source):
        x, y = arrays_of(Path(source))
        return _Raw(inputs_of(x, f"x in {source}"), labels_of(y, f"y in {source}"), ())
    function = registry.import_callable(source)
    if _takes_split(function):
        return lambda split: _raw(_call(function, source, split), f"the split {split} of {source}")
    returned = _call(function, source)
    if isinstance(returned, Mapping) and any(name in returned for name in get_args(SplitName)):
        return lambda split: _raw(_given(returned, split, source), f"the split {split} of {source}")
    return _raw(returned, source)


def _given(splits: Mapping[str, Any], split: SplitName, source: str) -> Any:
    if split not in splits:
        raise DataError(
            f"{source} has no split {split}: it returned {', '.join(map(str, splits))}",
            expected="the splits train, validation and test",
            todo="return all three, or the examples without splits, which are then cut into three",
        )
    return splits[split]


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
        frames = traceback.extract_tb(error.__traceback__)[1:]  # without this function
        lines = [f"{frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames[-1:]]
        asked = "" if split is None else f" when asked for the split {split}"
        raise DataError(
            f"{source} raised {told(error)}{asked}",
            findings=lines,
            expected=RETURNED if split is None else f"a function of the splits {', '.join(get_args(SplitName))}",
            todo=None if split is None else "return every split, or leave out the argument split: the data is then cut",
        ) from error


def _raw(returned: Any, source: str) -> _Raw:
    """Inputs and labels of what a callable returned. Raises ``DataError`` or ``UsageError``."""
    if isinstance(returned, Mapping):
        keys = next(((x, y) for x, y in PAIRS if x in returned and y in returned), None)
        if keys is None:
            raise UsageError(
                f"{source} returned a dictionary with {', '.join(map(str, returned)) or 'nothing'}",
                expected=f"the keys {' or '.join(f'{x} and {y}' for x, y in PAIRS)}; or train, validation and test",
            )
        returned = (returned[keys[0]], returned[keys[1]])
    if isinstance(returned, tuple) and len(returned) == 2:
        return _Raw(inputs_of(returned[0], f"x of {source}"), labels_of(returned[1], f"y of {source}"), ())
    is_dataset = (
        hasattr(returned, "__len__") and hasattr(returned, "__getitem__") and not isinstance(returned, nn.Module)
    )
    if not is_dataset or isinstance(returned, str | bytes) or not len(returned):
        raise UsageError(f"{source} returned {type(returned).__name__}", expected=RETURNED)
    return _stacked(returned, source)


def _stacked(dataset: Any, source: str) -> _Raw:
    """The examples of a ``Dataset`` of PyTorch, torchvision or Hugging Face."""
    keys = _feature_keys(dataset)
    pairs = list(_pairs(dataset, keys, source))
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
    names = getattr(dataset.features[keys[1]], "names", None) if keys else None
    return _Raw(torch.stack([x for x, _ in pairs]), labels_of(labels, f"the labels of {source}"), tuple(names or ()))


def _feature_keys(dataset: Any) -> tuple[str, str] | None:
    """The columns of a Hugging Face data set that hold an image and a class, if there is one of each."""
    features = getattr(dataset, "features", None)
    if not isinstance(features, Mapping):
        return None
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    usual = next(((x, y) for x, y in PAIRS if x in kinds and y in kinds), None)
    images, labels = ([name for name in kinds if kinds[name] == kind] for kind in ("Image", "ClassLabel"))
    return usual or ((images[0], labels[0]) if len(images) == len(labels) == 1 else None)


def _pairs(dataset: Any, keys: tuple[str, str] | None, source: str) -> Iterator[tuple[Tensor, Any]]:
    """Inputs as floats, images in [0, 1] with channels first, and labels as they are."""
    for i in range(len(dataset)):
        where, row = f"example {i} of {source}", dataset[i]
        if isinstance(row, Mapping):
            both = next(((x, y) for x, y in ((keys,) if keys else PAIRS) if x in row and y in row), None)
            row = row if both is None else (row[both[0]], row[both[1]])
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise UsageError(
                f"an example of {source} is {type(row).__name__}",
                expected=f"(input, label), or a mapping with {' or '.join(f'{x} and {y}' for x, y in PAIRS)}",
            )
        yield image_of(_pixels(row[0], where), where), row[1]


def _pixels(values: Any, where: str) -> Any:
    """The pixels of a picture of Pillow, shape (H, W) or (H, W, 3); anything else is returned unchanged."""
    from PIL import Image

    return pixels_of(values, where) if isinstance(values, Image.Image) else values
