"""Strings of spoken digits, or of other short words, joined from recordings of single ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.spoken import Spoken, existing_recordings, recordings
from variate.datasets.splits import SplitName, check_split
from variate.errors import UsageError
from variate.registry import dataset

RATE, LENGTH = 8_000, 8_000  # of one recording, as in spoken-digits
SECONDS = 0.75  # of a string, for every digit of the longest
LONGEST = 20  # digits
NONE = -1  # fills the labels of a shorter string
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")  # each has random numbers of its own, in this order


@dataset(
    modality="audio",
    budget="snr:20dB",
    cite="Jackson et al. 2018, the Free Spoken Digit Dataset, https://github.com/Jakobovski/free-spoken-digit-dataset "
    "(version 1.0.8: doi:10.5281/zenodo.1342401)",
)
def digit_strings(
    split: str, *, folder: Path | None = None, least: int = 2, most: int = 4, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Strings of 2 to 4 spoken digits, 3 s at 8 kHz, joined from the recordings of ``spoken-digits``; a transcript.

    Every string is of one speaker, and no speaker is in two splits, which are those of ``spoken-digits``. A split has
    as many strings as recordings, and uses each equally often, give or take one. Lengths and order are random, from a
    seed. A digit that would end after the clip is left out, of the labels too; silence fills the rest of a clip.

    Args:
        split: ``train``, ``validation`` or ``test``.
        folder: a folder or zip archive with files named LABEL_SPEAKER_NUMBER.wav, .flac or .ogg, at any depth.
        least: fewest digits of a string.
        most: most digits of a string; a clip lasts .75 s for each.
        seed: seed of the strings.

    Returns:
        Inputs in [0, 1], shape (N, 1, T): (amplitude + 1) / 2; and labels, shape (N, ``most``), filled up with -1.

    Raises:
        DataError: if there are no files or some cannot be used; it lists them with the reasons.
        UsageError: for options that are not valid.
    """
    name = check_split(split)
    return _read(existing_recordings(folder), *_checked(least, most, seed)).splits[name]


def about(folder: Path | None = None, *, least: int = 2, most: int = 4, seed: int = 0) -> About:
    """The facts of the data set. Raises ``DataError``."""
    return _read(existing_recordings(folder), *_checked(least, most, seed)).about


def _checked(least: int, most: int, seed: int) -> tuple[int, int, int]:
    """The options. Raises ``UsageError``."""
    if any(isinstance(value, bool) or not isinstance(value, int) for value in (least, most, seed)) or seed < 0:
        raise UsageError(
            f"least is {least!r}, most {most!r} and the seed {seed!r}", expected="whole numbers, and a seed from 0"
        )
    if not 1 <= least <= most <= LONGEST:
        raise UsageError(f"strings cannot have {least} to {most} digits", expected=f"1 to {LONGEST}, least <= most")
    return least, most, seed


@read_once
def _read(folder: Path, least: int, most: int, seed: int) -> Loaded:
    spoken = recordings(folder, rate=RATE, length=LENGTH)
    length = max(round(SECONDS * RATE * most), LENGTH)
    splits, shortened = {}, 0
    for place, name in enumerate(SPLITS):
        draw = np.random.Generator(np.random.PCG64([seed, place]))
        strings = _strings(spoken, spoken.of(name), draw, least, most)
        samples = np.zeros((len(strings), length), dtype=np.float32)
        y = torch.full((len(strings), most), NONE)
        for row, string in enumerate(strings):
            kept = _joined(spoken, string, samples[row])
            y[row, : len(kept)] = torch.tensor(kept)
            shortened += len(kept) < len(string)
        splits[str(name)] = torch.from_numpy((samples + 1) / 2).unsqueeze(1), y  # (N, 1, T), (N, most)
    x = splits["train"][0]
    handled = spoken.handled | {"strings shortened": shortened}
    facts = About(
        "audio",
        (1, length),
        len(spoken.names),
        (round(float(x.mean()), 4),),
        (round(float(x.std()), 4),),
        "snr:20dB",
        spoken.names,
        {"rate": RATE, "speakers": spoken.spoken_by, "handled": handled},
        task=f"transcript(symbols={len(spoken.names)})",
    )
    return Loaded(facts, splits)


def _strings(spoken: Spoken, members: list[int], draw: np.random.Generator, least: int, most: int) -> list[list[int]]:
    """As many strings as recordings, each a list of recordings of one speaker, in random order."""
    strings = []
    for speaker in sorted({spoken.speakers[index] for index in members}):
        own = [index for index in members if spoken.speakers[index] == speaker]
        pool: list[int] = []
        for count in draw.integers(least, most + 1, len(own)).tolist():
            while len(pool) < count:
                pool += draw.permutation(own).tolist()
            strings.append([pool.pop(0) for _ in range(count)])
    return [strings[row] for row in draw.permutation(len(strings))]


def _joined(spoken: Spoken, string: list[int], samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[int]:
    """Write the recordings of a string one after another into ``samples``, (T,); the labels of those that fit."""
    start, labels = 0, []
    for index in string:
        sound = np.trim_zeros(spoken.samples[index], "b")
        if start + len(sound) > len(samples):
            break
        samples[start : start + len(sound)] = sound
        start += len(sound)
        labels.append(spoken.labels[index])
    return labels
