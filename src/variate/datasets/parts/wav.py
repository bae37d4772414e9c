"""Clips from WAV files: one channel at one rate and of one length, and what had to be done for that."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from variate.errors import DataError

RATES = (1_000, 384_000)  # samples in a second that a file may have
CUT = 3  # samples in a row at full scale: the recording was cut off
FULL = 0.9999
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
        samples: amplitudes in [-1, 1], shape (T,), silence at the end where it is shorter.
        handled: what was done with it: ``averaged``, ``resampled``, ``cropped``, ``padded``; and ``clipped`` where it
            was cut off at full scale, with which nothing was done.
    """

    samples: Floats
    handled: tuple[str, ...]


class RefusedError(Exception):
    """Why a file is no clip that can be used."""


def clip_of(content: bytes, *, rate: int, length: int) -> Clip:
    """The clip in a WAV file: PCM of 8, 16, 24 or 32 bits, or floats.

    Channels are averaged; another rate is resampled by a polyphase filter (``scipy.signal.resample_poly``); what is
    longer loses its end, what is shorter is filled up with silence. Nothing is made louder, and nothing is trimmed.

    Args:
        content: of the file.
        rate: samples in a second.
        length: T.

    Raises:
        RefusedError: for what is no WAV file, or one without a sound, or floats beyond full scale.
    """
    found, samples = _read(content)
    handled = []
    if samples.ndim == 2 and samples.shape[1] > 1:
        handled.append("averaged")
    samples = samples.reshape(len(samples), -1)
    if _is_clipped(samples):
        handled.append("clipped")
    sounds = samples.any()
    samples = samples.mean(1)  # (T,)
    if found != rate:
        handled.append("resampled")
        samples = _resampled(samples, found, rate)
    if not samples.any():
        raise RefusedError("is silent once its channels are averaged: they cancel" if sounds else "is silent")
    first = np.flatnonzero(samples)[0]
    handled += ["cropped"] if len(samples) > length else ["padded"] if len(samples) < length else []
    samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
    if not samples.any():
        raise RefusedError(f"sounds only from {first / rate:.3g} s on, and its first {length / rate:g} s are kept")
    return Clip(samples, tuple(handled))


def _is_clipped(samples: Floats) -> bool:
    """Whether any channel stays at full scale for a while: (T, channels)."""
    loud = np.abs(samples) >= FULL
    runs = np.logical_and.reduce([loud[start : len(loud) - CUT + 1 + start] for start in range(CUT)])
    return bool(runs.any())


def wav_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of every WAV file below a folder or in a zip archive, by name. Raises ``DataError``."""
    if source.is_dir():
        for path in sorted(source.rglob("*"), key=lambda path: (path.name, str(path))):
            if _is_wav(path.name) and path.is_file():
                yield path.name, path.read_bytes()
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist(), key=lambda name: (PurePosixPath(name).name, name)):
                if _is_wav(PurePosixPath(name).name):
                    yield PurePosixPath(name).name, archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source} cannot be read as a zip archive: {error}", todo="fetch it again") from error


def _is_wav(name: str) -> bool:
    return name.lower().endswith(".wav") and not name.startswith(".")


def _read(content: bytes) -> tuple[int, Floats]:
    """Rate and amplitudes, shape (T,) or (T, channels)."""
    from scipy.io import wavfile

    if not content:
        raise RefusedError("is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no sound
        warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
        try:
            rate, values = wavfile.read(io.BytesIO(content))
        except wavfile.WavFileWarning:
            raise RefusedError("is cut short") from None
        except ZeroDivisionError:
            raise RefusedError(f"has a damaged header: {_claims(content)}") from None
        except Exception as error:  # of damaged headers it raises errors of many kinds
            raise RefusedError(f"is no WAV file that can be read: {error}") from None
    if not RATES[0] <= rate <= RATES[1]:
        raise RefusedError(f"has {rate} samples in a second")
    if not values.size:
        raise RefusedError("has no samples")
    return int(rate), _amplitudes(values)


def _claims(content: bytes) -> str:
    """What the header says of the samples."""
    order = ">" if content.startswith(b"RIFX") else "<"
    channels, *_, frame, bits = struct.unpack_from(f"{order}HIIHH", content, content.index(b"fmt ") + 10)
    return f"channels {channels}, bits of each {bits}, bytes for all {frame}"


def _amplitudes(values: NDArray[Any]) -> Floats:
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    if np.issubdtype(values.dtype, np.signedinteger):  # 24 bits come as the upper ones of 32
        return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)
    whole = values.astype(np.float64)
    if not np.isfinite(whole).all():
        raise RefusedError("has NaN or infinite samples")
    if np.abs(whole).max() > 1:
        raise RefusedError(f"has samples from {whole.min():.4g} to {whole.max():.4g}, and full scale is -1 to 1")
    return whole


def _resampled(samples: Floats, found: int, rate: int) -> Floats:
    """At another rate; the filter may overshoot, and what is beyond full scale then is cut off."""
    from scipy.signal import resample_poly

    common = gcd(found, rate)
    moved: Floats = resample_poly(samples, rate // common, found // common)
    return moved.clip(-1.0, 1.0)
