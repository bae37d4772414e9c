"""The attacks of the Adversarial Robustness Toolbox (ART)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.attacks.parts.libraries import Run, chosen, made, run_apart
from variate.errors import UsageError
from variate.inputs.budget import ORDERS, Budget
from variate.optional import imported
from variate.oracle.oracle import GradientOracle
from variate.registry import attack

USUAL = {
    "linf": "ProjectedGradientDescent",
    "l2": "ProjectedGradientDescent",
    "l1": "ProjectedGradientDescent",
    "l0": "SaliencyMapMethod",
}
AIMS = ("SaliencyMapMethod",)  # the labels that it is given are always those to reach; it takes any without
PROBABILITIES = ("NewtonFool", "SimBA", "VirtualAdversarialMethod")  # what these take the outputs for
OWN_STEPS = ("AutoProjectedGradientDescent", "AutoConjugateGradient", "RescalingAutoConjugateGradient")
STEPS = 2.5  # times eps / max_iter: the length of a step, as in pgd


@attack(
    access="gradient",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image",),
    cite="Nicolae et al. 2018, arXiv:1807.01069; and the source of the attack that it names",
    targeted=True,
    variants={
        "linf": (
            "ProjectedGradientDescent",
            "ProjectedGradientDescentNumpy",
            "ProjectedGradientDescentPyTorch",
            "AutoProjectedGradientDescent",
            "AutoConjugateGradient",
            "RescalingAutoConjugateGradient",
            "BasicIterativeMethod",
            "MomentumIterativeMethod",
            "FastGradientMethod",
            "CarliniLInfMethod",
            "SquareAttack",
        ),
        "l2": (
            "ProjectedGradientDescent",
            "ProjectedGradientDescentNumpy",
            "ProjectedGradientDescentPyTorch",
            "AutoProjectedGradientDescent",
            "AutoConjugateGradient",
            "RescalingAutoConjugateGradient",
            "MomentumIterativeMethod",
            "FastGradientMethod",
            "CarliniL2Method",
            "DeepFool",
            "NewtonFool",
            "VirtualAdversarialMethod",
            "SquareAttack",
            "SimBA",
            "SignOPTAttack",
            "ZooAttack",
        ),
        "l1": (
            "ProjectedGradientDescent",
            "ProjectedGradientDescentNumpy",
            "ProjectedGradientDescentPyTorch",
            "AutoProjectedGradientDescent",
            "AutoConjugateGradient",
            "RescalingAutoConjugateGradient",
            "MomentumIterativeMethod",
            "FastGradientMethod",
            "ElasticNet",
        ),
        "l0": (
            "SaliencyMapMethod",
            "CarliniL0Method",
            "PixelAttack",
        ),
    },
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
        attack: the class, such as ``CarliniL2Method``; projected gradient descent without one (the saliency
            map in l0). Not listed are those that draw random numbers that no seed reaches
            (``BoundaryAttack``, ``HopSkipJump``), perturb a whole batch alike, or need more than a classifier.
        one_by_one: run each example alone. Several attacks of the library couple the examples of a batch, by one
            generator or by when they stop; False is faster, and a result then depends on its batch.
        options: of the class: ``max_iter=40``. Without ``eps_step`` a step is 2.5 * eps / max_iter long, eps for
            attacks that choose their own steps from there.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); the input itself where nothing was found.

    Raises:
        UsageError: where ART is not installed, or has no such attack or option; AttackError where it fails.
    """
    name = attack or USUAL[budget.norm]
    kind = chosen("art", name, budget.norm, attacks_of(imported("art.attacks.evasion", "art")))
    run = _runs(kind, options, budget)
    return run_apart(oracle, x, y, target, budget=budget, name=f"art's {name}", run=run, one_by_one=one_by_one)


def attacks_of(library: ModuleType) -> dict[str, type]:
    """The attacks on classifiers that need nothing but the classifier to be made, by name."""
    evasion, classifier = imported("art.attacks", "art").EvasionAttack, _classifier()
    return {
        name: kind
        for name, kind in vars(library).items()
        if inspect.isclass(kind)
        and issubclass(kind, evasion)
        and not inspect.isabstract(kind)
        and _all_in(getattr(kind, "_estimator_requirements", None) or (), classifier.__mro__)
        and all(parameter.default is not parameter.empty for parameter in _parameters(kind)[1:])
    }


def _runs(kind: type, options: Mapping[str, Any], budget: Budget) -> Run:
    names = [parameter.name for parameter in _parameters(kind)]

    def run(module: nn.Module, x: Tensor, y: Tensor, target: Tensor | None) -> Tensor | None:
        if target is not None and "targeted" not in names and kind.__name__ not in AIMS:
            raise UsageError(f"art's {kind.__name__} cannot aim at a label")
        estimator = _estimator(nn.Sequential(module, nn.Softmax(1)) if kind.__name__ in PROBABILITIES else module, x)
        given = {
            names[0]: estimator,
            "norm": ORDERS[budget.norm],
            "eps": budget.eps,
            "eps_step": _step(kind, options, budget.eps),
            "targeted": target is not None,
            "batch_size": len(x),
            "verbose": False,
        }
        labels = target if target is not None or kind.__name__ in AIMS else y
        hot = None if labels is None else F.one_hot(labels, estimator.nb_classes).float().cpu().numpy()
        found = made("art", kind, options, given).generate(x=x.cpu().numpy().astype(np.float32), y=hot)
        return None if found is None else torch.as_tensor(found)

    return run


def _estimator(module: nn.Module, x: Tensor) -> Any:
    """ART's view of the network. It must know how many classes there are: that is one question, counted as such."""
    with torch.no_grad():
        classes = module(x).shape[1]
    return _classifier()(
        module,
        nn.CrossEntropyLoss(),
        tuple(x.shape[1:]),
        classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if x.is_cuda else "cpu",
    )


def _step(kind: type, options: Mapping[str, Any], eps: float) -> float:
    """The length of a step, where the user gave none."""
    usual = {parameter.name: parameter.default for parameter in _parameters(kind)}
    if kind.__name__ in OWN_STEPS or "max_iter" not in usual:
        return eps
    return STEPS * eps / max(1, int(options.get("max_iter", usual["max_iter"])))


def _classifier() -> Any:
    return imported("art.estimators.classification", "art").PyTorchClassifier


def _parameters(kind: type) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


def _all_in(requirements: Sequence[Any], classes: Sequence[type]) -> bool:
    """Whether a classifier is all that an attack requires; a tuple is met by any of its parts."""
    return all(any(one in classes for one in (part if isinstance(part, tuple) else (part,))) for part in requirements)
