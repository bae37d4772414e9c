"""Adversarial inputs beside their originals and the magnified difference, as images inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from variate.lines import Claim, Picture
from variate.record import Records, unpack
from variate.verdicts.result import CLEAN


@dataclass(frozen=True)
class Pair:
    """One example's images as data addresses, and how it fared.

    Attributes:
        network: its name.
        attack: the attack and its budget.
        example: its number.
        original, adversarial: the images.
        difference: adversarial less original, ``factor`` times as large, about middle gray.
        factor: how much it is magnified.
        caption: its label, and how it was answered.
    """

    network: str
    attack: str
    example: int
    original: str
    adversarial: str
    difference: str
    factor: int
    caption: str


def pairs(records: Records) -> dict[str, list[Pair]]:
    """For each network, the pictures of its last attack in the table that asks the network itself."""
    shown: dict[str, list[Pair]] = {}
    for claim in shown_claims(records):
        found = [_pair(records, claim, picture) for picture in of_claim(records, claim, "image")]
        if found:
            shown[claim.network] = sorted(found, key=lambda pair: pair.example)
    return shown


def of_claim(records: Records, claim: Claim, modality: str) -> list[Picture]:
    """The examples of a claim that are kept to be shown, of one modality."""
    return [picture for picture in records.pictures if picture.claim == claim.id and picture.modality == modality]


def shown_claims(records: Records) -> Iterator[Claim]:
    """For each network the last attack in the table that asks the network itself."""
    last = {
        claim.network: claim
        for claim in records.claims.values()
        if claim.part == "table" and claim.attack != CLEAN and claim.draws > 0
    }
    yield from last.values()


def caption(records: Records, claim: Claim, picture: Picture) -> str:
    """An example's label, and how it was answered."""
    answers = unpack(records.examples[claim.id][picture.example].answers["single"])
    right = (
        f"right in {int(answers.sum())} of {len(answers)} draws"
        if len(answers) > 1
        else ("still right" if answers[0] else "now wrong")
    )
    return f"label {picture.label}: {right}"


def _pair(records: Records, claim: Claim, picture: Picture) -> Pair:
    original, adversarial = (_values(pixels, picture.shape) for pixels in (picture.original, picture.adversarial))
    moved = adversarial.astype(np.int16) - original
    factor = max(1, 127 // max(1, int(np.abs(moved).max())))
    return Pair(
        network=claim.network,
        attack=f"{claim.attack} at {claim.budget}",
        example=picture.example,
        original=_address(original),
        adversarial=_address(adversarial),
        difference=_address(np.clip(128 + factor * moved, 0, 255).astype(np.uint8)),
        factor=factor,
        caption=caption(records, claim, picture),
    )


def _values(pixels: str, shape: list[int]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(pixels), np.uint8).reshape(shape)  # (C, H, W)


def _address(values: NDArray[np.uint8]) -> str:
    image = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))  # (H, W) or (H, W, C)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
