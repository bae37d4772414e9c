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

from variate.attacks.parts.libraries import Run, attack_class, instantiate, run_isolated
from variate.errors import UsageError
from variate.inputs.budget import ORDERS, Budget
from variate.optional import imported
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

DEFAULT = {
    "linf": "ProjectedGradientDescent",
    "l2": "ProjectedGradientDescent",
    "l1": "ProjectedGradientDescent",
    "l0": "SaliencyMapMethod",
}
TARGETED_ONLY = ("SaliencyMapMethod",)  # its labels are always targets; without labels it takes any class
PROBABILITIES = ("NewtonFool", "SimBA", "VirtualAdversarialMethod")  # these expect probabilities instead of logits
OWN_STEPS = ("AutoProjectedGradientDescent", "AutoConjugateGradient", "RescalingAutoConjugateGradient")
STEPS = 2.5  # length of a step is STEPS * eps / max_iter, as in pgd


@attack(
    access="gradient",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image",),
    cite="Nicolae et al. 2018, arXiv:1807.01069; and the source of the selected attack",
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
    tasks=("classes", "binary"),
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
    """Run an attack of ART on scores averaged over fixed draws; the result is judged like any other.

    The library sees a deterministic module in float32: the average over K draws. Its result is tuned to these draws;
    the verdict uses others. Attacks with options ``norm`` and ``eps`` get those of the budget; the results of all are
    projected into the budget.

    Args:
        oracle: provides the network as a module.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        attack: name of the class, such as ``CarliniL2Method``; by default projected gradient descent
            (the saliency map in l0). Attacks are left out that use random numbers no seed controls
            (``BoundaryAttack``, ``HopSkipJump``), perturb a whole batch alike, or need more than a classifier.
        one_by_one: run each example alone. Several attacks of the library couple the examples of a batch, through a
            shared generator or stopping rule; False is faster, but results then depend on the batch.
        options: options of the class, such as ``max_iter=40``. ``eps_step`` defaults to 2.5 * eps / max_iter, and to
            eps for attacks that adapt their step size.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); the input where the attack finds nothing.

    Raises:
        UsageError: if ART is not installed or has no such attack or option.
        AttackError: if the attack fails.
    """
    name = attack or DEFAULT[budget.norm]
    kind = attack_class("art", name, budget.norm, attacks_of(imported("art.attacks.evasion", "art")))
    run = _runs(kind, options, budget)
    return run_isolated(oracle, x, y, target, budget=budget, name=f"art's {name}", run=run, one_by_one=one_by_one)


def attacks_of(library: ModuleType) -> dict[str, type]:
    """The attacks that take a classifier and no other required argument, by name."""
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
        if target is not None and "targeted" not in names and kind.__name__ not in TARGETED_ONLY:
            raise UsageError(f"art's {kind.__name__} does not support target labels")
        estimator = _estimator(nn.Sequential(module, nn.Softmax(1)) if kind.__name__ in PROBABILITIES else module, x)
        defaults = {
            names[0]: estimator,
            "norm": ORDERS[budget.norm],
            "eps": budget.eps,
            "eps_step": _step(kind, options, budget.eps),
            "targeted": target is not None,
            "batch_size": len(x),
            "verbose": False,
        }
        labels = target if target is not None or kind.__name__ in TARGETED_ONLY else y
        one_hot = None if labels is None else F.one_hot(labels, estimator.nb_classes).float().cpu().numpy()
        perturbed = instantiate("art", kind, options, defaults).generate(
            x=x.cpu().numpy().astype(np.float32), y=one_hot
        )
        return None if perturbed is None else torch.as_tensor(perturbed)

    return run


def _estimator(module: nn.Module, x: Tensor) -> Any:
    """Wrap the network for ART, which needs the number of classes: one forward pass, counted as a query."""
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
    """Default length of a step."""
    defaults = {parameter.name: parameter.default for parameter in _parameters(kind)}
    if kind.__name__ in OWN_STEPS or "max_iter" not in defaults:
        return eps
    return STEPS * eps / max(1, int(options.get("max_iter", defaults["max_iter"])))


def _classifier() -> Any:
    return imported("art.estimators.classification", "art").PyTorchClassifier


def _parameters(kind: type) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


def _all_in(requirements: Sequence[Any], classes: Sequence[type]) -> bool:
    """Whether a classifier meets all requirements of an attack; any member of a tuple meets it."""
    return all(
        any(option in classes for option in (need if isinstance(need, tuple) else (need,))) for need in requirements
    )
