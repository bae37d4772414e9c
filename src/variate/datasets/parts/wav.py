"""Clips from WAV, FLAC and Ogg files, converted to one channel, one sampling rate and one length."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from variate.errors import DataError
from variate.files.reading import reading, told, unzipping
from variate.optional import imported

SUFFIXES = (".wav", ".flac", ".ogg")
SPOKEN = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_(?P<number>\d+)\.(?:wav|flac|ogg)", re.I)  # of spoken-digits
COMPRESSED = {b"fLaC": "FLAC", b"OggS": "Ogg"}  # formats by the first bytes of a file
RATES = (1_000, 384_000)  # accepted sampling rates, samples per second
CLIPPED_RUN = 3  # so many consecutive samples at full scale mean that the recording was clipped
FULL_SCALE = 0.9999
MOST_PHASES = 10_000  # terms of a ratio of sampling rates
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
        samples: amplitudes in [-1, 1], shape (T,), padded with silence.
        handled: what was done to it: ``averaged``, ``resampled``, ``cropped``, ``padded``; ``clipped`` if the recording
            itself was clipped at full scale, which is not repaired.
    """

    samples: Floats
    handled: tuple[str, ...]


class RefusedError(Exception):
    """A file cannot be used as a clip; the message says why."""


def clip_of(content: bytes, *, rate: int, length: int) -> Clip:
    """Read a clip from a WAV file, PCM of 8, 16, 24 or 32 bits or floats, or from a FLAC or Ogg file.

    Channels are averaged; other sampling rates are resampled by a polyphase filter (``scipy.signal.resample_poly``);
    longer clips are truncated and shorter ones padded with silence. Levels are unchanged and silence is not trimmed.

    Args:
        content: bytes of the file.
        rate: target sampling rate, samples per second.
        length: target length in samples, T.

    Raises:
        RefusedError: if it is not such a file, is silent, or has floats beyond full scale.
        UsageError: for a FLAC or Ogg file if ``soundfile`` is not installed.
    """
    file_rate, samples = _decode(content)
    handled = []
    if samples.ndim == 2 and samples.shape[1] > 1:
        handled.append("averaged")
    samples = samples.reshape(len(samples), -1)
    if _is_clipped(samples):
        handled.append("clipped")
    has_sound = samples.any()
    samples = samples.mean(1)  # (T,)
    if file_rate != rate:
        handled.append("resampled")
        samples = _resampled(samples, file_rate, rate)
    if not samples.any():
        raise RefusedError("is silent once its channels are averaged: they cancel" if has_sound else "is silent")
    first = np.flatnonzero(samples)[0]
    handled += ["cropped"] if len(samples) > length else ["padded"] if len(samples) < length else []
    samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
    if not samples.any():
        raise RefusedError(
            f"is silent for the first {first / rate:.3g} s, and only its first {length / rate:g} s are kept"
        )
    return Clip(samples, tuple(handled))


def _is_clipped(samples: Floats) -> bool:
    """Whether any channel stays at full scale for several samples: (T, channels)."""
    loud = np.abs(samples) >= FULL_SCALE
    runs = np.logical_and.reduce([loud[start : len(loud) - CLIPPED_RUN + 1 + start] for start in range(CLIPPED_RUN)])
    return bool(runs.any())


def sound_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all sounds under a folder or in a zip archive, by name. Raises ``DataError``."""
    if source.is_dir():
        for path in sorted(source.rglob("*"), key=lambda path: (path.name, str(path))):
            if _is_sound(path.name) and path.is_file():
                yield path.name, path.read_bytes()
        return
    with unzipping(source, DataError, todo="download it again") as archive:
        names = sorted(archive.namelist(), key=lambda name: (PurePosixPath(name).name, name))
        for name in filter(lambda name: _is_sound(PurePosixPath(name).name), names):
            with reading(f"{name} in {source}", DataError, todo="download it again"):
                content = archive.read(name)
            yield PurePosixPath(name).name, content


def _is_sound(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _decode(content: bytes) -> tuple[int, Floats]:
    """Sampling rate and amplitudes, shape (T,) or (T, channels). Raises ``RefusedError``."""
    from scipy.io import wavfile

    if not content:
        raise RefusedError("is empty")
    if content[:4] in COMPRESSED:
        return _decode_compressed(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # about chunks without audio
        warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
        try:
            rate, values = wavfile.read(io.BytesIO(content))
        except wavfile.WavFileWarning:
            raise RefusedError("is truncated") from None
        except ZeroDivisionError:
            raise RefusedError(f"has a damaged header{_header_fields(content)}") from None
        except Exception as error:  # scipy raises many kinds of errors for damaged headers
            raise RefusedError(f"is not a readable WAV file: {told(error)}") from None
    _check_sound(rate, values)
    return int(rate), _amplitudes(values)


def _decode_compressed(content: bytes) -> tuple[int, Floats]:
    """The same for FLAC and Ogg; decoding a lossy format may overshoot full scale, which is clipped."""
    soundfile = imported("soundfile", "audio")
    kind = COMPRESSED[content[:4]]
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float64")
    except Exception as error:  # the library raises its own errors and others for damaged files
        raise RefusedError(f"is not a readable {kind} file: {told(error)}") from None
    _check_sound(rate, samples)
    return int(rate), np.clip(samples, -1.0, 1.0)


def _check_sound(rate: float, values: NDArray[Any]) -> None:
    """Check that there are samples at a usual rate. Raises ``RefusedError``."""
    if not RATES[0] <= rate <= RATES[1]:
        raise RefusedError(f"has {rate} samples per second")
    if not values.size:
        raise RefusedError("has no samples")


def _header_fields(content: bytes) -> str:
    """What the header says about the samples, after a colon; empty if it does not say it at its usual place."""
    order, place = ">" if content.startswith(b"RIFX") else "<", content.find(b"fmt ")
    if not 0 <= place <= len(content) - 24:
        return ""
    channels, *_, frame, bits = struct.unpack_from(f"{order}HIIHH", content, place + 10)
    return f": {channels} channels, {bits} bits per sample, {frame} bytes per frame"


def _amplitudes(values: NDArray[Any]) -> Floats:
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    if np.issubdtype(values.dtype, np.signedinteger):  # 24-bit samples are the upper bits of 32
        return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)
    floats = values.astype(np.float64)
    if not np.isfinite(floats).all():
        raise RefusedError("has NaN or infinite samples")
    if np.abs(floats).max() > 1:
        raise RefusedError(f"has samples from {floats.min():.4g} to {floats.max():.4g} but full scale is -1 to 1")
    return floats


def _near(rate: int, file_rate: int) -> Fraction:
    """The ratio of two rates in terms of at most ``MOST_PHASES``, which the length of the filter is proportional to.

    Rates in use need no rounding. Others are off by less than 1 in 10,000, a tenth of a millisecond per second.
    """
    if rate <= file_rate:
        return Fraction(rate, file_rate).limit_denominator(MOST_PHASES)
    return 1 / Fraction(file_rate, rate).limit_denominator(MOST_PHASES)


def _resampled(samples: Floats, file_rate: int, rate: int) -> Floats:
    """Resample to another rate; overshoot of the filter beyond full scale is clipped."""
    from scipy.signal import resample_poly

    ratio = _near(rate, file_rate)
    resampled: Floats = resample_poly(samples, ratio.numerator, ratio.denominator)
    return resampled.clip(-1.0, 1.0)
