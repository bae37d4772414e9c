"""The lines of a file of records: what was done, to what, and what came out.

A *claim* says what was done (network, inputs, attack, budget, draws, seed); an *example* record says how one input
fared under it, draw by draw, so every rate and interval can be computed again from the file alone.

What two lines speak of is the same if their ``id`` is: a hash of everything that can change an answer, and of nothing
that is only shown. A fact that cannot be known, because an older version did not write it, is ``UNKNOWN``: such a line
is read and shown, and no new measurement has its ``id``.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FORMAT = 2  # of the lines below; the first line of a file says it
UNKNOWN = "unknown"

Curve = Literal["sizes", "draws", "steps", "queries"]  # what is varied
Part = Literal["table", "twins", "doubts", "unbounded", "layers", "test split", "validation split", Curve]
Drawn = Literal["nothing", "keys", "generator", "keys and generator", "elsewhere", "unknown"]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Header(_Line):
    """The first line of a file: the version of its lines."""

    kind: Literal["format"] = "format"
    version: int


class RunLine(_Line):
    """How the records were made."""

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
    """A network that was judged: how it was built and trained.

    Attributes:
        seed: of its training.
        fingerprint: of the tensors alone, as its folder says; that of a claim sees modes and settings too.
        group: the name that it shares with networks that differ in their seed alone.
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
    """The learned distribution of one parameter: sizes of its means and of its standard deviations."""

    kind: Literal["scale"] = "scale"
    network: str
    parameter: str
    elements: int
    mean_rms: float
    std_rms: float
    std_min: float
    std_max: float


class Judged(_Line):
    """What a measurement was made on.

    Attributes:
        network: the network's name, which is only shown.
        fingerprint: of its tensors, modes, settings and distributions.
        inputs: fingerprint of inputs and labels.
        modality: what the inputs are, by name.
        allowed: fingerprint of the modality with all it knows of a data set: what may be changed, into what.
        task: what the outputs are.
        drawn: where the network's randomness comes from: ``keys`` of its own, torch's global ``generator``, or
            ``elsewhere``, where no draw can be repeated.
        seed: of the search and of the verdict.
        batch_size, memory: how the examples were split, where answers depend on what else is in the batch; else None.
        date: when it was begun, which is only shown.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"kind", "network", "date"})  # these say nothing of the answers

    network: str
    fingerprint: str
    inputs: str
    modality: str
    allowed: str
    task: Literal["classes"] = "classes"
    drawn: Drawn
    seed: int
    batch_size: int | None = None
    memory: int | None = None
    date: str = ""

    @cached_property
    def id(self) -> str:
        """A hash of everything that can change an answer."""
        return self._hash()

    def _hash(self, more: object = None) -> str:
        said = {name: value for name, value in self.model_dump().items() if name not in self.shown}
        text = json.dumps([said, more], sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def subject(self) -> tuple[str, ...]:
        """The network, the inputs and what may be changed of them: what is shown together must share it."""
        return (self.fingerprint, self.inputs, self.modality, self.allowed, self.task)


class Claim(Judged):
    """What was done to the examples: an attack (or none) on a network within a budget.

    Attributes:
        options: what was asked of the attack otherwise than usual; shown, and not part of the ``id``.
        settings: everything that the attack was told, usual or not; None where an older version did not write it, and
            then ``options`` is in its place.
        budget: None without attack.
        draws: that every query of the attack averaged over; 0 without attack.
        verdict_draws: fresh ones; 1 of a deterministic network.
        part: of a report.
        twin_of: the fingerprint of the random network whose mean or frozen draw this network is.
        group: the name that networks share which differ in their training seed alone.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"options", "settings", "twin_of", "group"}

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

    @cached_property
    def id(self) -> str:
        """A hash of everything that can change an answer."""
        return self._hash([UNKNOWN, self.options] if self.settings is None else self.settings)

    @property
    def key(self) -> tuple[str, str]:
        """The place of the line in a file: one network may be shown under several names."""
        return (self.network, self.id)


class Example(_Line):
    """One input under one claim: the answers of every draw as bits (1 is right), packed into hexadecimal.

    Attributes:
        answers: by deployment; of an aimed attack, 1 is any answer but the target.
        distance: of the adversarial input, in the budget's norm.
        forwards, backwards: passes that the attack took.
        points: inputs that it asked about; each is answered over several draws.
        rising: how far the attack's best loss still moved in its last steps, as a share of its range.
        chosen: of a suite, the attack whose input was the worst.
        shares: of a suite, the share of right answers that each attack left, over the draws of the search.
        confidences: by deployment, the probability that the network gave the answer of number ``example`` modulo how
            many there are, 4 digits; none of aimed attacks, nor in records of versions that did not keep it.
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
    rising: float | None = None
    chosen: str | None = None
    shares: dict[str, float] = {}
    confidences: dict[str, float] = {}


class Timing(_Line):
    """How long one batch of a claim took, in seconds by the wall's clock: it depends on the machine and its load.

    Attributes:
        first: the number of its first example.
        examples: how many.
        attack, verdict: seconds of the search, and of judging what it found.
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
        modality: what they are. Images are 8-bit pixels, shape (C, H, W); rows of tables 32-bit floats, shape (D,).
        details: what the report must know of them: the features of a table.
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
    """What an attacker's gradient at one unattacked input is worth, over many draws.

    Attributes:
        zero: share of the draws whose gradient is zero everywhere.
        snr: norm of the mean gradient / root mean square norm of a draw's deviation from it; None if none deviates.
        cosine: between the mean gradients of two halves of the draws.
        draws: how many.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"zero", "snr", "cosine"}

    kind: Literal["gradient"] = "gradient"
    example: int
    zero: float
    snr: float | None
    cosine: float
    draws: int


class Convergence(Judged):
    """Whether more draws in every step of an attack still lower the accuracy.

    Attributes:
        attack: which was run on the first ``examples`` inputs.
        settings: what it was told; None where an older version did not write it.
        draws: numbers of draws, growing.
        accuracy: that each left, over the same draws of the search.
        chosen: the number that the attacks took.
        flat: whether the last doubling changed nothing that could be told from chance or mattered.
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
