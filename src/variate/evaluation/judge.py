"""The judge: how often a network classifies given inputs correctly, over fresh draws that no attack has seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.validation import check_classes, check_inputs, check_module, precise
from variate.random.average import mean_log_probabilities
from variate.random.keys import Stream
from variate.random.seeding import Kind, generators_as_found, kind_of, left_as_found, outputs_under
from variate.random.strata import count_of_modes, stratified
from variate.statistics.rates import Bits, Deployment, Floats, rate_of
from variate.statistics.sequential import Sequential, check_until, until
from variate.tasks.classes import Classes
from variate.tasks.parts.aimed import aimed_at
from variate.tasks.task import Task


def judge(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    deployments: Sequence[Deployment],
    draws: int,
    stream: Stream,
    kind: Kind,
    target: Tensor | None = None,
) -> dict[str, Bits]:
    """Judge the same inputs under every draw, or every group of draws.

    Args:
        network: any module, in the mode it will be used in.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        deployments: ways to use the network.
        draws: number of fresh draws, n; a group takes S of them, so n must be at least 2 S.
        stream: the verdict's stream.
        kind: kind of randomness, from ``variate.random.seeding.kind_of``; a deterministic network is run once.
        target: target labels of a targeted attack, shape (B,); any other answer counts as correct.

    Returns:
        Correctness by ``Deployment.source``: (n, B) for single draws, (n // S, B) for groups, (1, B) if deterministic.
    """
    first = stream.index
    right: dict[str, Bits] = {}
    for together, alike in by_strata(network, deployments).items():
        again = Stream(stream.name, stream.seed, first)
        logits = verdict(network, x, deployments=alike, draws=draws, stream=again, kind=kind, together=together)
        right |= right_by_source(alike, logits, y, target)
        stream.index = again.index
    return {deployment.source: right[deployment.source] for deployment in deployments}


def by_strata(network: nn.Module, deployments: Sequence[Deployment]) -> dict[int, list[Deployment]]:
    """The deployments by how many draws they take together, S, if that matters: draws of a network with modes.

    ``mean-S`` and ``majority-S`` answer with S draws that use the modes evenly (``variate.random.strata``), as served.
    The draws of ``single`` and ``survive-N`` answer different queries, and are independent: 1. For a network without
    modes all draws are independent, and all deployments share them.
    """
    modes = count_of_modes(network) > 1
    groups: dict[int, list[Deployment]] = {}
    for deployment in deployments:
        together = deployment.size if modes and deployment.rule in ("mean", "majority") else 1
        groups.setdefault(together, []).append(deployment)
    return groups


def verdict(
    network: nn.Module,
    x: Tensor,
    *,
    deployments: Sequence[Deployment],
    draws: int,
    stream: Stream,
    kind: Kind,
    together: int = 1,
) -> Tensor:
    """The logits under every fresh draw, (n, B, K); the arguments are those of ``judge``.

    With ``together``, each run of that many draws uses the modes of the network evenly: see ``by_strata``.
    """
    if stream.name != "verdict":
        raise UsageError(f"the {stream.name} stream cannot judge", expected="the verdict stream: fresh draws only")
    if kind != "deterministic":
        check_draws(deployments, draws)
    keys = stream.take(1 if kind == "deterministic" else draws)
    runs = [stratified(network, keys[start : start + together]) for start in range(0, len(keys), together)]
    with left_as_found(network):
        return outputs_under(network, x, list(chain.from_iterable(runs)))  # (n, B, K)


def scores_by_source(
    deployments: Sequence[Deployment], outputs: Tensor, y: Tensor, task: Task, target: Tensor | None = None
) -> dict[str, Bits | Floats]:
    """Scores by ``Deployment.source``, from (n, B, M) outputs: bits for classes, numbers in [0, 1] for other tasks.

    With ``target``, answers to aim at, they are what these are missed by.
    """
    if isinstance(task, Classes):
        return {**right_by_source(deployments, outputs, y, target)}
    task, labels = aimed_at(task, y, target)
    return {d.source: scores_of(d, outputs, labels, task).double().cpu().numpy() for d in deployments}


def scores_of(deployment: Deployment, outputs: Tensor, y: Tensor, task: Task) -> Tensor:
    """Scores under each draw or group: (n, B, M) to (n, B) or (n // S, B)."""
    if deployment.rule in ("single", "survive") or len(outputs) == 1:
        return task.score(outputs, y)
    size = deployment.size
    groups = outputs[: len(outputs) // size * size].view(-1, size, *outputs.shape[1:])  # (G, S, B, M)
    together = task.mean if deployment.rule == "mean" else task.majority
    return torch.stack([task.score(together(group, y), y) for group in groups])


def right_by_source(
    deployments: Sequence[Deployment], logits: Tensor, y: Tensor, target: Tensor | None = None
) -> dict[str, Bits]:
    """Correctness by ``Deployment.source``, from (n, B, K) logits; with ``target``, whether the target was missed."""
    right = {d.source: right_answers(d, logits, y if target is None else target) for d in deployments}
    return {name: (bits if target is None else ~bits).cpu().numpy().astype(np.bool_) for name, bits in right.items()}


@generators_as_found()
def judge_until(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    width: float,
    deployment: str = "single",
    most: int = 4096,
    level: float = 0.95,
    seed: int = 0,
) -> Sequential:
    """Judge given inputs with more and more fresh draws until the interval is narrower than ``width``.

    Args:
        network: any module, in the mode it will be used in.
        x: inputs, shape (B, ...), adversarial or not.
        y: labels, shape (B,).
        width: largest accepted width of the interval, in (0, 1).
        deployment: ``single`` or ``survive-N``.
        most: largest number of draws.
        level: confidence level, valid at any stopping time (see ``variate.statistics.sequential``).
        seed: seed of the verdict's stream.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for a network that is no module, and an impossible width, level or number of draws.
    """
    check_module(network)
    check_inputs(x, y)
    usage = check_until(width=width, deployment=deployment, most=most, level=level)
    x, labels = precise(x.detach()), y.long()
    kind, stream = kind_of(network, x[:2]), Stream("verdict", seed)

    def right_under(count: int) -> Bits:
        keys = stream.take(count)
        with left_as_found(network):
            logits = outputs_under(network, x, keys)  # (n, B, K)
        check_classes(y, logits.shape[-1])
        return np.asarray((logits.argmax(-1) == labels.to(logits.device)).cpu().numpy(), dtype=np.bool_)

    if kind == "deterministic":
        rate = rate_of(usage, right_under(1), level=level)
        return Sequential(rate, 1, rate.high - rate.low <= width, rate.high - rate.low)
    return until(right_under, width=width, deployment=deployment, most=most, level=level)


def check_draws(deployments: Sequence[Deployment], draws: int) -> None:
    """Raise ``UsageError`` unless ``draws`` fresh draws are enough to judge every deployment."""
    for deployment in deployments:
        least = deployment.size + 1 if deployment.rule == "survive" else 2 * deployment.size
        if draws < least:
            raise UsageError(
                f"{draws} fresh draws are too few to judge {deployment}", expected=f"at least {least} verdict draws"
            )


def confidences(deployments: Sequence[Deployment], logits: Tensor, indices: Sequence[int]) -> dict[str, Tensor]:
    """The confidence of one answer per example: the highest probability under its draw, or of the mean over its group.

    A deployment gives G answers; example i takes answer i % G, so that the examples are spread over the draws. A
    majority vote has no probability.

    Args:
        deployments: ways to use the network.
        logits: logits under every draw, shape (n, B, K).
        indices: positions of the B examples in the data set.

    Returns:
        Confidences by ``Deployment.source``, shape (B,), in [0, 1].
    """
    order = torch.tensor(indices, device=logits.device)  # (B,)
    column = torch.arange(len(order), device=logits.device)
    highest = {}
    for deployment in deployments:
        size = deployment.size if deployment.rule == "mean" and len(logits) > 1 else 1
        if deployment.rule != "majority" and deployment.source not in highest:
            first = order % (len(logits) // size) * size  # (B,)
            rows = first + torch.arange(size, device=logits.device)[:, None]  # (S, B)
            highest[deployment.source] = mean_log_probabilities(logits[rows, column]).amax(-1).exp()
    return highest


def right_answers(deployment: Deployment, logits: Tensor, y: Tensor) -> Tensor:
    """Correctness under each draw or group: (n, B, K) to (n, B) or (n // S, B)."""
    if deployment.rule in ("single", "survive") or len(logits) == 1:
        return logits.argmax(-1) == y
    size = deployment.size
    groups = logits[: len(logits) // size * size].view(-1, size, *logits.shape[1:])  # (G, S, B, K)
    if deployment.rule == "mean":
        return torch.stack([mean_log_probabilities(group).argmax(-1) == y for group in groups])
    return torch.stack([_majority_right(group, y) for group in groups])


def _majority_right(group: Tensor, y: Tensor) -> Tensor:
    """Whether the true label has more votes than any other: (S, B, K) to (B,). A tie is wrong."""
    votes = torch.nn.functional.one_hot(group.argmax(-1), group.shape[-1]).sum(0)  # (B, K)
    true_votes = votes.gather(1, y[:, None])[:, 0]
    other_votes = votes.scatter(1, y[:, None], -1).amax(1)
    return true_votes > other_votes
