"""Sounds of your own in class folders, such as Speech Commands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.folders import (
    Layout,
    Read,
    attempt,
    existing,
    laid_out,
    refuse_unreadable,
    splits_of,
    tree_of,
    warn_of_left_out,
)
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.repeats import digests, warn_of_repeats
from variate.datasets.parts.wav import RATES, SUFFIXES, Clip, RefusedError, clip_of
from variate.datasets.splits import SplitName, check_split
from variate.errors import UsageError
from variate.registry import dataset

NOISE = "_background_noise_"  # the folder of Speech Commands that holds no words
LISTS: dict[str, SplitName] = {"validation_list.txt": "validation", "testing_list.txt": "test"}
LONGEST = 60.0  # seconds


@dataset(
    modality="audio",
    budget="snr:20dB",
    cite="your own sounds; the layout of Warden 2018, Speech Commands, arXiv:1804.03209, is read too",
)
def sounds(split: str, *, folder: Path | None = None, rate: int = 8_000, seconds: float = 1.0) -> tuple[Tensor, Tensor]:
    """Your own sounds, in a folder or zip archive of CLASS/NAME or SPLIT/CLASS/NAME; for short ``--data FOLDER/``.

    WAV files, and FLAC and Ogg files with ``pip install 'variate[audio]'``. Splits and classes are as in ``images``:
    without splits, a tenth of every class is held out for validation and a tenth for testing, whoever speaks in them.
    In the layout of Speech Commands, validation_list.txt and testing_list.txt name the files of these splits, and
    _background_noise_ is left out.

    Channels are averaged, other sampling rates are resampled, longer sounds are truncated and shorter ones padded with
    silence. The details of the data set count how often each happened.

    Args:
        split: ``train``, ``validation`` or ``test``; each is shuffled by one fixed permutation.
        folder: the folder or zip archive.
        rate: sampling rate of the inputs, samples per second.
        seconds: length of the inputs.

    Returns:
        Inputs in [0, 1], shape (N, 1, T): (amplitude + 1) / 2; and labels, shape (N,), in the order of their names.

    Raises:
        DataError: if there are no class folders, or sounds cannot be used; it lists them with the reasons.
        UsageError: for options that are not valid, or if a library is needed and not installed.
    """
    name = check_split(split)
    return _sounds(existing(folder, "sounds", "sounds"), rate, seconds).splits[name]


def about(folder: Path | None = None, *, rate: int = 8_000, seconds: float = 1.0) -> About:
    """The facts of the sounds. Raises ``DataError``."""
    return _sounds(existing(folder, "sounds", "sounds"), rate, seconds).about


def whole(folder: Path | None = None, *, rate: int = 8_000, seconds: float = 1.0) -> tuple[Tensor, Tensor]:
    """All sounds of a folder without splits, otherwise those of its test split. Raises ``DataError``."""
    return _sounds(existing(folder, "sounds", "sounds"), rate, seconds).whole()


@read_once
def _sounds(source: Path, rate: int, seconds: float) -> Loaded:
    length = _length(rate, seconds)
    with tree_of(source) as tree:
        listed, notes = _listed(tree.files, tree.read, source)
        noise = [path for path in tree.files if NOISE in path.parts]
        words = tree._replace(
            files=[path for path in tree.files if NOISE not in path.parts and path.name not in LISTS],
            folders=[path for path in tree.folders if NOISE not in path.parts],
        )
        layout = laid_out(words, SUFFIXES, source, listed=listed or None)
        clips = _read(layout, tree.read, source, rate, length)
    samples = np.stack([clip.samples for clip in clips]).astype(np.float32)  # (N, T)
    x = torch.from_numpy((samples + 1) / 2).unsqueeze(1)  # (N, 1, T)
    y = torch.tensor(layout.labels)
    splits = {name: (x[rows], y[rows]) for name, rows in splits_of(layout).items()}
    warn_of_left_out([*notes, *([f"{NOISE}: {len(noise)} files"] if noise else []), *layout.left_out], source)
    warn_of_repeats(source, {name: digests(part) for name, (part, _) in splits.items()})
    handled = Counter(step for clip in clips for step in clip.handled)
    train = splits["train"][0]
    mean, std = round(float(train.mean()), 4), round(float(train.std()), 4)
    facts = About(
        "audio",
        (1, length),
        len(layout.classes),
        (mean,),
        (std or 1.0,),
        "snr:20dB",
        layout.classes,
        {"rate": rate, "handled": dict(sorted(handled.items()))},
    )
    return Loaded(facts, splits, is_cut=layout.members[0].split is None)


def _length(rate: int, seconds: float) -> int:
    """Samples of an input, T. Raises ``UsageError``."""
    if not isinstance(rate, int) or not RATES[0] <= rate <= RATES[1]:
        raise UsageError(f"{rate} is not a sampling rate", expected=f"{RATES[0]:,} to {RATES[1]:,} samples per second")
    if not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST or round(rate * seconds) < 1:
        raise UsageError(f"sounds cannot last {seconds} seconds", expected=f"more than 0 and at most {LONGEST:g}")
    return round(rate * seconds)


def _listed(paths: list[PurePosixPath], read: Read, source: Path) -> tuple[dict[PurePosixPath, SplitName], list[str]]:
    """The splits of the files that lists beside the class folders name, and what is wrong with the lists."""
    listed: dict[PurePosixPath, SplitName] = {}
    findings: list[str] = []
    notes = []
    there = set(paths)
    for path in sorted(path for path in paths if path.name in LISTS):
        content = attempt(read, path, findings) or b""
        named = [path.parent / line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        listed |= dict.fromkeys(named, LISTS[path.name])
        missing = [name for name in named if name not in there]
        if missing:
            notes.append(f"{path} names {len(missing)} files that are not there, such as {missing[0]}")
    refuse_unreadable(findings, source)
    return listed, notes


def _read(layout: Layout, read: Read, source: Path, rate: int, length: int) -> list[Clip]:
    """All clips, in the order of the layout. Raises ``DataError`` that lists every file that cannot be used."""
    clips: list[Clip] = []
    findings: list[str] = []
    for member in layout.members:
        content = attempt(read, member.path, findings)
        if content is not None:
            try:
                clips.append(clip_of(content, rate=rate, length=length))
            except RefusedError as reason:
                findings.append(f"{member.path} {reason}")
    refuse_unreadable(findings, source)
    return clips
