"""The lines of a certificate: what was certified, how the votes fell, and what they prove."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, ClassVar, Literal

from variate.records.claim import Judged, Line


class Certificate(Judged):
    """One certification: a network, its inputs, and how many votes choose and bound a label.

    Attributes:
        mechanism: name of the certificate.
        noise: what the proof rests on, in words.
        choosing: number of votes that choose a label.
        draws: number of votes that bound its probability.
        alpha: probability with which the certificate of an example may be wrong.
        votes_of: number of draws of the weights whose mean casts a vote.
        group: name shared by networks that differ in their training seed alone.
        asked: number of examples.
        early_stop: whether votes on an example end as soon as they tell whether it is certified; ``draws`` at most.
    """

    shown: ClassVar[frozenset[str]] = Judged.shown | {"noise", "group", "asked", "early_stop"}

    kind: Literal["certificate"] = "certificate"
    mechanism: str
    noise: str
    choosing: int
    draws: int
    alpha: float
    votes_of: int
    group: str | None = None
    asked: int
    early_stop: bool = False

    def _hash(self, more: object = None) -> str:
        return super()._hash("early stop" if self.early_stop else more)

    @cached_property
    def key(self) -> tuple[str, str]:
        """Key of the certificate in a file."""
        return (self.network, self.id)


class Votes(Line):
    """The votes on one batch of examples; each list but ``by_draw`` has a number for every part of every answer.

    Attributes:
        certificate: id of the certificate.
        budget: the budget in which the votes were verified, where each has votes of its own.
        first: number of the first example.
        parts: number of parts of an answer.
        labels: what is right: the true label; -1 for a part that does not count.
        chosen: what the choosing votes elected.
        agreed: number of bounding votes for what was elected.
        right: number of bounding votes that are right.
        by_draw: sum of the scores in the batch, for each bounding vote; empty where they ended early.
        cast: number of bounding votes on each part, where they ended early.
    """

    kind: Literal["votes"] = "votes"
    certificate: str
    budget: str | None = None
    first: int
    parts: int = 1
    labels: list[int]
    chosen: list[int]
    agreed: list[int]
    right: list[int]
    by_draw: list[int | float]
    cast: list[int] | None = None

    @property
    def examples(self) -> int:
        """The number of examples in the batch."""
        return len(self.labels) // self.parts


class Answered(Line):
    """The answers of a deployment that may abstain to one batch, clean or under an attack.

    Attributes:
        certificate: id of the certificate, whose votes each answer takes anew at the received input.
        deployment: ``certified-R``.
        radius: R, with its norm.
        attack: name of the attack; ``clean`` for none.
        options: the attack's options that differ from its defaults; shown.
        settings: all settings of the attack, with the number of draws of its search.
        budget: perturbation budget; None without attack.
        first: number of the first example.
        labels: true labels.
        answers: labels that were answered, -1 for none: for each of several draws of all votes, one for each example.
    """

    kind: Literal["answered"] = "answered"
    certificate: str
    deployment: str
    radius: str
    attack: str
    options: dict[str, Any]
    settings: dict[str, Any]
    budget: str | None = None
    first: int
    labels: list[int]
    answers: list[list[int]]

    @cached_property
    def key(self) -> str:
        """What tells its measurement from others."""
        facts = self.certificate, self.radius, self.attack, self.settings, self.budget, len(self.answers)
        return json.dumps(facts, sort_keys=True, default=str)


class ProvedRow(Line):
    """One certified rate of right answers.

    Attributes:
        deployment: name of the deployment.
        norm, radius: the budget.
        rate: mean over the examples of the least probability of a right answer.
        low, high: its interval.
        wrong: for a deployment that may abstain, the largest rate of wrong answers, at the upper end of its interval.
    """

    deployment: str
    norm: str
    radius: float
    rate: float
    low: float
    high: float
    wrong: float | None = None


class Proved(Line):
    """What the votes of a certificate prove: rates at the asked radii and along a curve.

    Attributes:
        certificate: id of the certificate.
        norm: norm of the radii.
        radii: certified radius of each part of each answer; 0: abstains, or certified for what is wrong.
        abstained: number of parts without a certificate, of those that count.
        rows: certified rates at the asked radii.
        curve: the same at evenly spaced radii.
    """

    kind: Literal["proved"] = "proved"
    certificate: str
    norm: str
    radii: list[float]
    abstained: int
    rows: list[ProvedRow]
    curve: list[ProvedRow]


class PopulationBound(Line):
    """What the noise on the input of an evaluated network proves of its rate of single draws.

    Attributes:
        network: name of the network.
        fingerprint: hash of the network, as in its claims.
        budget: the budget of the evaluation.
        distance: how far an attacker within it can move the noisy input, in standard deviations of the noise.
        noise: the noise, in words.
    """

    kind: Literal["population"] = "population"
    network: str
    fingerprint: str
    budget: str
    distance: float
    noise: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Key of the bound in a file."""
        return (self.network, self.fingerprint, self.budget)
