"""Training runs that cannot be: each refused with what was found, what was expected and what to do."""

from __future__ import annotations

from typing import get_args

from variate.errors import UsageError, unknown_name
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.training.augmentation import check_augment
from variate.training.curves import Log
from variate.training.optimization import OptimizerName
from variate.training.recipe import Keep, Recipe

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


def check_recipe(recipe: Recipe, modality: Modality) -> None:
    """Whether a recipe can be trained on inputs of a modality. Raises ``UsageError``."""
    if recipe.epochs < 1:
        raise UsageError(f"cannot train for {recipe.epochs} epochs", expected="at least 1")
    if recipe.precision not in PRECISIONS:
        raise UsageError(f"there is no precision {recipe.precision!r}", expected=f"one of {', '.join(PRECISIONS)}")
    if recipe.optimizer not in get_args(OptimizerName):
        raise unknown_name("optimizer", recipe.optimizer, get_args(OptimizerName))
    if recipe.keep not in get_args(Keep):
        raise unknown_name("epoch to keep", recipe.keep, get_args(Keep))
    if recipe.accumulate < 1:
        raise UsageError(f"cannot accumulate {recipe.accumulate} batches", expected="a whole number from 1")
    if not 0 <= recipe.warmup < recipe.epochs:
        raise UsageError(
            f"cannot warm up for {recipe.warmup:g} of {recipe.epochs} epochs",
            expected="from 0 to fewer than all epochs",
        )
    if recipe.augment is not None and name_of(modality) != "image":
        raise UsageError(
            f"{recipe.augment} changes images, and the inputs are {name_of(modality)}", todo="leave augment out"
        )
    if recipe.augment is not None:
        check_augment(recipe.augment)
    _check_averages(recipe)


def _check_averages(recipe: Recipe) -> None:
    if recipe.ema is not None and recipe.swa:
        raise UsageError("ema and swa are two averages of the same parameters", todo="choose one of them")
    if recipe.ema is not None and not 0 < recipe.ema < 1:
        raise UsageError(f"ema is {recipe.ema:g}", expected="a decay between 0 and 1, such as 0.999")
    if not 0 <= recipe.swa <= recipe.epochs:
        raise UsageError(
            f"cannot average the last {recipe.swa} of {recipe.epochs} epochs", expected="from 0 to all epochs"
        )


def check_selection(recipe: Recipe, *, validated: bool) -> None:
    """Whether epochs can be compared, where they are to be. Raises ``UsageError``."""
    if not recipe.selects:
        return
    asked = "keep='best'" if recipe.keep == "best" else f"patience={recipe.patience}"
    if recipe.patience is not None and recipe.patience < 1:
        raise UsageError(f"cannot stop after {recipe.patience} epochs without a better one", expected="at least 1")
    if recipe.validation_steps < 1 or recipe.validation_examples < 1:
        raise UsageError(
            f"cannot attack {recipe.validation_examples} examples with {recipe.validation_steps} steps",
            expected="at least 1 of both",
        )
    if recipe.budget is None:
        raise UsageError(
            f"{asked} compares epochs by robust accuracy, which needs a budget",
            todo="pass budget='linf:8/255', for example",
        )
    Budget.parse(recipe.budget)
    if not validated:
        raise UsageError(f"{asked} compares epochs on a validation split", todo="pass validation=(x, y)")


def check_log(log: str | None) -> None:
    """Whether there is such a log. Raises ``UsageError``."""
    if log is not None and log not in get_args(Log):
        raise unknown_name("log", log, get_args(Log))
