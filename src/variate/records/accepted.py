"""Right, wrong and abstained, from the answers of deployments that abstain where their certificate is too small."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from variate.records.certified import Answered
from variate.records.file import Records
from variate.statistics.accepted import Outcomes, outcomes_of


@dataclass(frozen=True)
class AcceptedRow:
    """The three rates of one deployment under one attack.

    Attributes:
        network: name of the network.
        certificate: id of its certificate.
        deployment: ``certified-R``.
        attack: name of the attack; ``clean`` for none.
        options: the attack's options that differ from its defaults.
        budget: perturbation budget; None without attack.
        outcomes: the rates: ``.right``, ``.wrong`` and ``.abstained``, each with its interval.
        examples: number of examples.
        answers: number of answers to every example.
    """

    network: str
    certificate: str
    deployment: str
    attack: str
    options: dict[str, Any]
    budget: str | None
    outcomes: Outcomes
    examples: int
    answers: int


def accepted_rows(records: Records, keys: Collection[str] | None = None) -> list[AcceptedRow]:
    """The rates of all measurements in the order they were made, or of those with the given keys."""
    rows = records.once("accepted rows", lambda: _rows(records))
    return [row for key, row in rows.items() if keys is None or key in keys]


def _rows(records: Records) -> dict[str, AcceptedRow]:
    names = {certificate.id: certificate.network for certificate in records.certificates.values()}
    rows = {}
    for key, batches in records.answered.items():
        lines = [line for _, line in sorted(batches.items())]
        if lines[0].certificate in names:
            rows[key] = _row(names[lines[0].certificate], lines)
    return rows


def _row(network: str, lines: list[Answered]) -> AcceptedRow:
    labels = np.concatenate([np.array(line.labels) for line in lines])  # (B,)
    answers = np.concatenate([np.array(line.answers) for line in lines], axis=1)  # (G, B)
    first = lines[0]
    return AcceptedRow(
        network,
        first.certificate,
        first.deployment,
        first.attack,
        first.options,
        first.budget,
        outcomes_of(answers, labels),
        len(labels),
        len(answers),
    )
