"""The lines of a file of records: what was measured, on what, and the outcome.

A *claim* describes a measurement (network, inputs, attack, budget, draws, seed). An *example* holds the outcome for one
input, draw by draw, so every rate and interval can be recomputed from the file alone.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter

from variate.records.certified import Answered, Certificate, PopulationBound, Proved, Votes
from variate.records.claim import Claim, Judged, Line
from variate.records.curve import EpochAccuracy

AVERAGED = "average of"  # in the training of a network made of several: their fingerprints, by name
FORMAT = 2  # version of the lines below, stored in the first line of a file


class Header(Line):
    """The first line of a file: the version of its lines."""

    kind: Literal["format"] = "format"
    version: int


class RunLine(Line):
    """How the records were produced; ``labels`` are the names of the classes, if they have any."""

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
    labels: list[str] = []


class NetworkLine(Line):
    """How an evaluated network was built and trained.

    Attributes:
        bytes: size of its tensors in its run folder; None in records of older versions.
        seed: training seed.
        fingerprint: hash of the tensors alone, as in its run folder; that of a claim includes modes and settings.
        group: name shared by networks that differ in their seed alone.
        curve: accuracies during training; empty if none were measured, and in records of older versions.
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
    curve: list[EpochAccuracy] = []
    bytes: int | None = None


class Scale(Line):
    """The learned distribution of one parameter: statistics of its means and standard deviations."""

    kind: Literal["scale"] = "scale"
    network: str
    parameter: str
    elements: int
    mean_rms: float
    std_rms: float
    std_min: float
    std_max: float


class Example(Line):
    """One input under one claim: the answers of every draw as bits (1 is correct) or scores, in hexadecimal.

    Attributes:
        label: its label, where that is one whole number.
        answers: bits by deployment, or scores (``records.bits``); for a targeted attack, 1 is any answer but the
            target.
        distance: distance of the adversarial input (of the first deployment) from the original, in the budget's norm.
        forwards, backwards: number of forward and backward passes of the attack.
        points: number of inputs that the attack queried; each query averages over several draws.
        rejected: number of queried inputs that a detector refused to answer.
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
    label: int | None = None
    answers: dict[str, str]
    distance: float
    forwards: int
    backwards: int
    points: int = 0
    rejected: int = 0
    flat: int = 0
    left_out: list[str] = []
    rising: float | None = None
    chosen: str | None = None
    chosen_for: dict[str, str] = {}
    shares: dict[str, float] = {}
    confidences: dict[str, float] = {}


class Timing(Line):
    """Wall-clock time of one batch of a claim, which depends on the machine and its load.

    Attributes:
        first: number of its first example.
        examples: number of examples.
        attack, verdict: seconds that the attack and the verdict took.
        by_attack: for a suite, the forward and backward passes of each attack over all examples of the batch, and its
            seconds; the rest of a suite's cost is that of comparing candidates. Empty in records of older versions.
    """

    kind: Literal["timing"] = "timing"
    claim: str
    first: int
    examples: int
    attack: float
    verdict: float
    by_attack: dict[str, tuple[int, int, float]] = {}


class MetricValue(Line):
    """A metric of the answers to the inputs of a claim, with its 95 % interval over examples and draws.

    Attributes:
        claim: id of the claim: of clean inputs or of an attack.
        metric: its name with options.
        rule: how draws answer: ``single`` or ``mean-S``.
        minus: the network whose value on the same examples is subtracted; empty for the value itself.
        value, low, high: the value and its interval.
        better: whether ``high`` or ``low`` values are better; empty for neither.
        why: why the metric was chosen; empty if it was named.
        examples: number of examples.
        draws: number of draws, or groups of draws; 1 for a deterministic network.
    """

    kind: Literal["metric"] = "metric"
    claim: str
    metric: str
    rule: str
    minus: str = ""
    value: float
    low: float
    high: float
    better: str
    why: str
    examples: int
    draws: int

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Key of the value in a file."""
        return (self.claim, self.metric, self.rule, self.minus)


TASK = "task"  # key in the details of a picture: what shows the label and the answer of another task than classes


class Picture(Line):
    """An original and its adversarial input for the report, in hexadecimal.

    Attributes:
        modality: name of the modality. Images are 8-bit pixels, shape (C, H, W); table rows are 32-bit floats, shape
            (D,).
        label: label of the original; None for tasks whose labels are not one whole number.
        answer: label that most draws gave the adversarial input; None in records of older versions.
        details: what the report needs to display them, such as the features of a table.
    """

    kind: Literal["picture"] = "picture"
    claim: str
    example: int
    label: int | None = None
    shape: list[int]
    original: str
    adversarial: str
    modality: str = "image"
    answer: int | None = None
    details: dict[str, Any] = {}


class Gradient(Judged):
    """Quality of the attacker's gradient at one clean input, over many draws.

    Attributes:
        zero: share of draws whose gradient is zero everywhere.
        snr: norm of the mean gradient / root mean square norm of a draw's deviation from it; None if no draw deviates.
        cosine: cosine between the mean gradients of two halves of the draws.
        draws: number of draws.
        price: factor on the queries of an attacker who sees scores, because answers are random, with the best step and
            number of repeats (``variate.oracle.query_price``); None where it was not measured.
        price_by_step: the factor for one query of each point, by the length of a step relative to the budget.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"zero", "snr", "cosine", "price", "price_by_step"}

    kind: Literal["gradient"] = "gradient"
    example: int
    zero: float
    snr: float | None
    cosine: float
    draws: int
    price: float | None = None
    price_by_step: dict[str, float] = {}


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


Lines = (
    RunLine
    | NetworkLine
    | Scale
    | Claim
    | Example
    | Timing
    | MetricValue
    | Picture
    | Gradient
    | Convergence
    | Certificate
    | Votes
    | Proved
    | Answered
    | PopulationBound
)
Record = Annotated[Lines, Field(discriminator="kind")]
READ: TypeAdapter[Lines] = TypeAdapter(Record)
