"""Scenes of several small pictures, with three questions: what is where, what is there, how many are there."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor
from torch.nn import functional as F

from variate import registry
from variate.datasets.info import About
from variate.datasets.parts.composing import Scenes, composed
from variate.datasets.parts.targets import target_of
from variate.datasets.splits import SplitName, check_split
from variate.errors import UsageError, unknown_name
from variate.registry import dataset

Pictures = Literal["digits", "fashion-mnist"]
Answer = Literal["masks", "present", "count"]
BUDGET = "linf:0.1"
TASKS = {"masks": "positions", "present": "labels", "count": "regression(tolerance=0.5)"}
SMALLEST, LARGEST = 16, 512  # side of a scene
MOST = 20  # objects
CACHED = 6  # splits


@dataset(
    modality="image",
    budget="linf:0.1",
    cite="composed as in Eslami et al. 2016, arXiv:1603.08575, section 4.1, of pictures of scikit-learn or of "
    "Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747)",
)
def scenes(
    split: str,
    *,
    folder: Path | None = None,
    answer: str = "masks",
    pictures: str = "digits",
    size: int = 32,
    objects: int = 3,
    train: int = 4_000,
    validation: int = 500,
    test: int = 1_000,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Scenes of one to three real pictures at random places and scales: segment them, name them, or count them.

    Every scene is composed from a seed, always the same. The pictures of a split are those of the same split of their
    source, so that no picture of a test scene is seen in training. An object covers those before it; one of which less
    than a quarter is seen is neither named nor counted.

    Args:
        split: ``train``, ``validation`` or ``test``.
        folder: folder of the files of the pictures, for Fashion-MNIST.
        answer: ``masks`` (positions: 0 for the background, 1 + class for objects), ``present`` (labels: which of the
            ten classes are there), or ``count`` (regression: how many objects are there, right within one half).
        pictures: ``digits``, which need no files, or ``fashion-mnist``.
        size: side of a scene, from 16 to 512; an object has from 5/16 to a half of it.
        objects: largest number of objects in a scene, from 1 to 20.
        train: number of scenes for training.
        validation: number of scenes for validation.
        test: number of scenes for testing.
        seed: what the scenes are composed from.

    Returns:
        Inputs in [0, 1], shape (N, 1, size, size), and labels: (N, size, size), (N, 10), or numbers of shape (N,).

    Raises:
        UsageError: for options that are not valid.
        DataError: if the files of the pictures are missing.
    """
    name = check_split(split)
    kind = _checked(answer, get_args(Answer), "answer of scenes")
    counts = {"train": train, "validation": validation, "test": test}
    made = _scenes(name, pictures, folder, counts[name], size, objects, seed)
    return made.x, _labels(made, kind)


def about(folder: Path | None = None, **options: Any) -> About:
    """The facts of the scenes, with the options of ``scenes``."""
    x, y = scenes("train", folder=folder, **options)
    answer, pictures = options.get("answer", "masks"), options.get("pictures", "digits")
    facts = registry.get("datasets", pictures).facts
    names = facts["labels"] or tuple(map(str, range(facts["classes"])))
    labels = {"masks": ("background", *names), "present": names, "count": ("objects",)}[answer]
    return About(
        "image",
        tuple(x.shape[1:]),
        len(labels),
        (round(float(x.mean()), 6),),
        (round(float(x.std()), 6),),
        BUDGET,
        labels,
        {"target": target_of(y)} if answer == "count" else {},
        TASKS[answer],
    )


def _labels(made: Scenes, answer: str) -> Tensor:
    if answer == "masks":
        return made.masks
    counted = made.classes >= 0  # (N, M)
    if answer == "count":
        return counted.sum(1).float()
    classes = 10
    return (F.one_hot(made.classes.clamp(min=0), classes) * counted[..., None]).amax(1)  # (N, K)


@lru_cache(maxsize=CACHED)
def _scenes(
    split: SplitName, pictures: str, folder: Path | None, count: int, size: int, objects: int, seed: int
) -> Scenes:
    source = _checked(pictures, get_args(Pictures), "picture source of scenes")
    limits = {"size": (size, SMALLEST, LARGEST), "objects": (objects, 1, MOST), split: (count, 1, 10**6)}
    limits["seed"] = (seed, 0, 2**32)
    for option, (value, low, high) in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(
                f"the option {option} of scenes is {value!r}", expected=f"a whole number from {low} to {high:,}"
            )
    x, y = registry.get("datasets", source).load()(split, folder=folder)
    order = ["train", "validation", "test"].index(split)
    return composed(x, y, count=count, size=size, objects=objects, seed=[seed, order])


def _checked(value: str, choices: tuple[str, ...], what: str) -> str:
    if value not in choices:
        raise unknown_name(what, str(value), choices)
    return value
