"""Conformance of a modality: what attacks make of its inputs is allowed and within the budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import AttackError
from variate.evaluation.plan import Plan, Target, bounds, check_contract, perturb
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
    """Whether every attack that is declared for a modality respects it. Raises ``AssertionError`` with all findings.

    Each attack is run within each budget that it bounds, with the options of its ``quick``: what comes out must be
    allowed inputs within the budget, the originals must be as they were, a budget of nothing must give them back, and
    the input that the modality itself makes of an input must be the input.

    Args:
        modality: told what it must know.
        network: that takes its inputs, random or not.
        x: a few inputs, shape (B, ...).
        y: labels, shape (B,).
        budgets: such as ``snr:20dB``.
        attacks: by name; all that are registered without them.
    """
    names = attacks if attacks is not None else list(registry.entries("attacks"))
    findings = list(modality.findings(x))
    for text in budgets:
        budget = Budget.parse(text)
        fitting = [name for name in names if bounds(name, budget, modality)]
        if not fitting:
            findings.append(f"{text}: no attack on {name_of(modality)} inputs bounds it")
        findings += [f"{text}, {finding}" for finding in _reaches(modality, network, x, budget)]
        findings += [
            f"{text}, {name}: {found}" for name in fitting for found in _kept(modality, network, x, y, budget, name)
        ]
    conform(f"modality {name_of(modality)}", findings)


def _reaches(modality: Modality, network: nn.Module, x: Tensor, budget: Budget) -> Iterator[str]:
    """An input is its own point; points anywhere give allowed inputs of the same shape."""
    whole = modality.prepared(x, budget, network)
    reach = modality.reach(whole, budget)
    if not torch.equal(reach.inputs(whole), whole):
        yield "an input is not the input at its own point"
    if not bool(reach.contains(whole).all()) or float(reach.distance(whole).abs().max()) > 0:
        yield "an input is not within the budget of itself, or not at distance 0"
    if reach.budget.norm in NORMS:
        anywhere = torch.rand(whole.shape, generator=torch.Generator().manual_seed(0)).to(whole)
        if not bool(reach.contains(reach.inputs(reach.budget.project(anywhere, whole))).all()):
            yield "a point within the budget gives an input that is not allowed"


def _kept(modality: Modality, network: nn.Module, x: Tensor, y: Tensor, budget: Budget, name: str) -> Iterator[str]:
    """What one attack makes of the inputs."""
    whole = modality.prepared(x, budget, network)
    before = whole.clone()
    target = Target(network, kind_of(network, whole), name=name, modality=modality)
    plan = Plan(name, DRAWS, dict(registry.get("attacks", name).facts["quick"]))
    perturbed, _ = perturb(target, plan, budget, whole, y, checked=False)
    try:
        check_contract(name, perturbed, modality.reach(before, budget), budget)
    except AttackError as error:
        yield "; ".join([str(error), *error.findings])
    if not torch.equal(whole, before):
        yield "it changes its inputs in place"
