"""Labelled inputs from wherever the user keeps them."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from variate import registry
from variate.datasets.splits import check_split, cut_splits
from variate.errors import DataError, UsageError, unknown_name
from variate.options import names_code, parse, whole

FORMS = "a data set's name, a file.npz with arrays x and y, or module:callable that returns (x, y) or a Dataset"
PAIRS = (("x", "y"), ("image", "label"), ("img", "label"), ("pixel_values", "labels"))  # in rows that are mappings


def labelled(
    source: str, *, folder: str | PathLike[str] | None = None, split: str = "test", cut: bool = False
) -> tuple[Tensor, Tensor]:
    """Inputs and labels.

    Args:
        source: the name of a data set, with options or without; the path of an ``.npz`` file with the arrays ``x`` and
            ``y`` (never unpickled); or a ``module:callable`` that returns both, or a ``Dataset`` of PyTorch, of
            torchvision or of Hugging Face, and is given ``split`` if it names such an argument.
        folder: of a data set's files.
        split: of a data set.
        cut: of a file, and of a callable that knows no splits, take a tenth for validation and one for the test, by one
            fixed permutation; without it all is given.

    Returns:
        Inputs, shape (B, ...), and integer labels, shape (B,); what they must be is checked where they are used.

    Raises:
        UsageError: for a source that is none of these, DataError for a file that cannot be read.
    """
    if source.endswith(".npz"):
        return _part(*_from_file(Path(source)), split, cut=cut)
    if names_code(source):
        function = registry.import_callable(source)
        knows = "split" in inspect.signature(function).parameters
        pair = _tensors(function(split=split) if knows else function(), source)
        return _part(*pair, split, cut=cut and not knows)
    entry, options = registered(source)
    x, y = entry.load()(split, folder=None if folder is None else Path(folder), **options)
    return x, y


def is_own(source: str) -> bool:
    """Whether a source is the user's file or code, and no data set by its name."""
    return names_code(source) or source.endswith(".npz")


def registered(source: str) -> tuple[registry.Entry, dict[str, Any]]:
    """A data set by its name, and the options in parentheses behind it, such as ``texts(length=128)``.

    Raises ``UsageError`` for a name or an option that does not exist.
    """
    name, options = parse(source, "a data set")
    entry = registry.get("datasets", name)
    if options:
        options = parse(source, "a data set", entry.load())[1]
        parameters = inspect.signature(entry.load()).parameters.values()
        known = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.name != "folder"]
        strange = [option for option in options if option not in known]
        if not known:
            raise UsageError(f"the data set {name} has no options", todo=f"write {name}")
        if strange:
            raise unknown_name(f"option of {name}", strange[0], known)
    return entry, {option: whole(value) for option, value in options.items()}


def _part(x: Tensor, y: Tensor, split: str, *, cut: bool) -> tuple[Tensor, Tensor]:
    if not cut:
        return x, y
    chosen = torch.from_numpy(cut_splits(len(x))[check_split(split)])
    return x[chosen], y[chosen]


def _tensors(found: Any, source: str) -> tuple[Tensor, Tensor]:
    """A pair as it is, or the examples of a data set one after another."""
    if isinstance(found, tuple) and len(found) == 2:
        return torch.as_tensor(found[0]), torch.as_tensor(found[1])
    rows = hasattr(found, "__len__") and hasattr(found, "__getitem__") and not isinstance(found, nn.Module)
    if not rows or not len(found):
        raise UsageError(
            f"{source} returned {type(found).__name__}", expected="a pair: inputs and labels, or a Dataset"
        )
    pairs = [_pair(found[number], source) for number in range(len(found))]
    shapes = sorted({tuple(x.shape) for x, _ in pairs})
    if len(shapes) > 1:
        raise DataError(f"the examples of {source} have different shapes", findings=[f"{shapes[0]} and {shapes[1]}"])
    return torch.stack([x for x, _ in pairs]), torch.tensor([y for _, y in pairs])


def _pair(row: Any, source: str) -> tuple[Tensor, int]:
    """One example: an input, pictures as floats in [0, 1] with their channels first, and its label."""
    if isinstance(row, Mapping):
        row = next(((row[x], row[y]) for x, y in PAIRS if x in row and y in row), row)
    if not isinstance(row, tuple | list) or len(row) != 2:
        raise UsageError(
            f"an example of {source} is {type(row).__name__}",
            expected=f"(input, label), or a mapping with {' or '.join(f'{x} and {y}' for x, y in PAIRS)}",
        )
    values = row[0] if isinstance(row[0], Tensor) else torch.from_numpy(np.array(row[0]))
    if values.dtype == torch.uint8:
        values = values.to(torch.float32) / 255
        values = values.unsqueeze(0) if values.dim() == 2 else values.permute(2, 0, 1)
    return values.to(torch.float32), int(row[1])


def _from_file(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = {"x", "y"} - set(arrays.files)
            if missing:
                raise DataError(
                    f"{path} has no array {' and no array '.join(sorted(missing))}",
                    findings=[f"it has {', '.join(arrays.files) or 'none'}"],
                    expected="the inputs as x and the labels as y",
                )
            return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}", expected=FORMS) from error
