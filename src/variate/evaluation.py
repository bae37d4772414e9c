"""Evaluate a network: attack it through an oracle, judge what comes out on fresh draws, keep every answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate.budget import Budget
from variate.draws import How
from variate.errors import InputError
from variate.fingerprint import fingerprint
from variate.inputs import check_classes, check_inputs, checked_logits
from variate.judge import check_draws, judge
from variate.keyed import Kind, kind_of, left_as_found
from variate.lines import Claim, Example, Picture, Record
from variate.plan import Plan, Target, perturb
from variate.progress import Report, progress
from variate.queries import Queries
from variate.randomness import Stream, hash_words
from variate.rates import Deployment
from variate.record import Records, pack
from variate.result import CLEAN, Result, result_of

DEPLOYMENTS = ("single", "mean-16", "majority-16", "survive-10")
PICTURES = 6


def evaluate(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    budget: str | Budget,
    attacks: Sequence[str | Mapping[str, Any]] = ("pgd",),
    draws: int = 20,
    deployments: Sequence[str] = DEPLOYMENTS,
    verdict_draws: int = 160,
    seed: int = 0,
    batch_size: int = 256,
    source: nn.Module | Mapping[str, nn.Module] | None = None,
    memory: int | None = None,
    records: Records | str | Path | None = None,
    name: str = "network",
    part: str = "table",
    pictures: bool = False,
    how: How = "loop",
    show_progress: bool = False,
) -> Result:
    """How often a network is right, without attack and under each attack, for each way to deploy it.

    Args:
        network: any module from inputs to logits, in the mode it will be used in. A ``RandomNetwork`` is judged over
            its draws, a module that draws from torch's global generator over that generator.
        x: inputs in [0, 1], shape (B, ...).
        y: integer labels, shape (B,).
        budget: such as ``linf:8/255`` or ``l2:0.5``.
        attacks: names, or mappings with options: ``{"name": "pgd", "steps": 100, "draws": 1}``.
        draws: how many draws each query of an attack averages over.
        deployments: ``single``, ``mean-S``, ``majority-S``, ``survive-N``.
        verdict_draws: fresh draws of the verdict, which no attack has seen.
        seed: of the search and verdict streams; the same seed gives the same records.
        batch_size: examples at a time; the answers do not depend on it.
        source: networks to transfer from, by name: a deterministic twin, a copy that was trained independently. Without
            any, the mean network of a random one, and the network itself otherwise.
        memory: the most bytes that an attack's inputs and draws may take at once in the network.
        records: where every answer is kept: a path or ``Records``. What is there already for the same tensors, mode,
            inputs and attack is not computed again, so a network whose code has changed needs a new file.
        name: the network's name in the records.
        part: the part of a report that the claims belong to.
        pictures: whether to keep a few adversarial inputs for the report.
        how: how the draws of a random network are made. ``loop`` gives the same records, bit for bit, for a seed;
            ``auto`` takes the fastest of several ways, whose numbers are equal up to rounding (see ``variate.draws``).
        show_progress: show a progress bar on standard error.

    Returns:
        A ``Result``; the first rows are those of the clean inputs.

    Raises:
        InputError: for inputs or labels that cannot be judged, UsageError for an unknown name or impossible option,
        AttackError for an attack that leaves its budget.
    """
    parsed = Budget.parse(budget)
    ways = [Deployment.parse(text) for text in deployments]
    plans = [Plan.of(wanted, draws) for wanted in (CLEAN, *attacks)]
    for plan in plans:
        plan.check_norm(parsed)
    check_draws(ways, verdict_draws)
    check_inputs(x, y)
    kind = _checked_kind(network, x, y)
    store = records if isinstance(records, Records) else Records(records)
    sources = {"source": source} if isinstance(source, nn.Module) else dict(source or {})
    target = Target(network, kind, seed, _identity(network), name, sources, pictures, how, memory)
    claims = [_claim(target, plan, parsed, x, y, ways, verdict_draws, part) for plan in plans]
    with left_as_found(network):
        for plan, claim in zip(plans, claims, strict=True):
            store.add([claim])
            done = len(store.examples.get(claim.id, {}))
            title = f"{name}: {claim.attack}"
            with progress(title, len(x), "examples", already=done, show=show_progress) as report:
                _run(target, plan, claim, x, y, store, batch_size, report)
    return result_of(store, claims)


def _run(
    target: Target, plan: Plan, claim: Claim, x: Tensor, y: Tensor, store: Records, batch_size: int, report: Report
) -> None:
    """Attack and judge the examples that the records do not hold yet, batch by batch."""
    done = store.examples.get(claim.id, {})
    todo = [i for i in range(len(x)) if i not in done]
    device = _device(target.network, x)
    for start in range(0, len(todo), batch_size):
        chosen = todo[start : start + batch_size]
        index = torch.tensor(chosen, device=x.device)
        store.add(_answer(target, plan, claim, chosen, x[index].to(device), y[index].long().to(device)))
        report(len(x) - len(todo) + start + len(chosen))


def _answer(target: Target, plan: Plan, claim: Claim, chosen: list[int], x: Tensor, y: Tensor) -> Iterator[Record]:
    """Attack and judge one batch: a record for each of its examples, and pictures of the first few."""
    budget = Budget.parse(claim.budget) if claim.budget else None
    perturbed, queries, distance = x, Queries(len(x)), x.new_zeros(len(x))
    if budget is not None:
        perturbed, oracle = perturb(target, plan, budget, x, y)
        queries, distance = oracle.queries, budget.distance(perturbed, x)
    right = judge(
        target.network,
        perturbed,
        y,
        deployments=[Deployment.parse(text) for text in claim.deployments],
        draws=claim.verdict_draws,
        stream=Stream("verdict", target.seed),
        kind=target.kind,
        how=target.how,
    )
    for j, example in enumerate(chosen):
        yield Example(
            claim=claim.id,
            example=example,
            label=int(y[j]),
            answers={source: pack(bits[:, j]) for source, bits in right.items()},
            distance=round(float(distance[j]), 7),
            forwards=int(queries.forwards[j]),
            backwards=int(queries.backwards[j]),
        )
        if target.pictures and budget is not None and x.dim() == 4 and example < PICTURES:
            yield _picture(claim, example, int(y[j]), x[j], perturbed[j])


def _checked_kind(network: nn.Module, x: Tensor, y: Tensor) -> Kind:
    """The network's kind of randomness, after one look at what it returns for two examples."""
    few = x[:2].to(_device(network, x))
    parameter = next(network.parameters(), few)
    if parameter.dtype != few.dtype:
        raise InputError(
            f"x is {few.dtype}, and the network's parameters are {parameter.dtype}",
            todo=f"pass x.to({parameter.dtype})",
        )
    with torch.no_grad(), left_as_found(network):
        try:
            outputs = network(few)
        except RuntimeError as error:
            raise InputError(f"the network cannot take inputs of shape {tuple(few.shape)}: {error}") from error
    check_classes(y, checked_logits(outputs, few).shape[1])
    return kind_of(network, few)


def _identity(network: nn.Module) -> str:
    """The tensors of a network, and its mode where any part is in train mode: the same claim means the same of both."""
    tensors = fingerprint(network.state_dict())
    modes = [module.training for module in network.modules()]
    return f"{tensors}-{hash_words(*modes):016x}" if any(modes) else tensors


def _device(network: nn.Module, x: Tensor) -> torch.device:
    """Where the network is; the inputs are brought there batch by batch."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), x.device)


def _claim(
    target: Target,
    plan: Plan,
    budget: Budget,
    x: Tensor,
    y: Tensor,
    ways: Sequence[Deployment],
    verdict_draws: int,
    part: str,
) -> Claim:
    random = target.kind != "deterministic"
    options = plan.choices()
    if plan.attack == "transfer" and target.sources:
        held = target.held(plan.source)
        options["source"] = f"{plan.source or 'all'} {fingerprint(held.state_dict())}"
    return Claim(
        network=target.name,
        fingerprint=target.fingerprint,
        inputs=fingerprint([x, y]),
        attack=plan.attack,
        options=options,
        budget=None if plan.attack == CLEAN else budget.text,
        draws=plan.draws if random else min(plan.draws, 1),
        verdict_draws=verdict_draws if random else 1,
        deployments=[str(way) for way in ways],
        seed=target.seed,
        part=part,
    )


def _picture(claim: Claim, example: int, label: int, original: Tensor, perturbed: Tensor) -> Picture:
    def pixels(image: Tensor) -> str:
        return (image.detach().cpu() * 255).round().byte().numpy().tobytes().hex()

    return Picture(
        claim=claim.id,
        example=example,
        label=label,
        shape=list(original.shape),
        original=pixels(original),
        adversarial=pixels(perturbed),
    )
