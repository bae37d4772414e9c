"""Uncertainty of the draws that answer together, as metrics: the mean over examples, in nats.

With single draws these are all draws that are measured; with ``mean-S`` the S draws of each group, as an answer of
``Served`` with S draws has it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.metrics.metric import Floats, Metric, Prepared, weighted_mean
from variate.metrics.parts.problems import check_probabilities
from variate.metrics.responses import Responses
from variate.oracle.losses import bounded
from variate.random.uncertainty import ByDraw, by_draw
from variate.tasks.task import name_of as task_name


@dataclass(frozen=True)
class Disagreement(Metric):
    """A metric that is the mean over examples of an uncertainty."""

    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))

    def prepared(self, given: Responses) -> Prepared:
        """The weighted mean of what each draw, or each group, adds."""
        check_probabilities(self, given)
        return Prepared(weighted_mean(self.quantity(disagreement(given)).numpy()))

    @abstractmethod
    def quantity(self, parts: ByDraw) -> Tensor:
        """The quantity, from those of each answer, (G, N)."""


def disagreement(given: Responses) -> ByDraw:
    """The quantities of each answer, (G, N) each: of each draw among all draws, or the means of each group."""
    return given.once("disagreement", lambda: _disagreement(given))


def _disagreement(given: Responses) -> ByDraw:
    grouped = given.members is not None
    groups = given.outputs[None] if given.members is None else given.members  # (G, S, N, M)
    parts = [by_draw(_logs(group, given)) for group in groups]
    kept = [[getattr(part, name) for part in parts] for name in ("entropy", "shared", "apart")]  # (S, N, ...) each
    together = [torch.stack([each.mean(0) for each in own]) if grouped else own[0] for own in kept]
    return ByDraw(*(part.flatten(2).mean(2) if part.dim() > 2 else part for part in together))


def _logs(outputs: Tensor, given: Responses) -> Tensor:
    """Log probabilities of the classes, (S, N, K), or of no and yes to every label, (S, N, L, 2)."""
    if task_name(given.task) == "labels":
        z = bounded(outputs.double())
        return torch.stack([F.logsigmoid(-z), F.logsigmoid(z)], -1)
    return bounded(outputs.double()).log_softmax(-1)


def own_entropy(given: Responses) -> Floats:
    """The entropy of each answer by itself, (G, N): of a draw, or of the mean of a group."""
    if given.members is not None:
        return disagreement(given).entropy.numpy()
    alone = replace(given, members=given.outputs[:, None], computed={})
    return disagreement(alone).entropy.numpy()
