"""What is attacked: a network, its kind of randomness, and the networks that the attacker holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import nn

from variate.errors import unknown_name
from variate.inputs.modalities.image import Image
from variate.inputs.modality import Modality
from variate.random import plain
from variate.random.average import EnsembleNetwork
from variate.random.network import RandomNetwork
from variate.random.seeding import Kind
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.task import Task, network_of

if TYPE_CHECKING:
    from variate.evaluation.kept_inputs import KeptInputs

MEAN, ENSEMBLE = "mean", "ensemble"  # networks to transfer from besides the given sources


@dataclass(frozen=True)
class Target:
    """The attacked network, its kind of randomness, name, modality and task, and the networks that the attacker holds.

    Networks return one row of outputs per example (``Task.answers``). ``kept`` says where judged inputs are kept.
    """

    network: nn.Module
    kind: Kind
    seed: int = 0
    name: str = "network"
    sources: Mapping[str, nn.Module] = field(default_factory=dict)
    pictures: bool = False
    memory: int | None = None
    modality: Modality = field(default_factory=Image)
    task: Task = CLASSES
    kept: KeptInputs | None = None

    @property
    def classifies(self) -> bool:
        """Whether its answers are logits of classes, rather than something an attack sees through a ``View``."""
        return isinstance(self.task, Classes)

    @property
    def has_mean(self) -> bool:
        """Whether there is a mean network."""
        return isinstance(network_of(self.network), RandomNetwork)

    @property
    def can_be_held(self) -> bool:
        """Whether there is a network to transfer from, for attacks whose source is optional."""
        return bool(self.sources) or self.has_mean or self.kind == "deterministic"

    def held(self, name: str | None) -> nn.Module:
        """The network to transfer from; without a name, the ensemble of all. Raises ``UsageError``."""
        if name is None:
            name = MEAN if not self.sources else next(iter(self.sources)) if len(self.sources) == 1 else ENSEMBLE
        if name in self.sources:
            return self.sources[name]
        if name == ENSEMBLE:
            means = [self._mean()] if self.has_mean else []
            return EnsembleNetwork([*means, *self.sources.values()])
        if name == MEAN:
            return self._mean()
        raise unknown_name("network to transfer from", name, [MEAN, ENSEMBLE, *self.sources])

    def _mean(self) -> nn.Module:
        """The mean network of a ``RandomNetwork``; any other network itself, averaged over its draws."""
        return plain.mean(self.network) if self.has_mean else self.network
