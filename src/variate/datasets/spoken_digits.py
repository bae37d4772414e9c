"""Spoken digits, or any short words, from WAV files whose names say what was spoken and by whom."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.wav import Clip, RefusedError, clip_of, wav_files
from variate.datasets.splits import check_split, permutation
from variate.errors import DataError
from variate.registry import dataset

RATE, LENGTH = 8_000, 8_000  # one second
NAME = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_(?P<number>\d+)\.wav", re.I)
EXPECTED = "a folder or zip archive of WAV files named LABEL_SPEAKER_NUMBER.wav, such as 7_jackson_32.wav"
SHOWN = 8  # files that an error names


@dataset(
    modality="audio",
    budget="snr:20dB",
    cite="Jackson et al. 2018, the Free Spoken Digit Dataset, https://github.com/Jakobovski/free-spoken-digit-dataset "
    "(version 1.0.8: doi:10.5281/zenodo.1342401)",
)
def spoken_digits(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Spoken digits, one second at 8 kHz, no speaker in two splits. Of FSDD 1,500 train, 500 validation, 1,000 test.

    Other rates are resampled, channels averaged, longer clips lose their end, shorter ones get silence at theirs. How
    often is in the details of the data set.

    Args:
        split: ``test`` has the last two speakers in alphabetical order, ``validation`` the one before them, ``train``
            all others. Within a split the order is one fixed permutation.
        folder: a folder or zip archive of files LABEL_SPEAKER_NUMBER.wav, at any depth.

    Returns:
        Inputs in [0, 1], shape (N, 1, 8000): (amplitude + 1) / 2; and labels, shape (N,), in the order of their names.

    Raises:
        DataError: where there are none, or any cannot be used: with what is wrong with which.
    """
    wanted = check_split(split)  # a mistake in its name comes before the search for files
    return _recordings(folder).splits[wanted]


def about(folder: Path | None = None) -> About:
    """The facts of the data set. Raises ``DataError``."""
    return _recordings(folder).about


def _recordings(folder: Path | None) -> Loaded:
    if folder is None or not folder.exists():
        raise DataError(
            "no recordings are named" if folder is None else f"there is nothing at {folder}",
            expected=EXPECTED,
            todo="fetch https://github.com/Jakobovski/free-spoken-digit-dataset, pass its recordings as --data-folder",
        )
    return _read(folder)


@read_once
def _read(folder: Path) -> Loaded:
    clips: dict[str, Clip] = {}
    findings = []
    for name, content in wav_files(folder):
        try:
            if not NAME.fullmatch(name):
                raise RefusedError("is not named LABEL_SPEAKER_NUMBER.wav")
            if name in clips:
                raise RefusedError("is there twice")
            clips[name] = clip_of(content, rate=RATE, length=LENGTH)
        except RefusedError as why:
            findings.append(f"{name} {why}")
    if findings:
        more = [f"and {len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
        raise DataError(
            f"{len(findings)} files in {folder} cannot be used",
            findings=[*findings[:SHOWN], *more],
            expected=EXPECTED,
            todo="repair these files, or take them away",
        )
    return _split(clips, folder)


def _split(clips: dict[str, Clip], folder: Path) -> Loaded:
    parts = [match.groupdict() for match in map(NAME.fullmatch, clips) if match]
    speakers = sorted({part["speaker"] for part in parts})
    labels = sorted({part["label"] for part in parts})
    if len(speakers) < 4 or len(labels) < 2:
        raise DataError(
            f"{folder} holds {len(clips)} recordings of {len(labels)} labels by {len(speakers)} speakers",
            expected=f"{EXPECTED}; 2 labels and 4 speakers, since no speaker is in two splits",
        )
    spoken_by = {"train": speakers[:-3], "validation": speakers[-3:-2], "test": speakers[-2:]}
    samples = np.stack([clip.samples for clip in clips.values()])  # (N, T)
    x = torch.from_numpy((samples + 1) / 2).to(torch.float32).unsqueeze(1)  # (N, 1, T)
    y = torch.tensor([labels.index(part["label"]) for part in parts])
    splits = {}
    for name, own in spoken_by.items():
        there = np.flatnonzero([part["speaker"] in own for part in parts])
        mixed = torch.from_numpy(there[permutation(len(there))])  # so that the first few have every label
        splits[name] = x[mixed], y[mixed]
    unheard = sorted(set(range(len(labels))) - set(splits["train"][1].tolist()))
    if unheard:
        raise DataError(
            f"no speaker of the training split says {', '.join(labels[i] for i in unheard)}",
            findings=[f"{name}: {', '.join(own)}" for name, own in spoken_by.items()],
        )
    handled = Counter(what for clip in clips.values() for what in clip.handled)
    details = {"rate": RATE, "speakers": spoken_by, "handled": dict(sorted(handled.items()))}
    learned = splits["train"][0]
    mean, std = (round(float(value), 4) for value in (learned.mean(), learned.std()))
    facts = About(
        "audio", (1, LENGTH), len(labels), (mean,), (std,), budget="snr:20dB", labels=tuple(labels), details=details
    )
    return Loaded(facts, splits)
