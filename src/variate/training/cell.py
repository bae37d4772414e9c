"""One network to train: its data, its architecture, its defense, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variate.fields import option, required
from variate.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Cell:
    """One network to train: everything that decides what comes out.

    The ``objective`` and the ``budget`` of the recipe left at None are those of the defense and of the data set.
    ``start`` is the folder of a deterministic network, whose parameters the defense then makes random: its scales are
    relative to them.
    """

    data: str = field(
        metadata=required(
            "a data set (see `variate list datasets`), a file.npz with x and y, or module:callable for both",
            entries="datasets",
        )
    )
    network: str = option("lenet", "an architecture, or your own module:callable", entries="networks")
    defense: str = option("random-at", "a defense: see `variate list defenses`", entries="defenses")
    recipe: Recipe = Recipe()
    batch_size: int = option(128, "examples per batch", at_least=1)
    train_examples: int | None = option(None, "train on the first so many of the training split", at_least=1)
    start: Path | None = option(
        None, "folder of a deterministic network to begin from: its parameters, or the means of a random one"
    )
    data_folder: Path | None = option(None, "folder that holds the data set's files")

    def training(self) -> dict[str, Any]:
        """What decides the numbers, as the card keeps it: places do not, and a start is its fingerprint."""
        from variate.training.saved import read_card

        return {
            **self.recipe.numbers(),
            "data": self.data,
            "network": self.network,
            "defense": self.defense,
            "batch_size": self.batch_size,
            "train_examples": self.train_examples,
            "start": read_card(self.start).fingerprint if self.start is not None else None,
        }

    def split(self, name: str) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a split of the cell's data."""
        from variate.datasets.load import labelled

        return labelled(self.data, folder=self.data_folder, split=name, cut=True)
