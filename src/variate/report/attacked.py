"""Galleries of original and adversarial examples, displayed according to their modality.

Each modality has a file of its name in ``report/shown`` that defines a ``DISPLAY``, and a template of its name in
``report/templates/shown`` that lays out the ``examples`` of one network. A style sheet of that name beside the template
is added to the page. ``Modality.kept`` decides what an evaluation stores of an example.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from variate.records.bits import unpack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import shown
from variate.records.schema import TASK, Picture
from variate.report import single
from variate.statistics.notation import percent

FOLDER = Path(__file__).parent / "shown"


@dataclass(frozen=True)
class Display:
    """How examples of one modality are displayed.

    Attributes:
        title, text: heading and introduction.
        most: maximum number of examples per network.
        show: converts a stored example to what the template expects.
    """

    title: str
    text: str
    most: int
    show: Callable[[Picture], Any]


@dataclass(frozen=True)
class ShownExample:
    """One example and its outcome.

    Attributes:
        network: name of the network.
        attack: the attack and its budget.
        example: number of the example.
        read: its label, and what most draws read it as if the records say so, where labels are one number.
        outcome: how many draws, or answers of the first deployment, are correct, or their mean score.
        shown: result of its modality's ``Display.show``.
        names: names of the classes, if they have any.
    """

    network: str
    attack: str
    example: int
    read: str
    outcome: str
    shown: Any
    names: Sequence[str] = ()

    def name(self, index: int) -> str:
        """The name of a class, or its number."""
        return _name(index, self.names)


@dataclass(frozen=True)
class Gallery:
    """The examples of one modality, by network."""

    modality: str
    display: Display
    networks: dict[str, list[ShownExample]]

    @property
    def id(self) -> str:
        """Its anchor on the page."""
        return f"examples-{self.modality}"


def galleries(records: Records) -> list[Gallery]:
    """Examples by modality and network, under the strongest attack in the table on that network, misread ones first.

    Modalities that have no file are omitted; ``not_shown`` names them.
    """
    examples: dict[str, dict[str, list[ShownExample]]] = {}
    for claim in _strongest_claims(records):
        pictures = sorted(_pictures(records, claim), key=lambda picture: (not _misread(picture), picture.example))
        for modality in dict.fromkeys(picture.modality for picture in pictures if picture.modality in displays()):
            own = [picture for picture in pictures if picture.modality == modality][: displays()[modality].most]
            shown = [_shown_example(records, claim, picture) for picture in own]
            examples.setdefault(modality, {})[claim.network] = shown
    return [Gallery(modality, displays()[modality], networks) for modality, networks in examples.items()]


def not_shown(records: Records) -> list[str]:
    """Modalities of stored examples that cannot be displayed."""
    return sorted({picture.modality for picture in records.pictures} - displays().keys())


@cache
def displays() -> dict[str, Display]:
    """The display of every modality, from the files in ``shown``."""
    stems = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    return {stem.replace("_", "-"): importlib.import_module(f"variate.report.shown.{stem}").DISPLAY for stem in stems}


def _shown_example(records: Records, claim: Claim, picture: Picture) -> ShownExample:
    shown = displays()[picture.modality].show(picture)
    attack = f"{claim.attack}, {claim.budget}"
    names = class_names(records)
    read = _read(picture, names)
    return ShownExample(claim.network, attack, picture.example, read, _outcome(records, claim, picture), shown, names)


def class_names(records: Records) -> list[str]:
    """The names of the classes; none where the runs are on data with different ones."""
    names = {tuple(run.labels) for run in records.runs}
    return list(names.pop()) if len(names) == 1 else []


def _pictures(records: Records, claim: Claim) -> list[Picture]:
    return [picture for picture in records.pictures if picture.claim == claim.id]


def _strongest_claims(records: Records) -> Iterator[Claim]:
    """For each network, the strongest attack with stored examples; the last attack if none has one-draw answers."""
    kept = {picture.claim for picture in records.pictures}
    last = {claim.network: claim for claim in shown(records, "table") if claim.id in kept}
    for network, claim in last.items():
        claims = [c for c in single.judged(records, "table") if c.network == network and c.id in kept]
        yield min(claims, key=lambda c: single.share(records, c), default=claim)


def _read(picture: Picture, names: Sequence[str]) -> str:
    if picture.label is None:
        return _read_as_task(picture.details.get(TASK, {}), names)
    label, answer = (_name(index, names) for index in (picture.label, picture.answer))
    if picture.answer is None:
        return f"label {label}"
    return f"{label} {'still ' * (not _misread(picture))}read as {answer}"


def _read_as_task(shown: Mapping[str, Any], names: Sequence[str]) -> str:
    """What the answer of another task was and should be, in words; masks are shown as pictures."""
    label, answer = shown.get("label"), shown.get("answer")
    if not isinstance(label, list) or not isinstance(answer, list):
        return "under attack"
    said, read = (", ".join(_word(value, names) for value in values) or "nothing" for values in (label, answer))
    return f"{said} {'still ' * (said == read)}read as {read}"


def _word(value: float, names: Sequence[str]) -> str:
    return f"{value:g}" if isinstance(value, float) else _name(value, names)


def _name(index: int | None, names: Sequence[str]) -> str:
    return names[index] if index is not None and 0 <= index < len(names) else str(index)


def _misread(picture: Picture) -> bool:
    return picture.answer is not None and picture.answer != picture.label


def _outcome(records: Records, claim: Claim, picture: Picture) -> str:
    kept = records.examples[claim.id][picture.example].answers
    source = "single" if "single" in kept else next(iter(kept))
    answers = unpack(kept[source])
    if answers.dtype != np.bool_:
        over = f" over {len(answers)} {_unit(source)}" if len(answers) > 1 else ""
        return f"score {percent(float(answers.mean()))} %{over}"
    if len(answers) == 1:
        return "still correct" if answers[0] else "now wrong"
    return f"correct in {int(answers.sum())} of {len(answers)} {_unit(source)}"


def _unit(source: str) -> str:
    return "draws" if source == "single" else f"answers of {source}"
