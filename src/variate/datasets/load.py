"""Load labeled inputs from a data set, a file, or the user's own code."""

from __future__ import annotations

import importlib
import inspect
from os import PathLike
from typing import Any

from torch import Tensor

from variate import registry
from variate.datasets.parts.located import located
from variate.datasets.parts.own import is_own, own_split
from variate.datasets.splits import check_split
from variate.errors import DataError, UsageError, unknown_name
from variate.options import parse, plain, whole


def data(
    name: str | PathLike[str],
    split: str = "test",
    *,
    limit: int | None = None,
    folder: str | PathLike[str] | None = None,
) -> tuple[Tensor, Tensor]:
    """Inputs and labels of a data set or of your own data, as ``variate.evaluate`` takes them.

    Inputs other than images have a modality that ``variate.evaluate`` needs too: ``variate.about(name).modality``.

    Args:
        name: what ``--data`` takes on the command line: the name of a data set, with or without options, such as
            ``texts(length=128)``; a folder of pictures or sounds, or a table; a ``.npz`` file with the arrays ``x`` and
            ``y``; or ``FILE.py:callable``.
        split: ``train``, ``validation`` or ``test``. Data of your own without splits is cut into 80 %, 10 % and 10 % by
            one fixed permutation.
        limit: number of first examples of the split; by default all.
        folder: folder or file of a data set that has its files there, as ``--data-folder`` names it.

    Returns:
        Inputs, shape (N, ...), and labels as the task of the data has them (``variate.about(name).task``): integers of
        shape (N,) for classes.

    Raises:
        UsageError: for a name, an option, a split or a limit that is not valid.
        DataError: for data that cannot be read.

    Example:
        >>> import variate
        >>> x, y = variate.data("digits", limit=20)
        >>> x.shape, y.shape
        (torch.Size([20, 1, 8, 8]), torch.Size([20]))
    """
    check_split(split)
    check_limit(limit)
    x, y = labelled(str(name), folder=folder, split=split, cut=True)
    return x[:limit], y[:limit]


def check_limit(limit: int | None) -> None:
    """Check a number of first examples; None stands for all. Raises ``UsageError``."""
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise UsageError(f"the limit {limit} is not a number of examples", expected="a whole number from 1, or None")


def labelled(
    source: str,
    *,
    folder: str | PathLike[str] | None = None,
    split: str = "test",
    cut: bool = False,
    task: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Load inputs and labels.

    Args:
        source: the name of a data set, with or without options; the path of a folder or zip archive of pictures or
            sounds, or of a table; the path of an ``.npz`` file with the arrays ``x`` and ``y`` (never unpickled); or a
            ``module:callable`` that returns both, a ``Dataset`` of PyTorch, torchvision or Hugging Face, or a
            dictionary of these by split. The callable gets ``split`` if it has an argument of that name. Labels are
            integers or names; names are numbered in sorted order.
        folder: folder of a data set's files.
        split: name of the split.
        cut: split a file, or the result of a callable without ``split``, into 80 % train, 10 % validation and 10 % test
            by one fixed permutation; if False, all examples are returned, also those of a folder without splits.
        task: what the labels of the user's own data or table mean, if not what is declared; other data sets declare it.

    Returns:
        Inputs, shape (B, ...), and integer labels, shape (B,), or those of another task. They are validated where they
        are used.

    Raises:
        UsageError: for any other source.
        DataError: for data that cannot be read, a split that it lacks, or labels that are not whole numbers or names.
    """
    if is_own(source):
        own = own_split(source, split, cut=cut, of_classes=is_of_classes(task))
        return own.x, own.y
    name, place = located(source, folder)
    entry, options = registered(name, task)
    read_all = None if cut or split != "test" else getattr(importlib.import_module(entry.module), "whole", None)
    x, y = entry.load()(split, folder=place, **options) if read_all is None else read_all(place, **options)
    if not len(x):
        raise DataError(f"the {split} split of {source} has no examples")
    return x, y


def is_of_classes(task: str | None) -> bool:
    """Whether labels of a task are classes, one for each example."""
    return task is None or plain(task) in ("classes", "binary")


def registered(source: str, task: str | None = None) -> tuple[registry.Entry, dict[str, Any]]:
    """Look up a data set and parse the options in parentheses after its name, such as ``texts(length=128)``.

    A ``task`` becomes the option of that name, where a data set reads its labels by one and none is given.

    Raises ``UsageError`` for a name or an option that does not exist.
    """
    name, options = parse(located(source)[0], "a data set")
    entry = registry.get("datasets", name)
    if options or task is not None:
        accepted = _options_of(entry)
        given = parse(source, "a data set", entry.load())[1] if options else {}
        unknown = [option for option in given if option not in accepted]
        if given and not accepted:
            raise UsageError(f"the data set {name} has no options", todo=f"write {name}")
        if unknown:
            raise unknown_name(f"option of {name}", unknown[0], accepted)
        options = {"task": task, **given} if task is not None and "task" in accepted else given
    return entry, {option: whole(value) for option, value in options.items()}


def _options_of(entry: registry.Entry) -> list[str]:
    parameters = inspect.signature(entry.load()).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.name != "folder"]
