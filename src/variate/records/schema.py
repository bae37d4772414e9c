"""The lines of a file of records: what was measured, on what, and the outcome.

A *claim* describes a measurement (network, inputs, attack, budget, draws, seed). An *example* holds the outcome for one
input, draw by draw, so every rate and interval can be recomputed from the file alone.

Two lines with the same ``id`` describe the same measurement: the ``id`` is a hash of everything that can change an
answer and nothing else. A fact that an older version did not store is ``UNKNOWN``: such a line is read and shown, and
no new measurement gets its ``id``.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FORMAT = 2  # version of the lines below, stored in the first line of a file
UNKNOWN = "unknown"

Curve = Literal["sizes", "draws", "steps", "queries"]  # the setting that varies
Part = Literal["table", "twins", "doubts", "unbounded", "layers", "test split", "validation split", Curve]
Drawn = Literal["nothing", "keys", "generator", "keys and generator", "elsewhere", "unknown"]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(_Line):
    """The first line of a file: the version of its lines."""

    kind: Literal["format"] = "format"
    version: int


class RunLine(_Line):
    """How the records were produced."""

    kind: Literal["run"] = "run"
    command: str
    date: str
    machine: str
    versions: dict[str, str]
    seed: int
    data: str
    shape: list[int]
    examples: int
    title: str


class NetworkLine(_Line):
    """How an evaluated network was built and trained.

    Attributes:
        seed: training seed.
        fingerprint: hash of the tensors alone, as in its run folder; that of a claim includes modes and settings.
        group: name shared by networks that differ in their seed alone.
    """

    kind: Literal["network"] = "network"
    network: str
    architecture: str
    defense: str
    objective: str
    parameters: int
    random: bool
    epochs: int
    seed: int
    fingerprint: str
    training: dict[str, Any]
    validation: float | None
    seconds: float
    group: str | None = None


class Scale(_Line):
    """The learned distribution of one parameter: statistics of its means and standard deviations."""

    kind: Literal["scale"] = "scale"
    network: str
    parameter: str
    elements: int
    mean_rms: float
    std_rms: float
    std_min: float
    std_max: float


class Judged(_Line):
    """The subject of a measurement.

    Attributes:
        network: name of the network, for display only.
        fingerprint: hash of its tensors, modes, settings and distributions.
        answers: hash of its answers to the first inputs, which tells of changed code; None if they do not repeat, and
            in older versions.
        inputs: hash of inputs and labels.
        modality: name of the modality of the inputs.
        allowed: hash of the modality with its data set's details: which parts of an input may change, and to what.
        task: kind of output.
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
    task: Literal["classes"] = "classes"
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
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"options", "settings", "twin_of", "group", "asked"}

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

    @cached_property
    def id(self) -> str:
        """A hash of everything that can change an answer."""
        return self._hash([UNKNOWN, self.options] if self.settings is None else self.settings)

    @property
    def key(self) -> tuple[str, str]:
        """Key of the claim in a file; the name is part of it because one network may have several names."""
        return (self.network, self.id)


class Example(_Line):
    """One input under one claim: the answers of every draw as bits (1 is correct), packed into hexadecimal.

    Attributes:
        answers: bits by deployment; for a targeted attack, 1 is any answer but the target.
        distance: distance of the adversarial input (of the first deployment) from the original, in the budget's norm.
        forwards, backwards: number of forward and backward passes of the attack.
        points: number of inputs that the attack queried; each query averages over several draws.
        flat: number of backward passes whose averaged gradient was zero everywhere.
        left_out: for a suite, the attacks that did not run, because the network has no gradient for them to follow.
        rising: how far the attack's best loss still moved in its last steps, as a share of its range.
        chosen: for a suite, the attack that found the worst input of the first deployment.
        chosen_for: for a suite, the same for those other deployments whose worst input comes from another attack.
        shares: for a suite, the accuracy left by each attack over the draws of its search, of the first deployment.
        confidences: by deployment, the probability of one answer, with 4 digits: the answer whose index is ``example``
            modulo the number of answers. Empty for targeted attacks and in records of older versions.
    """

    kind: Literal["example"] = "example"
    claim: str
    example: int
    label: int
    answers: dict[str, str]
    distance: float
    forwards: int
    backwards: int
    points: int = 0
    flat: int = 0
    left_out: list[str] = []
    rising: float | None = None
    chosen: str | None = None
    chosen_for: dict[str, str] = {}
    shares: dict[str, float] = {}
    confidences: dict[str, float] = {}


class Timing(_Line):
    """Wall-clock time of one batch of a claim, which depends on the machine and its load.

    Attributes:
        first: number of its first example.
        examples: number of examples.
        attack, verdict: seconds that the attack and the verdict took.
    """

    kind: Literal["timing"] = "timing"
    claim: str
    first: int
    examples: int
    attack: float
    verdict: float


class Picture(_Line):
    """An original and its adversarial input for the report, in hexadecimal.

    Attributes:
        modality: name of the modality. Images are 8-bit pixels, shape (C, H, W); table rows are 32-bit floats, shape
            (D,).
        details: what the report needs to display them, such as the features of a table.
    """

    kind: Literal["picture"] = "picture"
    claim: str
    example: int
    label: int
    shape: list[int]
    original: str
    adversarial: str
    modality: str = "image"
    details: dict[str, Any] = {}


class Gradient(Judged):
    """Quality of the attacker's gradient at one clean input, over many draws.

    Attributes:
        zero: share of draws whose gradient is zero everywhere.
        snr: norm of the mean gradient / root mean square norm of a draw's deviation from it; None if no draw deviates.
        cosine: cosine between the mean gradients of two halves of the draws.
        draws: number of draws.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"zero", "snr", "cosine"}

    kind: Literal["gradient"] = "gradient"
    example: int
    zero: float
    snr: float | None
    cosine: float
    draws: int


class Convergence(Judged):
    """Whether more draws per step of an attack still lower the accuracy.

    Attributes:
        attack: name of the attack, run on the first ``examples`` inputs.
        settings: its settings; None if an older version did not store them.
        draws: numbers of draws, increasing.
        accuracy: accuracy left by each number of draws, over the same draws of the search.
        chosen: number of draws that the attacks used.
        flat: whether the last doubling made no difference that is significant or matters.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"draws", "accuracy", "chosen", "flat"}

    kind: Literal["convergence"] = "convergence"
    attack: str
    settings: dict[str, Any] | None
    budget: str
    examples: int
    draws: list[int] = []
    accuracy: list[float] = []
    chosen: int = 0
    flat: bool = False


Record = Annotated[
    RunLine | NetworkLine | Scale | Claim | Example | Timing | Picture | Gradient | Convergence,
    Field(discriminator="kind"),
]
READ: TypeAdapter[RunLine | NetworkLine | Scale | Claim | Example | Timing | Picture | Gradient | Convergence] = (
    TypeAdapter(Record)
)
