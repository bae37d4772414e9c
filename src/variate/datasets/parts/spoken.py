"""Recordings of short words in files named after the word and the speaker."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from variate.datasets.parts.given import existing
from variate.datasets.parts.wav import SPOKEN, Clip, Floats, RefusedError, clip_of, sound_files
from variate.datasets.splits import SplitName
from variate.errors import DataError

EXPECTED = "a folder or zip archive of WAV files named LABEL_SPEAKER_NUMBER.wav, such as 7_jackson_32.wav"
SHOWN = 8  # files listed in an error


@dataclass(frozen=True)
class Spoken:
    """Recordings of words, in the order of their files' names.

    Attributes:
        samples: amplitudes, shape (N, T), padded with silence.
        labels: the word of each, as an index of ``names``.
        speakers: the speaker of each.
        names: the words, sorted.
        spoken_by: the speakers of every split; none is in two.
        handled: how many recordings were padded, truncated, resampled and so on.
    """

    samples: Floats
    labels: list[int]
    speakers: list[str]
    names: tuple[str, ...]
    spoken_by: dict[SplitName, list[str]]
    handled: dict[str, int]

    def of(self, split: SplitName) -> list[int]:
        """Indices of the recordings of a split."""
        return [index for index, speaker in enumerate(self.speakers) if speaker in self.spoken_by[split]]


def existing_recordings(folder: Path | None) -> Path:
    """The folder or archive, if it exists. Raises ``DataError`` that says how to get it."""
    todo = "get https://github.com/Jakobovski/free-spoken-digit-dataset and pass its recordings as --data-folder"
    return existing(folder, "no recordings were given", expected=EXPECTED, todo=todo)


def recordings(folder: Path, *, rate: int, length: int) -> Spoken:
    """Read all recordings of a folder or archive, at one sampling rate and of one length.

    The last two speakers in alphabetical order are for testing, the one before them for validation.

    Raises:
        DataError: if there are too few, some cannot be used (it lists them with the reasons), or a word is never heard
            in the training split.
    """
    clips = _clips(folder, rate, length)
    parts = [match.groupdict() for match in map(SPOKEN.fullmatch, clips) if match]
    speakers = sorted({part["speaker"] for part in parts})
    names = sorted({part["label"] for part in parts})
    if len(speakers) < 4 or len(names) < 2:
        raise DataError(
            f"{folder} has {len(clips)} recordings of {len(names)} labels by {len(speakers)} speakers",
            expected=f"{EXPECTED}; at least 2 labels and 4 speakers, since no speaker is in two splits",
        )
    spoken_by: dict[SplitName, list[str]] = {
        "train": speakers[:-3],
        "validation": speakers[-3:-2],
        "test": speakers[-2:],
    }
    missing = sorted(set(names) - {part["label"] for part in parts if part["speaker"] in spoken_by["train"]})
    if missing:
        raise DataError(
            f"no recording in the training split has the label {', '.join(missing)}",
            findings=[f"{name}: {', '.join(members)}" for name, members in spoken_by.items()],
        )
    return Spoken(
        np.stack([clip.samples for clip in clips.values()]),
        [names.index(part["label"]) for part in parts],
        [part["speaker"] for part in parts],
        tuple(names),
        spoken_by,
        dict(sorted(Counter(step for clip in clips.values() for step in clip.handled).items())),
    )


def _clips(folder: Path, rate: int, length: int) -> dict[str, Clip]:
    """The clips by the names of their files. Raises ``DataError`` that lists every file that cannot be used."""
    clips: dict[str, Clip] = {}
    findings = []
    for name, content in sound_files(folder):
        try:
            if not SPOKEN.fullmatch(name):
                raise RefusedError("is not named LABEL_SPEAKER_NUMBER.wav")
            if name in clips:
                raise RefusedError("appears twice")
            clips[name] = clip_of(content, rate=rate, length=length)
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
    return clips
