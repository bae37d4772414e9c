"""The answers of one example as text: for every draw one bit, or a score of 16 bits, in hexadecimal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from variate.errors import RecordError
from variate.statistics.crossed import Scores, checked

SCORES = "s:"  # before scores; no bits in hexadecimal begin like this
STEPS = 65535  # of a score of 16 bits


def pack(answers: Scores) -> str:
    """Bits as ``COUNT:HEX``; scores in [0, 1], rounded to the nearest multiple of 1/65535, as ``COUNT:s:HEX``.

    Raises ``UsageError`` if a score is not in [0, 1].
    """
    if np.asarray(answers).dtype.kind != "f":
        return f"{len(answers)}:{np.packbits(np.asarray(answers, dtype=np.bool_)).tobytes().hex()}"
    steps = np.rint(checked(np.asarray(answers, dtype=np.float64)) * STEPS).astype(">u2")
    return f"{len(answers)}:{SCORES}{steps.tobytes().hex()}"


def unpack(text: str) -> Scores:
    """Inverse of ``pack``. Raises ``RecordError`` for a text that holds fewer or more answers than it says."""
    return unpack_all([text])[:, 0]


def unpack_all(texts: Sequence[str]) -> Scores:
    """Unpack several examples, shape (draws or groups, examples): bits, or scores as 64-bit floats.

    Raises ``RecordError`` if their lengths differ, if some are bits and some are scores, or if one holds fewer or more
    answers than it says.
    """
    head = _head(texts[0])
    if not all(text.startswith(head) for text in texts):
        counts = sorted({_head(text).removesuffix(":").replace(":s", " scored") for text in texts})
        raise RecordError(
            f"examples of one claim have {' and '.join(counts)} answers", expected="the same number of answers each"
        )
    number, scores = head.partition(":")[0], head.endswith(SCORES)
    count = int(number) if number.isascii() and number.isdecimal() else 0
    digits = 4 * count if scores else 2 * -(-count // 8)  # two for every 8 bits
    joined = "".join(text[len(head) :] for text in texts if len(text) == len(head) + digits)
    try:
        packed = bytes.fromhex(joined)
    except ValueError:
        packed = b""
    if not count or 2 * len(packed) != len(texts) * digits:
        raise RecordError(
            f"answers are damaged: not every one of {len(texts)} examples has the {number!r} "
            f"{'scores' if scores else 'bits'} that it says",
            expected="the number of answers, a colon and as many bits in hexadecimal, such as 12:fff0; or scores of 16 "
            "bits, such as 2:s:ffff8000",
            todo="restore the file of records from a copy, or evaluate into a new file",
        )
    if scores:
        return _scores(packed, len(texts))
    rows = np.frombuffer(packed, np.uint8).reshape(len(texts), -1)
    return np.ascontiguousarray(np.unpackbits(rows, axis=1, count=count).T.astype(np.bool_))


def _head(text: str) -> str:
    """What comes before the digits: the number of answers and a colon, and for scores their mark."""
    head = text.partition(":")[0] + ":"
    return head + SCORES if text.startswith(SCORES, len(head)) else head


def _scores(packed: bytes, examples: int) -> NDArray[np.float64]:
    steps = np.frombuffer(packed, ">u2").reshape(examples, -1).T  # (draws, examples)
    return np.ascontiguousarray(steps / STEPS)
