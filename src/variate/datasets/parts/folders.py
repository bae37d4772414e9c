"""Class folders of the user's own files, in a directory or a zip archive: CLASS/NAME or SPLIT/CLASS/NAME."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from variate.datasets.parts import given
from variate.datasets.parts.arrays import classes_of
from variate.datasets.splits import SHARES, SplitName, held_out, permutation
from variate.errors import DataError
from variate.files.reading import reading, unzipping

SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}  # names of folders, in lower case
HIDDEN = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave behind; and all names that begin with a dot
LAYOUT = "folders CLASS/NAME, or SPLIT/CLASS/NAME with train, validation (val, valid, dev) and test"
SHOWN = 20  # files listed in an error
NAMED = 5  # of what is left out, in a warning


class Member(NamedTuple):
    """One labelled file: its path within the source, its split, None without splits, and the name of its class."""

    path: PurePosixPath
    split: SplitName | None
    label: str


@dataclass(frozen=True)
class Layout:
    """The labelled files of a source.

    Attributes:
        members: the files, sorted by class and then by path.
        classes: names of the classes of all splits, in the order of their numbers.
        left_out: what is not read, with the reasons.
    """

    members: tuple[Member, ...]
    classes: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def labels(self) -> list[int]:
        """The number of the class of every member."""
        numbers = {name: i for i, name in enumerate(self.classes)}
        return [numbers[member.label] for member in self.members]


def split_named(name: object) -> SplitName | None:
    """The split that a folder or a key of a dictionary is named after; None for any other name."""
    return SPLITS.get(name.lower()) if isinstance(name, str) else None


Read = Callable[[PurePosixPath], bytes]


class Tree(NamedTuple):
    """The visible files and folders of a directory or a zip archive, and a function that reads a file."""

    files: list[PurePosixPath]
    folders: list[PurePosixPath]
    read: Read


def existing(folder: Path | None, dataset: str, things: str, *, layout: str = LAYOUT) -> Path:
    """The folder that was given to a data set of ``things``. Raises ``DataError`` if there is none."""
    todo = f"name the folder: --data {dataset} --data-folder FOLDER, or --data FOLDER/"
    return given.existing(folder, f"no folder of {things} was given", expected=layout, todo=todo)


@contextmanager
def tree_of(source: Path) -> Iterator[Tree]:
    """The tree of a directory or a zip archive. Raises ``DataError``, also for what the block reads."""
    if source.is_dir():
        files, folders = _walked(source)
        yield Tree(_visible(files), _visible(folders), lambda path: (source / path).read_bytes())
        return
    with unzipping(source, DataError, todo=f"pass a folder or a zip archive of {LAYOUT}") as archive:
        members = [(PurePosixPath(member.filename), member.is_dir()) for member in archive.infolist()]
        files, folders = ([path for path, is_folder in members if is_folder == kind] for kind in (False, True))
        yield Tree(_visible(files), _visible(folders), lambda path: archive.read(str(path)))


def laid_out(
    tree: Tree,
    suffixes: Sequence[str],
    source: Path,
    *,
    listed: Mapping[PurePosixPath, SplitName] | None = None,
) -> Layout:
    """Labels and splits of files by the folders that they are in; classes are numbered once, for all splits.

    The class is the folder directly below the split, or at the top; folders inside it belong to it. A single folder
    around everything is passed through.

    Args:
        tree: visible files and folders of the source.
        suffixes: lower-case suffixes of the files to read; all others are left out.
        source: the source, for error messages.
        listed: splits of files, for sources that list them; files that are not listed are for training.

    Raises:
        DataError: for fewer than two classes, classes that are not in the training split, a missing training split, and
            splits and classes side by side.
    """
    wanted = [path for path in tree.files if path.suffix.lower() in suffixes]
    depth = _around(wanted)
    tops = {path.parts[depth] for path in wanted if len(path.parts) > depth + 1}
    named = {top for top in tops if top.lower() in SPLITS}
    if named and named != tops and any(path.parts[depth] in named for path in wanted if len(path.parts) > depth + 2):
        others = ", ".join(sorted(tops - named)[:3])
        raise DataError(
            f"{source} has {others} beside {', '.join(sorted(named))}", expected=LAYOUT, todo="move one of them away"
        )
    has_splits = bool(tops) and named == tops
    place = depth + has_splits  # of the class among the parts of a path
    members = [
        Member(
            path,
            SPLITS[path.parts[depth].lower()] if has_splits else None if listed is None else listed.get(path, "train"),
            path.parts[place],
        )
        for path in wanted
        if len(path.parts) > place + 1
    ]
    classes = classes_of(np.array(sorted({member.label for member in members}), dtype=np.str_))
    left_out = _without_files(tree.folders, classes, place) if members else []
    left_out += [f"{path}: in no class folder" for path in sorted(wanted) if len(path.parts) <= place + 1]
    left_out += _other_formats([path for path in tree.files if path.suffix.lower() not in suffixes])
    layout = Layout(tuple(sorted(members, key=lambda member: (member.label, member.path))), classes, tuple(left_out))
    _check(layout, suffixes, source)
    return layout


def splits_of(layout: Layout) -> dict[str, NDArray[np.int64]]:
    """Indices of the members of every split, each shuffled so that the first few have all classes.

    Without splits, a tenth of every class is held out for testing and a tenth for validation. Without a validation
    split, a tenth of every class of the training split is; without a test split, the given validation split becomes the
    test split.
    """
    labels = np.array(layout.labels, dtype=np.int64)
    given = np.array([member.split or "train" for member in layout.members], dtype="<U10")
    if "test" not in given:
        given[given == "validation"] = "test"
    tenth = SHARES[1]
    if "test" not in given:
        _hold_out("test", given, labels, tenth)
        tenth /= 1 - tenth  # of all, though only the rest is there
    if "validation" not in given:
        _hold_out("validation", given, labels, tenth)
    indices = {name: np.flatnonzero(given == name) for name in get_args(SplitName)}
    return {name: rows[permutation(len(rows))] for name, rows in indices.items()}


def _hold_out(name: str, given: NDArray[np.str_], labels: NDArray[np.int64], share: float) -> None:
    """Move a share of every class from the training split to another."""
    rows = np.flatnonzero(given == "train")
    given[rows[held_out(labels[rows], share)]] = name


def _check(layout: Layout, suffixes: Sequence[str], source: Path) -> None:
    """Check that there is something to learn. Raises ``DataError``."""
    if len(layout.classes) < 2:
        there = f"files of one class, {layout.classes[0]}" if layout.classes else "no files in class folders"
        raise DataError(
            f"{source} has {there}",
            findings=layout.left_out[:SHOWN],
            expected=f"{LAYOUT}, and files that end in {', '.join(suffixes)}",
        )
    by_split: dict[str | None, set[str]] = {}
    for member in layout.members:
        by_split.setdefault(member.split, set()).add(member.label)
    if None in by_split:
        return
    if "train" not in by_split:
        only = ", ".join(sorted(str(split) for split in by_split))
        raise DataError(
            f"{source} has no train split, only {only}",
            expected=LAYOUT,
            todo=f"to judge a network on one of them, pass that folder, such as {source / only.split(', ')[0]}",
        )
    unseen = sorted(set(layout.classes) - by_split["train"])
    if unseen:
        raise DataError(
            f"{source} has classes that are not in train: {', '.join(unseen[:SHOWN])}",
            todo="move these folders away, or add files of these classes to train",
        )


def _walked(source: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Files and folders below a folder, also behind symbolic links; one that contains itself is entered once."""
    seen = set()
    files, folders = [], []
    for folder, names, inside in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        place = PurePosixPath(Path(folder).relative_to(source).as_posix())
        folders += [place / name for name in names]
        paths = [(Path(folder) / name, place / name) for name in inside]
        files += [path for there, path in paths if there.is_file() or there.is_symlink()]  # no pipes or devices
    return files, folders


def _visible(paths: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    return [path for path in paths if not _is_hidden(path)]


def _is_hidden(path: PurePosixPath) -> bool:
    return any(name.startswith(".") or name in HIDDEN for name in path.parts)


def _around(paths: Sequence[PurePosixPath]) -> int:
    """Number of folders around everything that are neither a split nor a class."""
    depth = 0
    while (
        len(tops := {path.parts[depth] for path in paths}) == 1
        and not tops & set(SPLITS)
        and all(len(path.parts) > depth + 2 for path in paths)
    ):
        depth += 1
    return depth


def _without_files(folders: Sequence[PurePosixPath], classes: Sequence[str], place: int) -> list[str]:
    """Folders where classes are, without any file that is read: later classes have other numbers without them."""
    at_place = [path for path in sorted(folders) if len(path.parts) == place + 1 and path.name not in classes]
    return [f"{path}: nothing in it is read, so it is no class" for path in at_place]


def _other_formats(paths: Sequence[PurePosixPath]) -> list[str]:
    by_suffix: dict[str, list[PurePosixPath]] = {}
    for path in sorted(paths):
        by_suffix.setdefault(path.suffix.lower() or "no suffix", []).append(path)
    return [
        f"{found[0]}: {suffix} is not read" + (f", nor are {len(found) - 1} more" if len(found) > 1 else "")
        for suffix, found in by_suffix.items()
    ]


def refuse_unreadable(findings: Sequence[str], source: Path, *, todo: str | None = None) -> None:
    """Raise ``DataError`` that lists all files that cannot be used, if there are any."""
    if findings:
        more = [f"and {len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
        raise DataError(
            f"{len(findings)} files of {source} cannot be used",
            findings=[*findings[:SHOWN], *more],
            todo=todo or "replace these files, or remove them",
        )


def warn_of_left_out(left_out: Sequence[str], source: Path) -> None:
    """Warn of what is not read, if there is anything."""
    if left_out:
        more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        warnings.warn(f"left out of {source}: {'; '.join(left_out[:NAMED])}{more}", stacklevel=2)


def attempt(read: Read, path: PurePosixPath, findings: list[str]) -> bytes | None:
    """The content of a file; None, and a finding, if it cannot be read."""
    try:
        with reading(path, DataError):
            return read(path)
    except DataError as error:
        findings.append(error.problem)
        return None
