"""What a measurement was made on, and its identity.

Two lines with the same ``id`` describe the same measurement: the ``id`` is a hash of everything that can change an
answer and nothing else. A fact that an older version did not store is ``UNKNOWN``: such a line is read and shown, and
no new measurement gets its ``id``.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

UNKNOWN = "unknown"

Curve = Literal["sizes", "draws", "steps", "queries"]  # the setting that varies
Part = Literal["table", "twins", "doubts", "unbounded", "layers", "test split", "validation split", Curve]
Drawn = Literal["nothing", "keys", "generator", "keys and generator", "elsewhere", "unknown"]


class Line(BaseModel):
    """One line of a file of records."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Judged(Line):
    """The subject of a measurement.

    Attributes:
        network: name of the network, for display only.
        fingerprint: hash of its tensors, modes, settings and distributions.
        answers: hash of its answers to the first inputs, which tells of changed code; None if they do not repeat, and
            in older versions.
        inputs: hash of inputs and labels.
        modality: name of the modality of the inputs.
        allowed: hash of the modality with its data set's details: which parts of an input may change, and to what.
        task: what an answer means and how it is scored, as ``variate.tasks.task.written``.
        drawn: source of the network's randomness: its own ``keys``, torch's global ``generator``, or ``elsewhere``,
            where draws cannot be reproduced.
        seed: seed of the attack and of the verdict.
        batch_size, memory: how the examples were split, if answers depend on the rest of the batch; else None.
        coupled: how its answers depend on the rest of the batch, in words; None if they do not.
        date: when the measurement started, for display only.
    """

    shown: ClassVar[frozenset[str]] = frozenset(
        {"kind", "network", "coupled", "date"}
    )  # fields that do not affect the answers

    network: str
    fingerprint: str
    answers: str | None = None
    inputs: str
    modality: str
    allowed: str
    task: str = "classes"
    drawn: Drawn
    seed: int
    batch_size: int | None = None
    memory: int | None = None
    coupled: str | None = None
    date: str = ""

    @cached_property
    def id(self) -> str:
        """A hash of everything that can change an answer."""
        return self._hash()

    def _hash(self, more: object = None) -> str:
        hashed = {name: value for name, value in self.model_dump().items() if name not in self.shown}
        if self.answers is None:  # as in older versions, whose ids stand in their files
            del hashed["answers"]
        text = json.dumps([hashed, more], sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def subject(self) -> tuple[str | None, ...]:
        """The network, the inputs and the allowed changes: the same for everything that is shown together."""
        return (self.fingerprint, self.answers, self.inputs, self.modality, self.allowed, self.task)


class Claim(Judged):
    """One measurement: an attack (or none) on a network within a budget.

    Attributes:
        options: the attack's options that differ from its defaults; shown, and not part of the ``id``.
        settings: all settings of the attack, defaults included; None if an older version did not store them, and then
            ``options`` takes their place in the ``id``.
        budget: perturbation budget; None without attack.
        draws: number of draws that every query of the attack averages over; 0 without attack.
        verdict_draws: number of fresh draws of the verdict; 1 for a deterministic network.
        part: part of the report that shows it.
        twin_of: fingerprint of the random network whose mean or frozen draw this network is.
        group: name shared by networks that differ in their training seed alone.
        asked: number of examples to judge; a claim with answers to fewer is unfinished. None in older versions.
        ordinary: share of the inputs that the detector which the attack faces rejects, when each is sent once in random
            order; None without a detector.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"options", "settings", "twin_of", "group", "asked", "ordinary"}

    kind: Literal["claim"] = "claim"
    attack: str
    options: dict[str, Any]
    settings: dict[str, Any] | None
    budget: str | None
    draws: int
    verdict_draws: int
    deployments: list[str]
    part: Part = "table"
    twin_of: str | None = None
    group: str | None = None
    asked: int | None = None
    ordinary: float | None = None

    @cached_property
    def id(self) -> str:
        """A hash of everything that can change an answer."""
        return self._hash([UNKNOWN, self.options] if self.settings is None else self.settings)

    @property
    def key(self) -> tuple[str, str]:
        """Key of the claim in a file; the name is part of it because one network may have several names."""
        return (self.network, self.id)
