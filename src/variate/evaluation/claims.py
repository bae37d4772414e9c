"""The identifying facts of an evaluation in the records: network, inputs, attack and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from variate.errors import unknown_name
from variate.evaluation.plan import Plan, Target
from variate.evaluation.suites import Suite
from variate.hashing import fingerprint
from variate.inputs.asking import asked
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.random.identity import identity, plain, settings_of
from variate.random.network import RandomNetwork
from variate.random.seeding import Kind, input_type, kind_of, left_as_found
from variate.records.rows import CLEAN
from variate.records.schema import Claim, Convergence, Drawn, Part
from variate.statistics.rates import Deployment


@dataclass(frozen=True)
class Look:
    """What one forward pass reveals about a network.

    Attributes:
        kind: kind of randomness.
        fingerprint: hash of everything that can change the answers.
        drawn: source of the randomness.
        alone: whether the answer to an example is independent of the rest of the batch: the network draws no noise for
            the batch as a whole from a generator, and does not normalize by batch statistics.
        classes: number of logits, K.
    """

    kind: Kind
    fingerprint: str
    drawn: Drawn
    alone: bool
    classes: int


def look_at(network: nn.Module, x: Tensor) -> Look:
    """Run a network once on the first two of ``x``, (B, ...). Raises ``InputError`` for inputs that it cannot take."""
    few = x[:2].to(device_of(network, x))
    few = few.to(input_type(network, few))
    before = settings_of(network)
    with torch.no_grad(), left_as_found(network):
        generators = _generators(few)
        outputs = asked(network, few)
        consumed = not all(map(torch.equal, generators, _generators(few)))
    classes = outputs.shape[1]
    kind = kind_of(network, few)
    drawn = _drawn(network, kind, consumed=consumed)
    alone = drawn in ("nothing", "keys") and not _normalizes_by_batch(network)
    return Look(kind, identity(network, before), drawn, alone, classes)


def device_of(network: nn.Module, x: Tensor) -> torch.device:
    """Device of the network, to which inputs are moved batch by batch."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), x.device)


def judged(
    look: Look, inputs: str, modality: Modality, *, name: str, seed: int, batch_size: int, memory: int | None
) -> dict[str, Any]:
    """What a measurement is made on, as the fields of ``variate.records.schema.Judged``.

    Args:
        look: result of ``look_at`` on the network.
        inputs: fingerprint of inputs and labels.
        modality: modality of the inputs, with its details.
        name: name of the network, for display only.
        seed: seed of the search and of the verdict.
        batch_size: examples per batch.
        memory: memory limit in bytes; None for no limit.
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
    """Hash of a modality with all its fields: what may be changed, into what, and in which unit."""
    return fingerprint([torch.tensor(list(repr(plain(modality)).encode()), dtype=torch.uint8)])


def claim_of(
    facts: Mapping[str, Any],
    target: Target,
    plan: Plan | Suite,
    budget: Budget,
    deployments: Sequence[Deployment],
) -> Claim:
    """The record of one attack or suite, without its answers.

    Args:
        facts: those of ``judged``, with the claim's number of verdict draws, part, owner and group.
        target: the network.
        plan: attack or suite to run.
        budget: norm and size.
        deployments: ways to use the network.
    """
    random = target.kind != "deterministic"
    sources = _source_fingerprints(target, plan)
    return Claim(
        **{**facts, "verdict_draws": facts["verdict_draws"] if random else 1},
        attack=plan.attack,
        options={**plan.choices(), **sources},
        settings={**plain_options(plan.settings()), **sources},
        budget=None if plan.attack == CLEAN else budget.text,
        draws=plan.draws if random else min(plan.draws, 1),
        deployments=[str(deployment) for deployment in deployments],
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


def _source_fingerprints(target: Target, plan: Plan | Suite) -> dict[str, Any]:
    """Fingerprints of the networks that the attacker holds."""
    if not target.sources:
        return {}
    if isinstance(plan, Suite):
        return {"sources": {name: identity(network) for name, network in target.sources.items()}}
    return {"source": f"{plan.source or 'all'} {identity(target.held(plan.source))}"} if plan.holds else {}


def _drawn(network: nn.Module, kind: Kind, *, consumed: bool) -> Drawn:
    if kind == "unkeyed":
        return "elsewhere"
    if kind == "deterministic":
        return "nothing"
    if not any(isinstance(module, RandomNetwork) for module in network.modules()):
        return "generator"
    return "keys and generator" if consumed else "keys"


def _normalizes_by_batch(network: nn.Module) -> bool:
    """Whether any module normalizes by statistics of the batch."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return any(norm.training or norm.running_mean is None for norm in norms)


def _generators(x: Tensor) -> list[Tensor]:
    """States of torch's global generators that a network on the device of ``x`` could draw from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(x.device)] if x.is_cuda else [])]
