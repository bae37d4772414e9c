"""The answers of one example as text: one bit for every draw, in hexadecimal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from variate.errors import RecordError
from variate.statistics.rates import Bits, Floats


def pack(bits: Bits | Floats) -> str:
    """Bits as ``COUNT:HEX``."""
    return f"{len(bits)}:{np.packbits(bits).tobytes().hex()}"


def unpack(text: str) -> Bits:
    """Inverse of ``pack``. Raises ``RecordError`` for a text that holds fewer or more bits than it says."""
    return unpack_all([text])[:, 0]


def unpack_all(texts: Sequence[str]) -> Bits:
    """Unpack several examples, shape (draws or groups, examples).

    Raises ``RecordError`` if their lengths differ, or if one holds fewer or more bits than it says.
    """
    head = texts[0].partition(":")[0] + ":"
    if not all(text.startswith(head) for text in texts):
        counts = sorted({text.partition(":")[0] for text in texts})
        raise RecordError(
            f"examples of one claim have {' and '.join(counts)} answers", expected="the same number of answers each"
        )
    count = int(head[:-1]) if head[:-1].isascii() and head[:-1].isdecimal() else 0
    digits = 2 * -(-count // 8)  # two for every 8 bits
    joined = "".join(text[len(head) :] for text in texts if len(text) == len(head) + digits)
    try:
        packed = bytes.fromhex(joined)
    except ValueError:
        packed = b""
    if not count or 2 * len(packed) != len(texts) * digits:
        raise RecordError(
            f"answers are damaged: not every one of {len(texts)} examples has the {head[:-1]!r} bits that it says",
            expected="the number of answers, a colon and as many bits in hexadecimal, such as 12:fff0",
            todo="restore the file of records from a copy, or evaluate into a new file",
        )
    rows = np.frombuffer(packed, np.uint8).reshape(len(texts), -1)
    return np.ascontiguousarray(np.unpackbits(rows, axis=1, count=count).T.astype(np.bool_))
