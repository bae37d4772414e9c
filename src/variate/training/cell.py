"""One network to train: its data set, architecture, defense and training options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variate.fields import option, required
from variate.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from variate.datasets.info import About


@dataclass(frozen=True)
class Cell:
    """One network to train, a cell of a study's grid: everything that determines the result.

    An ``objective`` or ``budget`` of None in the recipe stands for that of the defense or the data set. ``start`` is
    the folder of a deterministic network whose parameters the defense makes random, with scales relative to them.
    """

    data: str = field(
        metadata=required(
            "a data set (see `variate list datasets`), a folder of pictures or sounds, a table, a file.npz with x and "
            "y, or a module:callable that returns both",
            entries="datasets",
        )
    )
    network: str = option(
        "lenet", "an architecture (see `variate list networks`), or your own module:callable", entries="networks"
    )
    defense: str = option("random-at", "a defense (see `variate list defenses`)", entries="defenses")
    recipe: Recipe = Recipe()
    batch_size: int = option(128, "examples per batch", at_least=1)
    train_examples: int | None = option(
        None, "number of first examples of the training split to train on; by default all", at_least=1
    )
    start: Path | None = option(
        None,
        "folder of a deterministic network to start from; its parameters become the means of a random one",
    )
    data_folder: Path | None = option(None, "folder with the data set's files")
    task: str | None = option(
        None,
        "what answers mean and how they are scored, such as 'regression(tolerance=0.5)'; by default that of the data",
        entries="tasks",
    )

    def training(self) -> dict[str, Any]:
        """The settings that determine the result, for the card: no folders; a start is given by its fingerprint."""
        from variate.training.saved import read_card

        return {
            **self.recipe.numbers(),
            "data": self.data,
            "network": self.network,
            "defense": self.defense,
            "batch_size": self.batch_size,
            "train_examples": self.train_examples,
            "start": read_card(self.start).fingerprint if self.start is not None else None,
            **({} if self.task is None else {"task": self.task}),  # absent in older cards
        }

    def about(self) -> About:
        """The facts of the cell's data, with its own task if it has one."""
        from variate.datasets.info import about

        return about(self.data, folder=self.data_folder, task=self.task)

    def split(self, name: str) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a split of the cell's data."""
        from variate.datasets.load import labelled

        return labelled(self.data, folder=self.data_folder, split=name, cut=True, task=self.task)
