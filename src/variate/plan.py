"""One attack to run: its name and options, the oracle it gets, and the contract that its result is held to."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

from torch import Tensor, nn

from variate import registry
from variate.budget import Budget
from variate.draws import How
from variate.errors import AttackError, UsageError, unknown_name
from variate.keyed import Kind
from variate.network import RandomNetwork
from variate.oracle import ORACLES, GradientOracle, Oracle
from variate.randomness import Stream
from variate.result import CLEAN


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

    def check_norm(self, budget: Budget) -> None:
        """Whether the attack bounds the budget's norm. Raises ``UsageError``."""
        norms = (budget.norm,) if self.attack == CLEAN else registry.get("attacks", self.attack).facts["norms"]
        if budget.norm not in norms:
            raise UsageError(f"{self.attack} has no {budget.norm} version", expected=f"a budget in {', '.join(norms)}")


def attack_options(name: str) -> list[str]:
    """The names of an attack's own options."""
    parameters = inspect.signature(registry.get("attacks", name).load()).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ("budget", "source")]


@dataclass(frozen=True)
class Target:
    """What is attacked: a network, its kind of randomness, its name and fingerprint, and what a transfer may hold."""

    network: nn.Module
    kind: Kind
    source: nn.Module | None
    seed: int
    fingerprint: str
    name: str
    pictures: bool = False
    how: How = "loop"

    @cached_property
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


def perturb(target: Target, plan: Plan, budget: Budget, x: Tensor, y: Tensor) -> tuple[Tensor, Oracle]:
    """``launch``, with the result held to its contract. Raises ``AttackError``."""
    perturbed, oracle = launch(target, plan, budget, x, y)
    check_contract(plan.attack, perturbed, x, budget)
    return perturbed, oracle


def launch(target: Target, plan: Plan, budget: Budget, x: Tensor, y: Tensor) -> tuple[Tensor, Oracle]:
    """Run one attack on one batch through an oracle of its access.

    Args:
        target: the network.
        plan: the attack.
        budget: the norm and the size.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).

    Returns:
        Perturbed inputs, shape (B, ...), and the oracle with its counts.
    """
    entry = registry.get("attacks", plan.attack)
    oracle = ORACLES[entry.facts["access"]](
        target.network,
        draws=max(plan.draws, 1),  # an attack that asks nothing has none
        stream=Stream("search", target.seed),
        kind=target.kind,
        seed=target.seed,
        how=target.how,
    )
    function = entry.load()
    options = dict(plan.options)
    if "source" in inspect.signature(function).parameters:
        held = GradientOracle(target.source_network, stream=Stream("search", target.seed), seed=target.seed)
        options["source"] = partial(registry.get("attacks", "pgd").load(), held)
    perturbed = cast(Tensor, function(oracle, x, y, budget=budget, **options))
    return perturbed.detach(), oracle


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
