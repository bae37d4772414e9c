"""The detector of similar queries that an attack faces, as an option of its plan."""

from __future__ import annotations

import hashlib
from typing import Any

from variate.errors import UsageError
from variate.serving.similar import SALT, Similar


def checked_detector(attack: str, access: str, text: Any) -> str | None:
    """A detector in its shortest form. Raises ``UsageError`` if there is none, or the attack does not query labels."""
    if text is None:
        return None
    if access != "labels":
        raise UsageError(
            f"{attack} has access {access}, and a detector sees label queries alone",
            expected="an attack with access labels: oars, hopskipjump, ... (variate list attacks --access labels)",
        )
    return str(Similar.parse(str(text)))


def detector_settings(text: str) -> dict[str, Any]:
    """All options of a detector, defaults included, as records keep them."""
    return Similar.parse(text).options


def detector_of_attack(text: str | None, seed: int, examples: int) -> Similar | None:
    """A detector with an empty memory, in which each example of a batch is a client of its own.

    Its salt follows from the seed of the evaluation, so that answers repeat; no attack is given it.

    Args:
        text: the detector; None for none.
        seed: seed of the evaluation.
        examples: size of the batch: no client is forgotten.
    """
    if text is None:
        return None
    salt = hashlib.blake2b(f"detector {seed}".encode(), digest_size=SALT).digest()
    return Similar(**{**Similar.parse(text).options, "clients": max(examples, 1)}, salt=salt)
