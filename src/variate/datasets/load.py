"""Load labeled inputs from a data set, a file, or the user's own code."""

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
PAIRS = (
    ("x", "y"),
    ("image", "label"),
    ("img", "label"),
    ("pixel_values", "labels"),
)  # keys of examples that are mappings


def labelled(
    source: str, *, folder: str | PathLike[str] | None = None, split: str = "test", cut: bool = False
) -> tuple[Tensor, Tensor]:
    """Load inputs and labels.

    Args:
        source: the name of a data set, with or without options; the path of an ``.npz`` file with the arrays ``x`` and
            ``y`` (never unpickled); or a ``module:callable`` that returns both, or a ``Dataset`` of PyTorch,
            torchvision or Hugging Face. The callable gets ``split`` if it has an argument of that name.
        folder: folder of a data set's files.
        split: name of the split.
        cut: split a file, or the result of a callable without ``split``, into 80 % train, 10 % validation and 10 % test
            by one fixed permutation; if False, all examples are returned.

    Returns:
        Inputs, shape (B, ...), and integer labels, shape (B,). They are validated where they are used.

    Raises:
        UsageError: for any other source.
        DataError: for a file that cannot be read.
    """
    if source.endswith(".npz"):
        return _part(*_from_file(Path(source)), split, cut=cut)
    if names_code(source):
        function = registry.import_callable(source)
        takes_split = "split" in inspect.signature(function).parameters
        pair = _as_tensors(function(split=split) if takes_split else function(), source)
        return _part(*pair, split, cut=cut and not takes_split)
    entry, options = registered(source)
    x, y = entry.load()(split, folder=None if folder is None else Path(folder), **options)
    return x, y


def is_own(source: str) -> bool:
    """Whether a source is the user's own file or code instead of the name of a data set."""
    return names_code(source) or source.endswith(".npz")


def registered(source: str) -> tuple[registry.Entry, dict[str, Any]]:
    """Look up a data set and parse the options in parentheses after its name, such as ``texts(length=128)``.

    Raises ``UsageError`` for a name or an option that does not exist.
    """
    name, options = parse(source, "a data set")
    entry = registry.get("datasets", name)
    if options:
        options = parse(source, "a data set", entry.load())[1]
        parameters = inspect.signature(entry.load()).parameters.values()
        accepted = [
            parameter.name
            for parameter in parameters
            if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "folder"
        ]
        unknown = [option for option in options if option not in accepted]
        if not accepted:
            raise UsageError(f"the data set {name} has no options", todo=f"write {name}")
        if unknown:
            raise unknown_name(f"option of {name}", unknown[0], accepted)
    return entry, {option: whole(value) for option, value in options.items()}


def _part(x: Tensor, y: Tensor, split: str, *, cut: bool) -> tuple[Tensor, Tensor]:
    if not cut:
        return x, y
    rows = torch.from_numpy(cut_splits(len(x))[check_split(split)])
    return x[rows], y[rows]


def _as_tensors(returned: Any, source: str) -> tuple[Tensor, Tensor]:
    """Inputs and labels as tensors, from a pair of arrays or from a ``Dataset``."""
    if isinstance(returned, tuple) and len(returned) == 2:
        return torch.as_tensor(returned[0]), torch.as_tensor(returned[1])
    is_dataset = (
        hasattr(returned, "__len__") and hasattr(returned, "__getitem__") and not isinstance(returned, nn.Module)
    )
    if not is_dataset or not len(returned):
        raise UsageError(
            f"{source} returned {type(returned).__name__}", expected="a pair: inputs and labels, or a Dataset"
        )
    pairs = [_pair(returned[i], source) for i in range(len(returned))]
    shapes = sorted({tuple(x.shape) for x, _ in pairs})
    if len(shapes) > 1:
        raise DataError(f"the examples of {source} have different shapes", findings=[f"{shapes[0]} and {shapes[1]}"])
    return torch.stack([x for x, _ in pairs]), torch.tensor([y for _, y in pairs])


def _pair(row: Any, source: str) -> tuple[Tensor, int]:
    """One example: its input (images as floats in [0, 1], channels first) and its label."""
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
                    expected="inputs in x and labels in y",
                )
            return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}", expected=FORMS) from error
