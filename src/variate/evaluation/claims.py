"""What an evaluation says in the records: of which network and inputs, and what was done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from variate.errors import InputError, unknown_name
from variate.evaluation.plan import Plan, Target
from variate.evaluation.suites import Suite
from variate.hashing import fingerprint
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.inputs.validation import checked_logits
from variate.random.identity import identity, plain, settings_of
from variate.random.network import RandomNetwork
from variate.random.seeding import Kind, kind_of, left_as_found
from variate.records.rows import CLEAN
from variate.records.schema import Claim, Convergence, Drawn, Part
from variate.statistics.rates import Deployment


@dataclass(frozen=True)
class Look:
    """What one look at a network tells.

    Attributes:
        kind: of its randomness.
        fingerprint: of all of it that can change its answers.
        drawn: where its randomness comes from.
        alone: whether its answer to an example does not depend on what else is in the batch: it draws from no generator
            whose numbers go round the batch, and normalizes by no statistics of the batch.
        classes: how many logits it returns.
    """

    kind: Kind
    fingerprint: str
    drawn: Drawn
    alone: bool
    classes: int


def look_at(network: nn.Module, x: Tensor) -> Look:
    """Ask a network once about two inputs, shape (B, ...). Raises ``InputError`` for inputs that it cannot take."""
    few = x[:2].to(device_of(network, x))
    parameter = next(network.parameters(), few)
    if parameter.dtype != few.dtype:
        raise InputError(
            f"x is {few.dtype}, and the network's parameters are {parameter.dtype}",
            todo=f"pass x.to({parameter.dtype})",
        )
    before = settings_of(network)
    with torch.no_grad(), left_as_found(network):
        generators = _generators(few)
        try:
            outputs = network(few)
        except RuntimeError as error:
            raise InputError(f"the network cannot take inputs of shape {tuple(few.shape)}: {error}") from error
        consumed = not all(map(torch.equal, generators, _generators(few)))
    classes = checked_logits(outputs, few).shape[1]
    kind = kind_of(network, few)
    drawn = _drawn(network, kind, consumed=consumed)
    alone = drawn in ("nothing", "keys") and not _normalizes_by_batch(network)
    return Look(kind, identity(network, before), drawn, alone, classes)


def device_of(network: nn.Module, x: Tensor) -> torch.device:
    """Where the network is; the inputs are brought there batch by batch."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), x.device)


def judged(
    look: Look, inputs: str, modality: Modality, *, name: str, seed: int, batch_size: int, memory: int | None
) -> dict[str, Any]:
    """What a measurement is made on, as the fields of ``variate.records.schema.Judged``.

    Args:
        look: at the network.
        inputs: fingerprint of inputs and labels.
        modality: of the inputs, with all that it knows of them.
        name: of the network, which is only shown.
        seed: of the search and of the verdict.
        batch_size: examples at a time.
        memory: the most bytes at once.
    """
    return {
        "network": name,
        "fingerprint": look.fingerprint,
        "inputs": inputs,
        "modality": name_of(modality),
        "allowed": fingerprint_of(modality),
        "drawn": look.drawn,
        "seed": seed,
        "batch_size": None if look.alone else batch_size,
        "memory": None if look.alone else memory,
        "date": datetime.now(UTC).date().isoformat(),
    }


def fingerprint_of(modality: Modality) -> str:
    """A hash of a modality with all its fields: what may be changed, into what, in which unit."""
    return fingerprint([torch.tensor(list(repr(plain(modality)).encode()), dtype=torch.uint8)])


def claim_of(
    facts: Mapping[str, Any],
    target: Target,
    plan: Plan | Suite,
    budget: Budget,
    ways: Sequence[Deployment],
) -> Claim:
    """What the records say of one attack or suite.

    Args:
        facts: those of ``judged``, and the claim's number of verdict draws, part, owner and group.
        target: the network.
        plan: what is run.
        budget: the norm and the size.
        ways: to deploy it.
    """
    random = target.kind != "deterministic"
    held = _held(target, plan)
    return Claim(
        **{**facts, "verdict_draws": facts["verdict_draws"] if random else 1},
        attack=plan.attack,
        options={**plan.choices(), **held},
        settings={**plain_options(plan.settings()), **held},
        budget=None if plan.attack == CLEAN else budget.text,
        draws=plan.draws if random else min(plan.draws, 1),
        deployments=[str(way) for way in ways],
    )


def convergence_of(facts: Mapping[str, Any], pilot: Plan, budget: Budget, examples: int) -> Convergence:
    """What the records say of a search for the number of draws, before it is done."""
    told = plain_options(pilot.settings())
    return Convergence(**facts, attack=pilot.attack, settings=told, budget=budget.text, examples=examples)


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON can hold them."""
    return {name: plain(value) for name, value in options.items()}


def check_part(part: str) -> None:
    """Whether reports have such a part. Raises ``UsageError``."""
    if part not in get_args(Part):
        raise unknown_name("part of a report", part, get_args(Part))


def _held(target: Target, plan: Plan | Suite) -> dict[str, Any]:
    """The networks that an attacker was given, by their fingerprints."""
    if not target.sources:
        return {}
    if isinstance(plan, Suite):
        return {"sources": {name: identity(held) for name, held in target.sources.items()}}
    return {"source": f"{plan.source or 'all'} {identity(target.held(plan.source))}"} if plan.holds else {}


def _drawn(network: nn.Module, kind: Kind, *, consumed: bool) -> Drawn:
    if kind == "unkeyed":
        return "elsewhere"
    if kind == "deterministic":
        return "nothing"
    if not any(isinstance(part, RandomNetwork) for part in network.modules()):
        return "generator"
    return "keys and generator" if consumed else "keys"


def _normalizes_by_batch(network: nn.Module) -> bool:
    """Whether a part computes statistics of the batch."""
    parts = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    return any(part.training or part.running_mean is None for part in parts)


def _generators(x: Tensor) -> list[Tensor]:
    """The states of torch's global generators that a network beside these inputs could draw from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(x.device)] if x.is_cuda else [])]
