"""Metrics of a task on the inputs that an evaluation judges, from the first draws of its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.evaluation.judge import verdict
from variate.evaluation.probes import device_of
from variate.evaluation.target import Target
from variate.inputs.asking import asked
from variate.metrics.choose import wishes_of
from variate.metrics.measure import Measured, check_task, kept, measure
from variate.metrics.metric import metric_of
from variate.random import plain
from variate.random.keys import Stream
from variate.random.seeding import input_type, left_as_found
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.records.schema import MetricValue
from variate.statistics.rates import Deployment
from variate.tasks.task import Task

DRAWS = 16  # of single draws
GROUPS = 2  # of a mean of draws, at least
NUMBERS = 200_000_000  # outputs that are held at once
MEAN = "mean network"


def check_metrics(metrics: Sequence[str], task: Task) -> None:
    """Check that metrics exist and measure a task. Raises ``UsageError``."""
    if isinstance(metrics, str):
        raise UsageError(f"metrics is {metrics!r}", expected=f"a list of metrics, such as [{metrics!r}]")
    for name in metrics:
        wishes = wishes_of(name)
        if wishes is None:
            check_task(metric_of(name), task)
        else:
            wishes.check(task)


class Outputs:
    """The outputs of a claim under the first draws of the verdict, collected as its batches are judged.

    Args:
        deployments: ways to use the network; metrics are those of single draws, and of the first ``mean-S``.
        examples: number of examples of the claim.
    """

    def __init__(self, deployments: Sequence[Deployment], examples: int) -> None:
        means = [deployment for deployment in deployments if deployment.rule == "mean"]
        self.rules = ["single", *map(str, means[:1])]
        self._draws = max([DRAWS, *(GROUPS * deployment.size for deployment in means[:1])])
        self._examples = examples
        self._rows: dict[int, Tensor] = {}

    def add(self, indices: Sequence[int], outputs: Tensor) -> None:
        """Keep the outputs of some examples, (n, B, M). Raises ``UsageError`` if all will not fit into memory."""
        first = outputs[: self._draws].detach().cpu()
        numbers = len(first) * self._examples * first.shape[-1]
        if numbers > NUMBERS:
            raise UsageError(
                f"metrics need {numbers:,} outputs at once: {len(first)} draws of {self._examples} examples",
                expected=f"at most {NUMBERS:,}",
                todo="evaluate fewer examples",
            )
        self._rows |= {index: first[:, j] for j, index in enumerate(indices)}

    @property
    def whole(self) -> Tensor | None:
        """All outputs, (n, N, M); None if some examples were not judged here."""
        if len(self._rows) < self._examples:
            return None
        return torch.stack([self._rows[index] for index in range(self._examples)], 1)

    def refill(self, target: Target, claim: Claim, x: Tensor, batch_size: int) -> None:
        """Judge clean inputs once more, whose answers were in the records already."""
        draws = min(self._draws, claim.verdict_draws)  # the first of the verdict
        for start in range(0, len(x), batch_size):
            inputs = x[start : start + batch_size].to(device_of(target.network, x))
            stream = Stream("verdict", target.seed)
            outputs = verdict(target.network, inputs, deployments=(), draws=draws, stream=stream, kind=target.kind)
            self.add(range(start, start + len(inputs)), outputs)


def measure_claim(
    target: Target,
    claim: Claim,
    outputs: Outputs,
    x: Tensor,
    y: Tensor,
    records: Records,
    names: Sequence[str],
    *,
    batch_size: int,
    alone: bool,
) -> bool:
    """Measure a claim whose outputs are all there, and on clean inputs what the mean network would lose or gain.

    Args:
        target: the network.
        claim: the claim.
        outputs: its outputs, as far as its examples were judged in this call.
        x: clean inputs, shape (N, ...).
        y: labels, shape (N, ...).
        records: records that the metrics are added to.
        names: metrics, or ``auto``.
        batch_size: examples per batch.
        alone: whether this process judges all examples, so that missing outputs of clean inputs can be computed.

    Returns:
        Whether the records have metrics of the claim.

    Raises:
        UsageError: for a metric that does not fit the task, or outputs that do not fit into memory.
    """
    clean = claim.attack == CLEAN
    if clean and alone and outputs.whole is None:
        outputs.refill(target, claim, x, batch_size)
    whole = outputs.whole
    if whole is not None:
        twin = _outputs_of_mean(target, x, batch_size) if clean and target.has_mean else None
        records.add(_values(claim, target, whole, y.cpu(), list(names), outputs.rules, twin))
    return any(line.claim == claim.id for line in records.metrics.values())


def _values(
    claim: Claim,
    target: Target,
    outputs: Tensor,
    y: Tensor,
    names: list[str],
    rules: Sequence[str],
    twin: Tensor | None,
) -> list[MetricValue]:
    found: list[MetricValue] = []
    for rule in rules if len(outputs) > 1 else rules[:1]:
        ours = measure(target.task, outputs, y, names=names, rule=rule, seed=claim.seed)
        found += [_line(claim, one, "") for one in ours]
        if twin is not None:
            less = kept(target.task, outputs, twin, y, names=names, rule=rule, seed=claim.seed)
            found += [_line(claim, one, MEAN) for one in less]
    return found


def _outputs_of_mean(target: Target, x: Tensor, batch_size: int) -> Tensor:
    """The outputs of the mean network for clean inputs, (1, N, M)."""
    network: nn.Module = plain.mean(target.network)
    device, parts = device_of(network, x), []
    with torch.no_grad(), left_as_found(network):
        for start in range(0, len(x), batch_size):
            inputs = x[start : start + batch_size].to(device)
            parts.append(asked(network, inputs.to(input_type(network, inputs))).cpu())
    return torch.cat(parts)[None]


def lacking(claims: Mapping[str, bool]) -> list[str]:
    """One sentence on the attacks whose metrics could not be measured, by name: whether they were."""
    missing = [attack for attack, measured in claims.items() if not measured]
    if not missing:
        return []
    return [
        f"no metrics under {', '.join(missing)}: they take the outputs of all examples, and not all were judged in "
        "this process and call; evaluate into a new file, in one process"
    ]


def _line(claim: Claim, found: Measured, minus: str) -> MetricValue:
    return MetricValue(
        claim=claim.id,
        metric=found.name,
        rule=found.rule,
        minus=minus,
        value=found.value,
        low=found.low,
        high=found.high,
        better=found.better,
        why=found.why,
        examples=found.examples,
        draws=found.draws,
    )
