"""Evaluate a network: attack it through an oracle, judge what comes out on fresh draws, keep every answer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from variate import registry
from variate.budget import Budget
from variate.draws import Kind, kind_of, left_as_found
from variate.errors import AttackError, UsageError, unknown_name
from variate.fingerprint import fingerprint
from variate.inputs import check_classes, check_inputs
from variate.judge import check_draws, judge
from variate.network import RandomNetwork
from variate.oracle import ORACLES, GradientOracle, Oracle, checked_logits
from variate.progress import Report, progress
from variate.randomness import Stream
from variate.rates import Deployment
from variate.record import Claim, Example, Picture, Records, pack
from variate.result import CLEAN, Result, result_of

DEPLOYMENTS = ("single", "mean-16", "majority-16", "survive-10")
PICTURES = 6


@dataclass(frozen=True)
class Plan:
    """One attack to run: its name, the draws that its oracle averages over, and its own options."""

    attack: str
    draws: int
    options: dict[str, Any]

    @classmethod
    def of(cls, wanted: str | Mapping[str, Any], draws: int) -> Plan:
        """From a name or a mapping such as ``{"name": "pgd", "draws": 1, "steps": 40}``. Raises ``UsageError``."""
        given: dict[str, Any] = {"name": wanted} if isinstance(wanted, str) else dict(wanted)
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise UsageError(f"the attack {wanted!r} has no name", expected="a name, or a mapping with a 'name'")
        number = given.pop("draws", draws)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"{name} cannot average over {number!r} draws", expected="a whole number of draws from 1")
        if name != CLEAN:
            options = attack_options(name)
            for option in given:
                if option not in options:
                    raise unknown_name(f"option of {name}", option, options)
        access = "none" if name == CLEAN else registry.get("attacks", name).facts["access"]
        return cls(name, 0 if access == "none" else number, given)


def attack_options(name: str) -> list[str]:
    """The names of an attack's own options."""
    parameters = inspect.signature(registry.get("attacks", name).load()).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ("budget", "source")]


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
    source: nn.Module | None = None,
    records: Records | str | Path | None = None,
    name: str = "network",
    part: str = "table",
    pictures: bool = False,
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
        source: the network to transfer from; the mean network of a random one, and the network itself otherwise.
        records: where every answer is kept: a path (what is there already is not computed again) or ``Records``.
        name: the network's name in the records.
        part: the part of a report that the claims belong to.
        pictures: whether to keep a few adversarial inputs for the report.
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
    check_draws(ways, verdict_draws)
    check_inputs(x, y)
    network_kind = _checked_kind(network, x, y)
    store = records if isinstance(records, Records) else Records(records)
    target = _Target(network, network_kind, source, seed, fingerprint(network.state_dict()), name)
    claims = [_claim(target, plan, parsed, x, y, ways, verdict_draws, part) for plan in plans]
    with left_as_found(network):
        for plan, claim in zip(plans, claims, strict=True):
            store.add([claim])
            with progress(f"{name}: {claim.attack}", len(x), "examples", show=show_progress) as report:
                _run(target, plan, claim, x, y, ways, store, batch_size, pictures, report)
    return result_of(store, claims)


@dataclass(frozen=True)
class _Target:
    network: nn.Module
    kind: Kind
    source: nn.Module | None
    seed: int
    fingerprint: str
    name: str

    def source_network(self) -> nn.Module:
        """The network that a transfer attack holds."""
        if self.source is not None:
            return self.source
        if isinstance(self.network, RandomNetwork):
            return self.network.mean()
        if self.kind == "deterministic":
            return self.network
        raise UsageError(
            "transfer needs a source network: this one is random and has no mean network",
            todo="pass source=, a network that the attacker could hold",
        )


def _run(
    target: _Target,
    plan: Plan,
    claim: Claim,
    x: Tensor,
    y: Tensor,
    ways: Sequence[Deployment],
    store: Records,
    batch_size: int,
    pictures: bool,
    report: Report,
) -> None:
    """Attack and judge the examples that the records do not hold yet, batch by batch."""
    done = store.examples.get(claim.id, {})
    todo = [i for i in range(len(x)) if i not in done]
    budget = Budget.parse(claim.budget) if claim.budget else None
    for start in range(0, len(todo), batch_size):
        chosen = torch.tensor(todo[start : start + batch_size], device=x.device)
        originals, labels = x[chosen], y[chosen].long()
        perturbed, oracle = originals, None
        if budget is not None:
            perturbed, oracle = _attack(target, plan, budget, originals, labels)
        right = judge(
            target.network,
            perturbed,
            labels,
            deployments=ways,
            draws=claim.verdict_draws,
            stream=Stream("verdict", target.seed),
            kind=target.kind,
        )
        distance = budget.distance(perturbed, originals).tolist() if budget else [0.0] * len(originals)
        queries = oracle.queries if oracle else None
        lines: list[Example | Picture] = [
            Example(
                claim=claim.id,
                example=int(example),
                label=int(labels[j]),
                answers={source: pack(bits[:, j]) for source, bits in right.items()},
                distance=round(distance[j], 7),
                forwards=queries.forwards if queries else 0,
                backwards=queries.backwards if queries else 0,
            )
            for j, example in enumerate(chosen.tolist())
        ]
        if pictures and budget is not None and x.dim() == 4:
            lines += [_picture(claim, int(i), y, x, perturbed[j]) for j, i in enumerate(chosen) if i < PICTURES]
        store.add(lines)
        report(len(x) - len(todo) + start + len(chosen))


def _attack(target: _Target, plan: Plan, budget: Budget, x: Tensor, y: Tensor) -> tuple[Tensor, Oracle]:
    """Run one attack on one batch and hold it to its contract."""
    entry = registry.get("attacks", plan.attack)
    if budget.norm not in entry.facts["norms"]:
        raise UsageError(
            f"{plan.attack} has no {budget.norm} version", expected=f"a budget in {', '.join(entry.facts['norms'])}"
        )
    oracle = ORACLES[entry.facts["access"]](
        target.network,
        draws=max(plan.draws, 1),  # an attack that asks nothing has none
        stream=Stream("search", target.seed),
        kind=target.kind,
        seed=target.seed,
    )
    function = entry.load()
    options = dict(plan.options)
    if "source" in inspect.signature(function).parameters:
        held = GradientOracle(target.source_network(), stream=Stream("search", target.seed), seed=target.seed)
        options["source"] = partial(registry.get("attacks", "pgd").load(), held)
    perturbed = cast(Tensor, function(oracle, x, y, budget=budget, **options)).detach()
    check_contract(plan.attack, perturbed, x, budget)
    return perturbed, oracle


def check_contract(attack: str, perturbed: Tensor, x: Tensor, budget: Budget) -> None:
    """Whether an attack kept to shape, budget and range. Raises ``AttackError``."""
    if perturbed.shape != x.shape:
        raise AttackError(f"{attack} returned shape {tuple(perturbed.shape)}", expected=f"{tuple(x.shape)}")
    outside = int((~budget.contains(perturbed, x)).sum())
    if outside:
        farthest = float(budget.distance(perturbed, x).amax())
        raise AttackError(
            f"{attack} left the budget {budget} or [0, 1] on {outside} of {len(x)} examples",
            findings=[
                f"the farthest is {farthest:.6g} away; values run from {perturbed.min():.4g} to {perturbed.max():.4g}"
            ],
            expected=f"inputs within {budget} of the originals and inside [0, 1]",
        )


def _checked_kind(network: nn.Module, x: Tensor, y: Tensor) -> Kind:
    """The network's kind of randomness, after one look at what it returns for two examples."""
    few = x[:2]
    with torch.no_grad(), left_as_found(network):
        classes = checked_logits(network(few), few).shape[1]
    check_classes(y, classes)
    return kind_of(network, few)


def _claim(
    target: _Target,
    plan: Plan,
    budget: Budget,
    x: Tensor,
    y: Tensor,
    ways: Sequence[Deployment],
    verdict_draws: int,
    part: str,
) -> Claim:
    random = target.kind != "deterministic"
    options = dict(plan.options)
    if plan.attack == "transfer" and target.source is not None:
        options["source"] = fingerprint(target.source.state_dict())
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


def _picture(claim: Claim, example: int, y: Tensor, x: Tensor, perturbed: Tensor) -> Picture:
    def pixels(image: Tensor) -> str:
        return (image.detach().cpu() * 255).round().byte().numpy().tobytes().hex()

    return Picture(
        claim=claim.id,
        example=example,
        label=int(y[example]),
        shape=list(x.shape[1:]),
        original=pixels(x[example]),
        adversarial=pixels(perturbed),
    )
