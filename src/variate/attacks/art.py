"""The attacks of the Adversarial Robustness Toolbox (ART)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from variate.attacks._libraries import Run, chosen, imported, made, run_apart
from variate.budget import ORDERS, Budget
from variate.oracle import GradientOracle
from variate.registry import attack

USUAL = {
    "linf": "ProjectedGradientDescent",
    "l2": "ProjectedGradientDescent",
    "l1": "ProjectedGradientDescent",
    "l0": "SaliencyMapMethod",
}
AIMS = ("SaliencyMapMethod",)  # the labels that it is given are always those to reach; it takes any without
STEPS = 2.5  # times eps / max_iter: the length of a step, as in pgd


@attack(
    access="gradient",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image",),
    cite="Nicolae et al. 2018, arXiv:1807.01069; and the source of the attack that it names",
    targeted=True,
    variants={"linf": (), "l2": (), "l1": (), "l0": ()},
)
def art(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    attack: str = "",
    one_by_one: bool = True,
    **options: Any,
) -> Tensor:
    """An attack of ART, on the scores averaged over draws that stay the same; judged by us like any other.

    The library sees a deterministic module in float32: the average over K draws. What it finds fits these draws, and
    the verdict is spoken on others. An attack that has them gets the budget's ``norm`` and ``eps``; what the others
    find is projected into the budget.

    Args:
        oracle: lends the network.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        attack: the class, such as ``AutoProjectedGradientDescent``; projected gradient descent without one, in l0 the
            saliency map.
        one_by_one: run each example alone. Several attacks of the library couple the examples of a batch, by one
            generator or by when they stop; False is faster, and a result then depends on its batch.
        options: of the class: ``max_iter=40``. Without ``eps_step`` a step is 2.5 * eps / max_iter long, eps for
            attacks that choose their own steps from there.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); the input itself where nothing was found.

    Raises:
        UsageError: where ART is not installed, or has no such attack or option; AttackError where it fails.
    """
    library = imported("art.attacks.evasion", "art")
    name = attack or USUAL[budget.norm]
    kind = chosen("art", name, budget.norm, attacks_of(library))
    made("art", kind, {}, {})

    def run(module: nn.Module, x: Tensor, y: Tensor, target: Tensor | None) -> Tensor | None:
        ...

    return run_apart(oracle, x, y, target, budget=budget, name=f"art's {name}", run=run, one_by_one=one_by_one)
