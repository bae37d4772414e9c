"""Checks that refuse impossible training options, with what was found, what was expected and what to do."""

from __future__ import annotations

from typing import get_args

from variate.errors import UsageError, unknown_name
from variate.fields import check_limits
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.training.augmentation import check_augment
from variate.training.recipe import Keep, Log, OptimizerName, Precision, Recipe, Schedule


def check_recipe(recipe: Recipe, modality: Modality) -> None:
    """Raise ``UsageError`` for options that cannot be trained on inputs of a modality."""
    check_limits(recipe)
    if recipe.precision not in get_args(Precision):
        raise unknown_name("precision", recipe.precision, get_args(Precision))
    if recipe.optimizer not in get_args(OptimizerName):
        raise unknown_name("optimizer", recipe.optimizer, get_args(OptimizerName))
    if recipe.schedule not in get_args(Schedule):
        raise unknown_name("schedule", recipe.schedule, get_args(Schedule))
    if not recipe.momentum < 1:
        raise UsageError(f"momentum is {recipe.momentum:g}", expected="from 0 to less than 1")
    if recipe.keep not in get_args(Keep):
        raise unknown_name("epoch to keep", recipe.keep, get_args(Keep))
    if not recipe.warmup < recipe.epochs:
        raise UsageError(
            f"cannot warm up for {recipe.warmup:g} of {recipe.epochs} epochs",
            expected="from 0 to fewer than all epochs",
        )
    if recipe.augment is not None and name_of(modality) != "image":
        raise UsageError(
            f"{recipe.augment} augments images, and the inputs are {name_of(modality)}", todo="leave augment out"
        )
    if recipe.augment is not None:
        check_augment(recipe.augment)
    if recipe.log is not None and not callable(recipe.log) and recipe.log not in get_args(Log):
        raise unknown_name("log", recipe.log, get_args(Log))
    if recipe.clip is not None and not recipe.clip > 0:
        raise UsageError(f"clip is {recipe.clip:g}", expected="a norm above 0, such as 1")
    if recipe.curve_examples and recipe.budget is None:
        raise UsageError(
            f"curve_examples={recipe.curve_examples} measures robust accuracy, which needs a budget",
            todo="pass budget='linf:8/255', for example",
        )
    _check_averages(recipe)


def _check_averages(recipe: Recipe) -> None:
    if recipe.ema is not None and recipe.swa:
        raise UsageError("ema and swa are two averages of the same parameters", todo="choose one of them")
    if recipe.ema is not None and not 0 < recipe.ema < 1:
        raise UsageError(f"ema is {recipe.ema:g}", expected="a decay between 0 and 1, such as 0.999")
    if recipe.swa > recipe.epochs:
        raise UsageError(
            f"cannot average the last {recipe.swa} of {recipe.epochs} epochs", expected="from 0 to all epochs"
        )


def check_selection(recipe: Recipe, *, validated: bool) -> None:
    """Raise ``UsageError`` if epochs are to be compared but cannot be."""
    if not recipe.selects:
        return
    choice = "keep='best'" if recipe.keep == "best" else f"patience={recipe.patience}"
    if recipe.budget is None:
        raise UsageError(
            f"{choice} compares epochs by robust accuracy, which needs a budget",
            todo="pass budget='linf:8/255', for example",
        )
    Budget.parse(recipe.budget)
    if not validated:
        raise UsageError(f"{choice} compares epochs on a validation split", todo="pass validation=(x, y)")
