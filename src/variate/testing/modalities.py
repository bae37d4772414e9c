"""Conformance suite for modalities: attacks return valid inputs within the budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import AttackError
from variate.evaluation.fitting import bounds
from variate.evaluation.plan import Plan, check_contract, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import NORMS, Budget
from variate.inputs.modality import Modality, name_of
from variate.random.seeding import kind_of
from variate.testing.findings import conform

DRAWS = 2


def check_modality(
    modality: Modality,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    budgets: Sequence[str],
    *,
    attacks: Sequence[str] | None = None,
) -> None:
    """Check that every attack declared for a modality respects it. Raises ``AssertionError`` with every violation.

    Each attack runs within each budget that it supports, with the options of its ``quick``. Its results must be valid
    inputs within the budget, the originals must not change, a budget of zero must return them, and the modality must
    map an input to itself.

    Args:
        modality: the modality, with its options set.
        network: a network for its inputs, random or not.
        x: a few inputs, shape (B, ...).
        y: labels, shape (B,).
        budgets: budgets, such as ``snr:20dB``.
        attacks: names of attacks; all registered ones if None.
    """
    names = attacks if attacks is not None else list(registry.entries("attacks"))
    findings = list(modality.findings(x))
    for text in budgets:
        budget = Budget.parse(text)
        fitting = [name for name in names if bounds(name, budget, modality)]
        if not fitting:
            findings.append(f"{text}: no attack on {name_of(modality)} inputs supports this budget")
        findings += [f"{text}, {finding}" for finding in _reaches(modality, network, x, budget)]
        findings += [
            f"{text}, {name}: {finding}"
            for name in fitting
            for finding in _respects(modality, network, x, y, budget, name)
        ]
    conform(f"modality {name_of(modality)}", findings)


def _reaches(modality: Modality, network: nn.Module, x: Tensor, budget: Budget) -> Iterator[str]:
    """An input maps to itself, and any point maps to a valid input of the same shape."""
    prepared = modality.prepared(x, budget, network)
    reach = modality.reach(prepared, budget)
    if not torch.equal(reach.inputs(prepared), prepared):
        yield "an input does not map to itself"
    if not bool(reach.contains(prepared).all()) or float(reach.distance(prepared).abs().max()) > 0:
        yield "an input is not within the budget around itself, or not at distance 0 from itself"
    if reach.budget.norm in NORMS:
        anywhere = torch.rand(prepared.shape, generator=torch.Generator().manual_seed(0)).to(prepared)
        if not bool(reach.contains(reach.inputs(reach.budget.project(anywhere, prepared))).all()):
            yield "a point within the budget maps to an invalid input"


def _respects(modality: Modality, network: nn.Module, x: Tensor, y: Tensor, budget: Budget, name: str) -> Iterator[str]:
    """The results of one attack are valid, within the budget, and leave the inputs unchanged."""
    prepared = modality.prepared(x, budget, network)
    before = prepared.clone()
    target = Target(network, kind_of(network, prepared), name=name, modality=modality)
    plan = Plan(name, DRAWS, dict(registry.get("attacks", name).facts["quick"]))
    perturbed, _ = perturb(target, plan, budget, prepared, y, checked=False)
    try:
        check_contract(name, perturbed, modality.reach(before, budget), budget)
    except AttackError as error:
        yield "; ".join([str(error), *error.findings])
    if not torch.equal(prepared, before):
        yield "it changes its inputs in place"
