"""Examples beside what an attack made of them, each shown as its modality asks.

A modality's examples are shown by the file of its name in ``report/shown``, which holds a ``DISPLAY``, and by the
template of its name in ``report/templates/shown``, which lays out the ``examples`` of one network; a style sheet of
that name beside it is added to the page. What an evaluation keeps of an example is what ``Modality.kept`` says.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from variate.records.file import Records, unpack
from variate.records.groups import shown
from variate.records.schema import Claim, Picture
from variate.report import single

FOLDER = Path(__file__).parent / "shown"


@dataclass(frozen=True)
class Display:
    """How examples of one modality are shown.

    Attributes:
        title, text: what stands above them.
        most: examples of one network.
        show: what the template is given of one example, from what was kept of it.
    """

    title: str
    text: str
    most: int
    show: Callable[[Picture], Any]


@dataclass(frozen=True)
class ShownExample:
    """One example and how it fared.

    Attributes:
        network: its name.
        attack: the attack and its budget.
        example: its number.
        caption: its label, and how it was answered.
        shown: what its modality's ``Display.show`` made of it.
    """

    network: str
    attack: str
    example: int
    caption: str
    shown: Any


@dataclass(frozen=True)
class Gallery:
    """The examples of one modality, by network."""

    modality: str
    display: Display
    networks: dict[str, list[ShownExample]]

    @property
    def id(self) -> str:
        """Its name in addresses."""
        return f"examples-{self.modality}"


def galleries(records: Records) -> list[Gallery]:
    """What is shown of examples: for each network those of the attack in the table that leaves it the fewest right.

    Examples of a modality that has no file are left out: ``not_shown`` names them.
    """
    found: dict[str, dict[str, list[ShownExample]]] = {}
    for claim in _chosen(records):
        pictures = sorted(_of_claim(records, claim), key=lambda picture: picture.example)
        for modality in dict.fromkeys(picture.modality for picture in pictures if picture.modality in displays()):
            own = [picture for picture in pictures if picture.modality == modality][: displays()[modality].most]
            shown = [_attacked(records, claim, picture) for picture in own]
            found.setdefault(modality, {})[claim.network] = shown
    return [Gallery(modality, displays()[modality], networks) for modality, networks in found.items()]


def not_shown(records: Records) -> list[str]:
    """Modalities of examples that were kept and cannot be shown."""
    return sorted({picture.modality for picture in records.pictures} - displays().keys())


@cache
def displays() -> dict[str, Display]:
    """Every modality that can be shown, from the files in ``shown``."""
    stems = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    return {stem.replace("_", "-"): importlib.import_module(f"variate.report.shown.{stem}").DISPLAY for stem in stems}


def _attacked(records: Records, claim: Claim, picture: Picture) -> ShownExample:
    shown = displays()[picture.modality].show(picture)
    attack = f"{claim.attack} at {claim.budget}"
    return ShownExample(claim.network, attack, picture.example, _caption(records, claim, picture), shown)


def _of_claim(records: Records, claim: Claim) -> list[Picture]:
    return [picture for picture in records.pictures if picture.claim == claim.id]


def _chosen(records: Records) -> Iterator[Claim]:
    """For each network the strongest attack of which examples were kept, or the last where none was judged by draws."""
    kept = {picture.claim for picture in records.pictures}
    last = {claim.network: claim for claim in shown(records, "table") if claim.id in kept}
    for network, claim in last.items():
        ours = [other for other in single.judged(records, "table") if other.network == network and other.id in kept]
        yield min(ours, key=lambda other: single.share(records, other), default=claim)


def _caption(records: Records, claim: Claim, picture: Picture) -> str:
    """An example's label, and how it was answered: draw by draw, or as the first deployment answers."""
    kept = records.examples[claim.id][picture.example].answers
    source = "single" if "single" in kept else next(iter(kept))
    answers = unpack(kept[source])
    asked = "draws" if source == "single" else f"answers of {source}"
    if len(answers) > 1:
        return f"label {picture.label}: right in {int(answers.sum())} of {len(answers)} {asked}"
    return f"label {picture.label}: {'still right' if answers[0] else 'now wrong'}"
