"""Original and adversarial clips to play, with spectrograms."""

from __future__ import annotations

import base64
import io
import math
import wave
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from variate.records.schema import Picture
from variate.report.attacked import Display

FULL_SCALE = 32_768
WINDOW, HOP = 256, 64  # samples
RANGE = 60  # decibels from black (the maximum of both clips) to white
Samples = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClipPair:
    """One example's clips as data URLs.

    Attributes:
        original, adversarial: 16-bit WAV files.
        pictures: spectrograms of both clips and of the perturbation, on one scale.
        width, height: size of a spectrogram.
        added: loudness of the perturbation, in words.
    """

    original: str
    adversarial: str
    pictures: tuple[str, str, str]
    width: int
    height: int
    added: str


def clip_pair(picture: Picture) -> ClipPair:
    """Display of one example: 16-bit samples, shape (1, T), and their ``rate``."""
    original, adversarial = (
        np.frombuffer(bytes.fromhex(samples), "<i2") for samples in (picture.original, picture.adversarial)
    )
    rate = int(picture.details["rate"])
    clips = [clip.astype(np.float64) / FULL_SCALE for clip in (original, adversarial)]
    added = clips[1] - clips[0]
    decibels = [_decibels(clip) for clip in (*clips, added)]  # (F, N) each
    top = max(float(power.max()) for power in decibels[:2])
    first, second, third = (_picture(power, top) for power in decibels)
    height, width = decibels[0].shape
    words = _in_words(clips[0], added)
    return ClipPair(_sound(original, rate), _sound(adversarial, rate), (first, second, third), width, height, words)


def _in_words(clip: Floats, added: Floats) -> str:
    """Loudness of the perturbation relative to the clip, and its largest sample."""
    signal, noise, most = float(np.linalg.norm(clip)), float(np.linalg.norm(added)), float(np.abs(added).max())
    if noise == 0:
        return "no perturbation"
    if signal == 0:
        return f"the clip is silent in 16 bits, and the perturbation is at most {most:.2g} of full scale"
    below = 20 * math.log10(signal / noise)
    level = f"{below:.1f} dB below the clip" if below >= 0 else f"{-below:.1f} dB above the clip"
    return f"the perturbation is {level}, at most {most:.2g} of full scale"


def _sound(samples: Samples, rate: int) -> str:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return _data_url("audio/wav", buffer.getvalue())


def _decibels(clip: Floats) -> Floats:
    """Power by frequency (high ones first) in overlapping frames: (T,) to (F, N)."""
    padded = np.pad(clip, (0, max(0, WINDOW - len(clip))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)  # (N, WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2  # (N, F)
    decibels: Floats = 10 * np.log10(power + 1e-12).T[::-1]
    return decibels


def _picture(decibels: Floats, top: float) -> str:
    """PNG image: black at ``top``, white from ``RANGE`` decibels below it."""
    gray: NDArray[Any] = np.clip((top - decibels) / RANGE, 0, 1) * 255
    buffer = io.BytesIO()
    Image.fromarray(gray.astype(np.uint8)).save(buffer, format="PNG")
    return _data_url("image/png", buffer.getvalue())


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()


DISPLAY = Display(
    title="Original and adversarial clips",
    text=(
        "Original and adversarial clips, with spectrograms of both and of the perturbation. Time runs to the right, "
        "frequency upwards to half the sampling rate; black is loudest, white at least 60 dB below."
    ),
    most=3,
    show=clip_pair,
)
