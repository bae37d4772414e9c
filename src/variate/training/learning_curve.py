"""The curve of a training run: clean and robust accuracy on the same examples of each split, from epoch to epoch.

It shows whether training was finished, which neither the loss nor the accuracy at the end tell. Measuring it costs at
most a fixed share of the training, so small data sets are measured every few epochs, and on fewer examples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from variate.inputs.modality import Modality
from variate.records.bits import pack
from variate.records.curve import CurveSplit, EpochAccuracy
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task
from variate.training.recipe import Recipe
from variate.training.validation import accuracy, robust_answers

SHARE = 0.02  # of the passes of a training run
FEWEST, MOST = 128, 512  # examples of a split
POINTS = 24  # wanted before the number of examples grows beyond FEWEST


@dataclass(frozen=True)
class CurvePlan:
    """What is measured of a curve.

    Attributes:
        examples: examples of each split.
        every: epochs from one point to the next; the last epoch has one.
    """

    examples: int
    every: int

    def is_due(self, epoch: int, epochs: int) -> bool:
        """Whether an epoch, counted from 0, has a point."""
        return (epochs - 1 - epoch) % self.every == 0


def plan_of(recipe: Recipe, *, examples: int, inner_steps: float) -> CurvePlan | None:
    """What to measure; None for nothing.

    Unless ``curve_examples`` is set, only trainings with an inner attack are measured, as far as ``SHARE`` allows: an
    example costs ``validation_steps`` + 1 passes, and in training ``inner_steps`` + 1.

    Args:
        recipe: options of the training.
        examples: size of the training split.
        inner_steps: gradient steps of the inner attack on each example of an epoch.
    """
    if recipe.curve_examples is not None:
        return CurvePlan(recipe.curve_examples, 1) if recipe.curve_examples else None
    if recipe.budget is None or inner_steps < 1:
        return None
    in_all = recipe.epochs * examples * (inner_steps + 1)
    affordable = SHARE * in_all / (2 * (recipe.validation_steps + 1))  # examples of each of two splits
    count = int(min(MOST, max(FEWEST, affordable // min(recipe.epochs, POINTS))))
    points = min(recipe.epochs, int(affordable // count))
    return CurvePlan(count, math.ceil(recipe.epochs / points)) if points else None


def curve_points(
    network: nn.Module,
    splits: Mapping[CurveSplit, tuple[Tensor, Tensor]],
    *,
    recipe: Recipe,
    epoch: int,
    modality: Modality,
    task: Task = CLASSES,
) -> list[EpochAccuracy]:
    """The point of each split after an epoch.

    Args:
        network: in eval mode.
        splits: inputs and labels by split, the same at every call.
        recipe: options of the training, with a budget.
        epoch: index of the epoch, from 0; every epoch has its own draws.
        modality: modality of the inputs.
        task: what the answers are.
    """
    points = []
    for split, (x, y) in splits.items():
        right = robust_answers(
            network,
            x,
            y,
            budget=recipe.budget or "",
            steps=recipe.validation_steps,
            seed=recipe.seed,
            epoch=epoch,
            modality=modality,
            task=task,
        )
        clean = accuracy(network, x, y, seed=recipe.seed, epoch=epoch, task=task)
        points.append(EpochAccuracy(epoch + 1, split, clean, pack(right.numpy())))
    return points
