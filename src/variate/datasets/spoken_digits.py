"""Spoken digits, or other short words, from files named after the word and the speaker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.wav import SPOKEN, Clip, RefusedError, clip_of, sound_files
from variate.datasets.splits import check_split, permutation
from variate.errors import DataError
from variate.registry import dataset

RATE, LENGTH = 8_000, 8_000  # one second
EXPECTED = "a folder or zip archive of WAV files named LABEL_SPEAKER_NUMBER.wav, such as 7_jackson_32.wav"
SHOWN = 8  # files listed in an error


@dataset(
    modality="audio",
    budget="snr:20dB",
    cite="Jackson et al. 2018, the Free Spoken Digit Dataset, https://github.com/Jakobovski/free-spoken-digit-dataset "
    "(version 1.0.8: doi:10.5281/zenodo.1342401)",
)
def spoken_digits(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Spoken digits, 1 s at 8 kHz, speakers disjoint between splits. FSDD: 1,500 train, 500 validation, 1,000 test.

    Other sampling rates are resampled, channels are averaged, longer clips are truncated and shorter ones padded with
    silence. The details of the data set count how often each happened.

    Args:
        split: ``test`` has the last two speakers in alphabetical order, ``validation`` the one before them, and
            ``train`` all others. Each split is shuffled by one fixed permutation.
        folder: a folder or zip archive with files named LABEL_SPEAKER_NUMBER.wav, .flac or .ogg, at any depth.

    Returns:
        Inputs in [0, 1], shape (N, 1, 8000): (amplitude + 1) / 2; and labels, shape (N,), in the order of their names.

    Raises:
        DataError: if there are no files or some cannot be used; it lists them with the reasons.
    """
    name = check_split(split)  # report a misspelled split before looking for files
    return _recordings(folder).splits[name]


def about(folder: Path | None = None) -> About:
    """The facts of the data set. Raises ``DataError``."""
    return _recordings(folder).about


def _recordings(folder: Path | None) -> Loaded:
    if folder is None or not folder.exists():
        raise DataError(
            "no recordings were given" if folder is None else f"there is nothing at {folder}",
            expected=EXPECTED,
            todo="get https://github.com/Jakobovski/free-spoken-digit-dataset and pass its recordings as --data-folder",
        )
    return _read(folder)


@read_once
def _read(folder: Path) -> Loaded:
    clips: dict[str, Clip] = {}
    findings = []
    for name, content in sound_files(folder):
        try:
            if not SPOKEN.fullmatch(name):
                raise RefusedError("is not named LABEL_SPEAKER_NUMBER.wav")
            if name in clips:
                raise RefusedError("appears twice")
            clips[name] = clip_of(content, rate=RATE, length=LENGTH)
        except RefusedError as reason:
            findings.append(f"{name} {reason}")
    if findings:
        more = [f"and {len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
        raise DataError(
            f"{len(findings)} files in {folder} cannot be used",
            findings=[*findings[:SHOWN], *more],
            expected=EXPECTED,
            todo="repair or remove these files",
        )
    return _split(clips, folder)


def _split(clips: dict[str, Clip], folder: Path) -> Loaded:
    parts = [match.groupdict() for match in map(SPOKEN.fullmatch, clips) if match]
    speakers = sorted({part["speaker"] for part in parts})
    labels = sorted({part["label"] for part in parts})
    if len(speakers) < 4 or len(labels) < 2:
        raise DataError(
            f"{folder} has {len(clips)} recordings of {len(labels)} labels by {len(speakers)} speakers",
            expected=f"{EXPECTED}; at least 2 labels and 4 speakers, since no speaker is in two splits",
        )
    spoken_by = {"train": speakers[:-3], "validation": speakers[-3:-2], "test": speakers[-2:]}
    samples = np.stack([clip.samples for clip in clips.values()])  # (N, T)
    x = torch.from_numpy((samples + 1) / 2).to(torch.float32).unsqueeze(1)  # (N, 1, T)
    y = torch.tensor([labels.index(part["label"]) for part in parts])
    splits = {}
    for name, members in spoken_by.items():
        indices = np.flatnonzero([part["speaker"] in members for part in parts])
        shuffled = torch.from_numpy(indices[permutation(len(indices))])  # so that the first few have all labels
        splits[name] = x[shuffled], y[shuffled]
    missing = sorted(set(range(len(labels))) - set(splits["train"][1].tolist()))
    if missing:
        raise DataError(
            f"no recording in the training split has the label {', '.join(labels[i] for i in missing)}",
            findings=[f"{name}: {', '.join(members)}" for name, members in spoken_by.items()],
        )
    processed = Counter(step for clip in clips.values() for step in clip.handled)
    details = {"rate": RATE, "speakers": spoken_by, "handled": dict(sorted(processed.items()))}
    train_x = splits["train"][0]
    mean, std = (round(float(value), 4) for value in (train_x.mean(), train_x.std()))
    facts = About(
        "audio", (1, LENGTH), len(labels), (mean,), (std,), budget="snr:20dB", labels=tuple(labels), details=details
    )
    return Loaded(facts, splits)
