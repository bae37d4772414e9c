"""Load labeled inputs from a data set, a file, or the user's own code."""

from __future__ import annotations

import inspect
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from variate import registry
from variate.datasets.parts.own import is_own, own_split
from variate.errors import DataError, UsageError, unknown_name
from variate.options import parse, whole


def labelled(
    source: str, *, folder: str | PathLike[str] | None = None, split: str = "test", cut: bool = False
) -> tuple[Tensor, Tensor]:
    """Load inputs and labels.

    Args:
        source: the name of a data set, with or without options; the path of an ``.npz`` file with the arrays ``x`` and
            ``y`` (never unpickled); or a ``module:callable`` that returns both, a ``Dataset`` of PyTorch, torchvision
            or Hugging Face, or a dictionary of these by split. The callable gets ``split`` if it has an argument of
            that name. Labels are integers or names; names are numbered in sorted order.
        folder: folder of a data set's files.
        split: name of the split.
        cut: split a file, or the result of a callable without ``split``, into 80 % train, 10 % validation and 10 % test
            by one fixed permutation; if False, all examples are returned.

    Returns:
        Inputs, shape (B, ...), and integer labels, shape (B,). They are validated where they are used.

    Raises:
        UsageError: for any other source.
        DataError: for data that cannot be read, a split that it lacks, or labels that are not whole numbers or names.
    """
    if is_own(source):
        own = own_split(source, split, cut=cut)
        return own.x, own.y
    entry, options = registered(source)
    x, y = entry.load()(split, folder=None if folder is None else Path(folder), **options)
    if not len(x):
        raise DataError(f"the {split} split of {source} has no examples")
    return x, y


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
