"""The attacks of Foolbox."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from variate.attacks.parts.libraries import Run, attack_class, instantiate, run_isolated
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.optional import imported
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

DEFAULT = {
    "linf": "LinfProjectedGradientDescentAttack",
    "l2": "L2ProjectedGradientDescentAttack",
    "l1": "SparseL1DescentAttack",
    "l0": "L0FMNAttack",
}
STEPS = 2.5  # length of a step is STEPS * eps / steps, as in pgd
NO_START = "init_attack failed"  # its message where it finds no start: the example is not broken
NO_AIM = "unsupported criterion"  # its message for an attack that has no targets, or that needs them


@attack(
    access="gradient",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image",),
    cite="Rauber et al. 2020, Journal of Open Source Software 5(53), 2607; and the source of the selected attack",
    targeted=True,
    variants={
        "linf": (
            "LinfProjectedGradientDescentAttack",
            "LinfAdamProjectedGradientDescentAttack",
            "LinfBasicIterativeAttack",
            "LinfAdamBasicIterativeAttack",
            "LinfMomentumIterativeFastGradientMethod",
            "LinfFastGradientAttack",
            "LinfDeepFoolAttack",
            "LInfFMNAttack",
            "HopSkipJumpAttack",
            "LinfAdditiveUniformNoiseAttack",
            "LinfRepeatedAdditiveUniformNoiseAttack",
            "BinarySearchContrastReductionAttack",
            "GaussianBlurAttack",
            "InversionAttack",
            "LinearSearchBlendedUniformNoiseAttack",
            "LinearSearchContrastReductionAttack",
            "PointwiseAttack",
        ),
        "l2": (
            "L2ProjectedGradientDescentAttack",
            "L2AdamProjectedGradientDescentAttack",
            "L2BasicIterativeAttack",
            "L2AdamBasicIterativeAttack",
            "L2MomentumIterativeFastGradientMethod",
            "L2FastGradientAttack",
            "L2DeepFoolAttack",
            "L2FMNAttack",
            "L2CarliniWagnerAttack",
            "DDNAttack",
            "NewtonFoolAttack",
            "VirtualAdversarialAttack",
            "BoundaryAttack",
            "HopSkipJumpAttack",
            "SaltAndPepperNoiseAttack",
            "L2ContrastReductionAttack",
            "L2AdditiveGaussianNoiseAttack",
            "L2AdditiveUniformNoiseAttack",
            "L2ClippingAwareAdditiveGaussianNoiseAttack",
            "L2ClippingAwareAdditiveUniformNoiseAttack",
            "L2RepeatedAdditiveGaussianNoiseAttack",
            "L2RepeatedAdditiveUniformNoiseAttack",
            "L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack",
            "L2ClippingAwareRepeatedAdditiveUniformNoiseAttack",
            "BinarySearchContrastReductionAttack",
            "GaussianBlurAttack",
            "InversionAttack",
            "LinearSearchBlendedUniformNoiseAttack",
            "LinearSearchContrastReductionAttack",
            "PointwiseAttack",
        ),
        "l1": (
            "L1ProjectedGradientDescentAttack",
            "L1AdamProjectedGradientDescentAttack",
            "L1BasicIterativeAttack",
            "L1AdamBasicIterativeAttack",
            "L1MomentumIterativeFastGradientMethod",
            "L1FastGradientAttack",
            "SparseL1DescentAttack",
            "L1FMNAttack",
            "EADAttack",
            "BinarySearchContrastReductionAttack",
            "GaussianBlurAttack",
            "InversionAttack",
            "LinearSearchBlendedUniformNoiseAttack",
            "LinearSearchContrastReductionAttack",
            "PointwiseAttack",
        ),
        "l0": (
            "L0FMNAttack",
            "BinarySearchContrastReductionAttack",
            "GaussianBlurAttack",
            "InversionAttack",
            "LinearSearchBlendedUniformNoiseAttack",
            "LinearSearchContrastReductionAttack",
            "PointwiseAttack",
        ),
    },
    tasks=("classes", "binary"),
)
def foolbox(
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
    """Run an attack of Foolbox on scores averaged over fixed draws; the result is judged like any other.

    The library sees a deterministic module: the average over K draws. Its result is tuned to these draws; the verdict
    uses others. Minimum-norm attacks run without a bound, and their results are projected into the budget.

    Args:
        oracle: provides the network as a module.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        attack: name of the class, such as ``L2DeepFoolAttack``; by default projected gradient descent in the budget's
            norm (sparse descent in l1, the fast minimum-norm attack in l0).
        one_by_one: run each example alone. Several attacks of the library couple the examples of a batch, through a
            shared generator or stopping rule; False is faster, but results then depend on the batch.
        options: options of the class, such as ``steps=100``. Without ``rel_stepsize`` or ``abs_stepsize`` a step is
            2.5 * eps / steps long. The library's own steps are 0.033 * eps in 40 steps of projected gradient descent:
            from a random start they do not reach the other end of the budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); the input where the attack finds nothing.

    Raises:
        UsageError: if Foolbox is not installed or has no such attack or option.
        AttackError: if the attack fails.
    """
    library = imported("foolbox", "foolbox")
    name = attack or DEFAULT[budget.norm]
    kind = attack_class("foolbox", name, budget.norm, attacks_of(library))
    distance = getattr(library.distances, budget.norm)
    defaults = {"distance": distance, "constraint": budget.norm, **_step(kind, options)}
    run = _runs(library, instantiate("foolbox", kind, options, defaults), budget)
    return run_isolated(oracle, x, y, target, budget=budget, name=f"foolbox's {name}", run=run, one_by_one=one_by_one)


def attacks_of(library: ModuleType) -> dict[str, type]:
    """The attacks that have a norm, by name, including aliases."""
    kinds = (library.attacks.base.FixedEpsilonAttack, library.attacks.base.MinimizationAttack)
    return {
        name: kind
        for name, kind in vars(library.attacks).items()
        if inspect.isclass(kind) and issubclass(kind, kinds) and not inspect.isabstract(kind)
    }


def _step(kind: type, options: Mapping[str, Any]) -> dict[str, float]:
    """The length of a step in units of eps, for an attack that takes one, where the user gave none."""
    usual = inspect.signature(kind).parameters
    if not {"rel_stepsize", "abs_stepsize", "steps"} <= set(usual) or options.get("abs_stepsize") is not None:
        return {}
    return {"rel_stepsize": STEPS / max(1, int(options.get("steps", usual["steps"].default)))}


def _runs(library: ModuleType, attack: Any, budget: Budget) -> Run:
    minimum_norm = isinstance(attack, library.attacks.base.MinimizationAttack)

    def run(module: nn.Module, x: Tensor, y: Tensor, target: Tensor | None) -> Tensor | None:
        model = library.PyTorchModel(module, bounds=(0, 1), device=x.device)
        goal = library.Misclassification(y) if target is None else library.TargetedMisclassification(target)
        try:
            perturbed: Tensor = attack(model, x, goal, epsilons=None if minimum_norm else budget.eps)[0]
        except ValueError as error:
            if NO_START in str(error):
                return None
            if NO_AIM in str(error):
                problem = "needs target labels" if target is None else "does not support target labels"
                raise UsageError(f"foolbox's {type(attack).__name__} {problem}") from error
            raise
        return perturbed

    return run
