"""The robust accuracy was still rising when training ended."""

from __future__ import annotations

from variate.flags.evidence import Difference, Evidence
from variate.records.curve import CurveSplit, EpochAccuracy, points_of, rise_of
from variate.registry import flag
from variate.statistics.notation import points

SPLITS: tuple[CurveSplit, ...] = ("validation", "train")


@flag(
    level="note",  # the rates are right, and a falling learning rate alone lets the curve rise
    trigger=(
        "Over the last quarter of the epochs, the robust accuracy measured during training rises by more than one "
        "point and beyond chance (99 %), on the line fitted to its points: on the validation split; or on the training "
        "split, if that on the validation split rises by more than a point too, or was not measured. Never raised for "
        "networks without such a curve."
    ),
    explanation=(
        "Longer training would give a more robust network. A network that gains on one that was not trained to the end "
        "may gain by its training alone, and a random network that was not trained to the end shows nothing about "
        "randomness. Part of the rise may come from the learning rate falling to zero; whether more epochs gain "
        "anything, a longer training shows."
    ),
    remedy=(
        "Train for more epochs, until the curve is flat, and give every network that is compared the same training; or "
        "start from the trained network with --start."
    ),
    cite="Rice, Wong & Kolter 2020, arXiv:2002.11569; Pang et al. 2021, arXiv:2010.00467",
)
def under_trained(evidence: Evidence) -> list[str]:
    """The robust accuracy was still rising when training ended."""
    curve = evidence.described.curve if evidence.described is not None else []
    rises = {split: rise for split in SPLITS if (rise := _rise(curve, split)) is not None}
    validation, training = rises.get("validation"), rises.get("train")
    if validation is not None and validation.noticed:
        return [_sentence(curve, "validation", validation)]
    if training is not None and training.noticed and (validation is None or validation.large):
        return [_sentence(curve, "train", training)]
    return []


def _rise(curve: list[EpochAccuracy], split: CurveSplit) -> Difference | None:
    rise = rise_of(curve, split)
    return None if rise is None else Difference(rise.value, rise.error, rise.differing)


def _sentence(curve: list[EpochAccuracy], split: CurveSplit, rise: Difference) -> str:
    last = points_of(curve, split)[-1]
    where = "validation" if split == "validation" else "training"
    return (
        f"the robust {where} accuracy, {100 * last.robust_accuracy:.1f} % after epoch {last.epoch}, still rose by "
        f"{points(rise.value).lstrip('+')} points in the last quarter of the epochs ({last.examples} examples)"
    )
