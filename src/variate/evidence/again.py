"""Judge the inputs of an evidence file again: rates and metrics on fresh draws, beside those in the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from variate.evaluation.claims import look_at
from variate.evaluation.judge import by_strata, scores_by_source, verdict
from variate.evaluation.kept_inputs import FIRST
from variate.evaluation.measuring import DRAWS, GROUPS
from variate.evaluation.probes import device_of
from variate.evidence.inputs import Inputs
from variate.evidence.verified import ALPHA, Check, Rejudged, Remeasured
from variate.metrics.measure import measure
from variate.random.keys import Stream, hash_words
from variate.random.seeding import Kind, left_as_found
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import deployments_of
from variate.records.rows import rows_of
from variate.records.schema import MetricValue
from variate.statistics.comparison import SMALLEST_P, compare
from variate.statistics.crossed import Scores
from variate.statistics.rates import Deployment, rate_of


@dataclass(frozen=True)
class _Judge:
    """The network with its kind of randomness, the seed of the fresh draws, and how to test.

    Attributes:
        network: the network, with one row of outputs per example.
        kind: its kind of randomness.
        seed: seed of the fresh draws.
        batch_size: examples per batch.
        level: confidence level of each test.
    """

    network: nn.Module
    kind: Kind
    seed: int
    batch_size: int
    level: float

    def outputs(self, x: Tensor, draws: int, together: int = 1) -> Tensor:
        """The outputs for one batch under fresh draws, the same for every batch: (n, B, M)."""
        judge = partial(verdict, draws=draws, kind=self.kind, together=together)
        stream = Stream("verdict", hash_words("verify", self.seed))
        return judge(self.network, x.to(device_of(self.network, x)), deployments=[], stream=stream)

    def batches(self, examples: int) -> Iterator[slice]:
        """The rows of each batch."""
        for start in range(0, examples, self.batch_size):
            yield slice(start, start + self.batch_size)


def judged_again(
    network: nn.Module,
    records: Records,
    claims: Sequence[Claim],
    inputs: dict[str, Inputs],
    seed: int,
    batch_size: int,
) -> tuple[list[Check], list[Rejudged], list[Remeasured]]:
    """Whether the network is that of the records, and each rate and metric beside the one on fresh draws.

    Args:
        network: the network.
        records: the records.
        claims: claims of the network.
        inputs: the inputs of those claims that can be judged again, by their id.
        seed: seed of the fresh draws.
        batch_size: examples per batch.
    """
    judged = [claim for claim in claims if claim.id in inputs]
    if not judged:
        return [], [], []
    first = inputs[judged[0].id]
    network = first.task.answers(network)
    with left_as_found(network):
        look = look_at(network, first.x)
        first.task.check(look.width, first.y)
        others = sorted({claim.fingerprint for claim in judged} - {look.fingerprint})
        found = [f"it is {look.fingerprint}, in the records {', '.join(others)}"] * bool(others)
        same = Check("the network is that of the records, in the same mode", not others, tuple(found))
        metrics = {claim.id: _metrics_of(records, claim) for claim in judged}
        tests = sum(len(deployments_of(records, claim)) + len(metrics[claim.id]) for claim in judged)
        judge = _Judge(network, look.kind, seed, batch_size, 1 - max(ALPHA / tests, SMALLEST_P))
        rates = [rate for claim in judged for rate in _rates(judge, records, claim, inputs[claim.id])]
        values = [one for claim in judged for one in _metrics(judge, claim, inputs[claim.id], metrics[claim.id])]
    return [same], rates, values


def _metrics_of(records: Records, claim: Claim) -> list[MetricValue]:
    return [line for line in records.metrics.values() if line.claim == claim.id and not line.minus]


def _rates(judge: _Judge, records: Records, claim: Claim, own: Inputs) -> Iterator[Rejudged]:
    deployments = [Deployment.parse(text) for text in deployments_of(records, claim)]
    again = _answers(judge, claim, own, deployments)
    rows = {row.deployment: row for row in rows_of(records, claim)}
    for deployment in deployments:
        before, now = records.answers(claim, deployment.source), again[deployment.source]
        repeated = deployment.size if deployment.rule == "survive" else 1
        found = compare(now, before, repeated=repeated, level=judge.level)
        yield Rejudged(rows[str(deployment)], rate_of(deployment, now), found, len(now), judge.level)


def _answers(judge: _Judge, claim: Claim, own: Inputs, deployments: Sequence[Deployment]) -> dict[str, Scores]:
    """Scores on fresh draws by ``Deployment.source``, each deployment on its own inputs: (n, B)."""
    parts: dict[str, list[Scores]] = {}
    for rows in judge.batches(len(own.judged[FIRST])):
        for together, alike in by_strata(judge.network, deployments).items():
            for deployment in {d.source: d for d in alike}.values():
                x = own.judged.get(deployment.source, own.judged[FIRST])[rows]
                outputs = judge.outputs(x, claim.verdict_draws, together)
                scores = scores_by_source([deployment], outputs, own.y[rows].to(outputs.device), own.task)
                parts.setdefault(deployment.source, []).append(scores[deployment.source])
    return {source: cast(Scores, np.concatenate(found, axis=1)) for source, found in parts.items()}


def _metrics(judge: _Judge, claim: Claim, own: Inputs, lines: Sequence[MetricValue]) -> Iterator[Remeasured]:
    """Each metric again, by as many draws as an evaluation takes.

    A metric has an interval and no test of a difference. It does not hold if the two values lie farther apart than
    their half-widths together, as the root of the sum of squares and widened to the level of the other tests; examples
    are shared, so this errs on the side of holding.
    """
    if not lines:
        return
    sizes = [Deployment.parse(line.rule).size for line in lines]
    draws = min(max([DRAWS, *(GROUPS * size for size in sizes)]), claim.verdict_draws)
    parts = [judge.outputs(own.judged[FIRST][rows], draws).cpu() for rows in judge.batches(len(own.judged[FIRST]))]
    outputs = torch.cat(parts, 1)  # (n, N, M)
    wider = float(special.ndtri((1 + judge.level) / 2) / special.ndtri(0.975))
    for line in lines:
        (now,) = measure(own.task, outputs, own.y, names=[line.metric], rule=line.rule, seed=claim.seed)
        if now.value > line.value:
            apart = wider * float(np.hypot(now.value - now.low, line.high - line.value))
        else:
            apart = wider * float(np.hypot(now.high - now.value, line.value - line.low))
        under = "clean" if claim.budget is None else f"under {claim.attack} at {claim.budget}"
        yield Remeasured(f"{line.metric}, {line.rule}, {under}", line, now, apart)
