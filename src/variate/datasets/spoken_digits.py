"""Spoken digits, or other short words, from files named after the word and the speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.spoken import existing_recordings, recordings
from variate.datasets.splits import check_split, permutation
from variate.registry import dataset

RATE, LENGTH = 8_000, 8_000  # one second


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
    return _read(existing_recordings(folder)).splits[name]


def about(folder: Path | None = None) -> About:
    """The facts of the data set. Raises ``DataError``."""
    return _read(existing_recordings(folder)).about


@read_once
def _read(folder: Path) -> Loaded:
    spoken = recordings(folder, rate=RATE, length=LENGTH)
    x = torch.from_numpy((spoken.samples + 1) / 2).to(torch.float32).unsqueeze(1)  # (N, 1, T)
    y = torch.tensor(spoken.labels)
    splits = {}
    for name in spoken.spoken_by:
        indices = np.array(spoken.of(name))
        shuffled = torch.from_numpy(indices[permutation(len(indices))])  # so that the first few have all labels
        splits[str(name)] = x[shuffled], y[shuffled]
    details = {"rate": RATE, "speakers": spoken.spoken_by, "handled": spoken.handled}
    train_x = splits["train"][0]
    mean, std = (round(float(value), 4) for value in (train_x.mean(), train_x.std()))
    facts = About(
        "audio", (1, LENGTH), len(spoken.names), (mean,), (std,), "snr:20dB", labels=spoken.names, details=details
    )
    return Loaded(facts, splits)
