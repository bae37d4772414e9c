"""The lines of a file of records: what was done, to what, and what came out.

A *claim* says what was done (network, attack, budget, draws, seed); an *example* record says how one input fared under
it, draw by draw, so every rate and interval can be computed again from the file alone.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(_Line):
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


class Network(_Line):
    """A network that was judged: how it was built and trained."""

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


class Claim(_Line):
    """What was done to the examples: an attack (or none) on a network within a budget."""

    kind: Literal["claim"] = "claim"
    network: str
    fingerprint: str
    inputs: str
    attack: str
    options: dict[str, Any]
    budget: str | None
    draws: int
    verdict_draws: int
    deployments: list[str]
    seed: int
    part: str = "table"

    @cached_property
    def id(self) -> str:
        """A name for the claim: a hash of everything it says."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


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


class Gradient(_Line):
    """What an attacker's gradient at one unattacked input is worth, over many draws.

    Attributes:
        zero: share of the draws whose gradient is zero everywhere.
        snr: norm of the mean gradient / root mean square norm of a draw's deviation from it; None if none deviates.
        cosine: between the mean gradients of two halves of the draws.
        draws: how many.
    """

    kind: Literal["gradient"] = "gradient"
    network: str
    fingerprint: str
    inputs: str
    example: int
    zero: float
    snr: float | None
    cosine: float
    draws: int


class Convergence(_Line):
    """Whether more draws in every step of an attack still lower the accuracy.

    Attributes:
        attack: which was run on the first ``examples`` inputs.
        draws: numbers of draws, growing.
        accuracy: that each left, over the same draws of the search.
        chosen: the number that the attacks took.
        flat: whether the last doubling changed nothing that could be told from chance or mattered.
    """

    kind: Literal["convergence"] = "convergence"
    network: str
    fingerprint: str
    inputs: str
    attack: str
    budget: str
    seed: int
    examples: int
    draws: list[int]
    accuracy: list[float]
    chosen: int
    flat: bool


Record = Annotated[
    Run | Network | Scale | Claim | Example | Timing | Picture | Gradient | Convergence, Field(discriminator="kind")
]
READ: TypeAdapter[Run | Network | Scale | Claim | Example | Timing | Picture | Gradient | Convergence] = TypeAdapter(
    Record
)
