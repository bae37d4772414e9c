"""Labelled inputs from wherever the user keeps them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate import registry
from variate.errors import DataError, UsageError

FORMS = "a data set's name, a file.npz with arrays x and y, or module:callable that returns (x, y)"


def labelled(source: str, *, folder: Path | None = None, split: str = "test") -> tuple[Tensor, Tensor]:
    """Inputs and labels.

    Args:
        source: the name of a data set, the path of an ``.npz`` file with the arrays ``x`` and ``y`` (never unpickled),
            or a ``module:callable`` that returns both.
        folder: of a data set's files.
        split: of a data set.

    Returns:
        Inputs, shape (B, ...), and integer labels, shape (B,); what they must be is checked where they are used.

    Raises:
        UsageError: for a source that is none of these, DataError for a file that cannot be read.
    """
    if source.endswith(".npz"):
        return _from_file(Path(source))
    if ":" in source:
        found = registry.import_callable(source)()
        if not isinstance(found, tuple) or len(found) != 2:
            raise UsageError(f"{source} returned {type(found).__name__}", expected="a pair: inputs and labels")
        return torch.as_tensor(found[0]), torch.as_tensor(found[1])
    x, y = registry.get("datasets", source).load()(split, folder=folder)
    return x, y


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
