"""The identifying facts of an evaluation in the records: network, inputs, attack and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

import torch
from torch import Tensor, nn

from variate.errors import unknown_name
from variate.evaluation.plan import Plan
from variate.evaluation.probes import answers_of, coupling_of, device_of
from variate.evaluation.stateful import ordinary_share
from variate.evaluation.suites import Suite
from variate.evaluation.target import Target
from variate.hashing import fingerprint
from variate.inputs.asking import asked
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.random.identity import identity, plain, settings_of
from variate.random.network import RandomNetwork
from variate.random.seeding import Kind, input_type, kind_of, left_as_found
from variate.records.claim import Claim, Drawn, Part
from variate.records.rows import CLEAN
from variate.records.schema import Convergence
from variate.statistics.rates import Deployment
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task, written


@dataclass(frozen=True)
class Look:
    """What one forward pass reveals about a network.

    Attributes:
        kind: kind of randomness.
        fingerprint: hash of its tensors, modes, settings and distributions.
        answers: hash of its answers to the first inputs.
        drawn: source of the randomness.
        coupled: how the answer to an example depends on the rest of the batch; None if it does not.
        width: number of outputs per example, M; for classes, K.
    """

    kind: Kind
    fingerprint: str
    answers: str | None
    drawn: Drawn
    coupled: str | None
    width: int

    @property
    def alone(self) -> bool:
        """Whether the split of the batch changes no answer: neither noise from a generator nor other examples do."""
        return self.drawn in ("nothing", "keys") and self.coupled is None


def look_at(network: nn.Module, x: Tensor) -> Look:
    """Run a network on a few of ``x``, (B, ...). Raises ``InputError`` for inputs that it cannot take."""
    few = x[:2].to(device_of(network, x))
    few = few.to(input_type(network, few))
    with torch.no_grad(), left_as_found(network):
        generators = _generators(few)
        outputs = asked(network, few)
        consumed = not all(map(torch.equal, generators, _generators(few)))
    before = settings_of(network)  # after a first pass: what only that one sets, as libraries do, is no state
    width = outputs.shape[1]
    kind = kind_of(network, few)
    drawn = _drawn(network, kind, consumed=consumed)
    coupled = coupling_of(network, x, kind, generator=drawn not in ("nothing", "keys"))
    return Look(kind, identity(network, before), answers_of(network, x, kind), drawn, coupled, width)


def judged(
    look: Look,
    inputs: str,
    modality: Modality,
    task: Task = CLASSES,
    *,
    name: str,
    seed: int,
    batch_size: int,
    memory: int | None,
) -> dict[str, Any]:
    """What a measurement is made on, as the fields of ``variate.records.schema.Judged``.

    Args:
        look: result of ``look_at`` on the network.
        inputs: fingerprint of inputs and labels.
        modality: modality of the inputs, with its details.
        task: what the answers are.
        name: name of the network, for display only.
        seed: seed of the search and of the verdict.
        batch_size: examples per batch.
        memory: memory limit in bytes; None for no limit.
    """
    return {
        "network": name,
        "fingerprint": look.fingerprint,
        "answers": look.answers,
        "inputs": inputs,
        "modality": name_of(modality),
        "allowed": fingerprint_of(modality),
        "task": written(task),
        "drawn": look.drawn,
        "seed": seed,
        "batch_size": None if look.alone else batch_size,
        "memory": None if look.alone else memory,
        "coupled": look.coupled,
        "date": datetime.now(UTC).date().isoformat(),
    }


def fingerprint_of(modality: Modality) -> str:
    """Hash of a modality with all its fields: what may be changed, into what, and in which unit."""
    return fingerprint([torch.tensor(list(repr(plain(modality)).encode()), dtype=torch.uint8)])


def claim_of(
    facts: Mapping[str, Any],
    target: Target,
    plan: Plan | Suite,
    budget: Budget,
    deployments: Sequence[Deployment],
    x: Tensor,
) -> Claim:
    """The record of one attack or suite, without its answers.

    Args:
        facts: those of ``judged``, with the claim's number of verdict draws, part, owner and group.
        target: the network.
        plan: attack or suite to run.
        budget: norm and size.
        deployments: ways to use the network.
        x: inputs, shape (B, ...), on the first of which the networks that an attacker holds are recognized.
    """
    random = target.kind != "deterministic"
    sources = _source_fingerprints(target, plan, x)
    return Claim(
        **{**facts, "verdict_draws": facts["verdict_draws"] if random else 1},
        attack=plan.attack,
        options={**plan.choices(), **sources},
        settings={**plain_options(plan.settings()), **sources},
        budget=None if plan.attack == CLEAN else budget.text,
        draws=plan.draws if random else min(plan.draws, 1),
        deployments=[str(deployment) for deployment in deployments],
        ordinary=ordinary_share(plan, x, target.seed),
    )


def convergence_of(facts: Mapping[str, Any], pilot: Plan, budget: Budget, examples: int) -> Convergence:
    """The record of a search for the number of draws, its results still empty."""
    settings = plain_options(pilot.settings())
    return Convergence(**facts, attack=pilot.attack, settings=settings, budget=budget.text, examples=examples)


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in a form that JSON can hold."""
    return {name: plain(value) for name, value in options.items()}


def check_part(part: str) -> None:
    """Raise ``UsageError`` unless reports have a part of this name."""
    if part not in get_args(Part):
        raise unknown_name("part of a report", part, get_args(Part))


def _source_fingerprints(target: Target, plan: Plan | Suite, x: Tensor) -> dict[str, Any]:
    """Fingerprints of the networks that the attacker holds, and hashes of their answers."""
    if not target.sources:
        return {}
    if isinstance(plan, Suite):
        return {"sources": {name: _recognized(network, x) for name, network in target.sources.items()}}
    return {"source": f"{plan.source or 'all'} {_recognized(target.held(plan.source), x)}"} if plan.holds else {}


def _recognized(network: nn.Module, x: Tensor) -> str:
    few = x[:2].to(device_of(network, x))
    kind = kind_of(network, few)
    before = settings_of(network)  # as in ``look_at``
    answers = answers_of(network, few, kind)
    return f"{identity(network, before)} {answers}"


def _drawn(network: nn.Module, kind: Kind, *, consumed: bool) -> Drawn:
    if kind == "unkeyed":
        return "elsewhere"
    if kind == "deterministic":
        return "nothing"
    if not any(isinstance(module, RandomNetwork) for module in network.modules()):
        return "generator"
    return "keys and generator" if consumed else "keys"


def _generators(x: Tensor) -> list[Tensor]:
    """States of torch's global generators that a network on the device of ``x`` could draw from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(x.device)] if x.is_cuda else [])]
