"""What inputs of one kind are, what a perturbation may touch, and how an attack sees it.

Every network takes float tensors in [0, 1], whatever they stand for: its first layer makes pixels, a waveform, words
or measurements of them. So one attack serves all. A modality says what the values mean, which of them may be changed
and in which unit a budget counts. An attack moves *points* in [0, 1] around the inputs, as it would move an image; the
oracle shows the network the nearest allowed *input* to each point, and hands the gradient back to the point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import InputError, UsageError
from variate.inputs.budget import NORMS, TOLERANCE, ULP, Budget
from variate.inputs.words import ids_of

Settle = Callable[[Tensor, Tensor], Tensor]
SLACK = 1e-6  # rounding of a point


@dataclass(frozen=True)
class Swaps:
    """What may stand in the place of a word, where whole words are replaced.

    Attributes:
        candidates: for each of V words the numbers of those that may replace it, -1 where there are no more: (V, C).
        costs: what each replacement takes of the budget: (V, C).
    """

    candidates: Tensor
    costs: Tensor

    def spent(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """What the changed words of inputs cost; infinity for a change that is not allowed: (B, T, 1) twice to (B,)."""
        old, new = ids_of(x), ids_of(perturbed)  # (B, T)
        allowed = self.candidates[old] == new[..., None]  # (B, T, C)
        cost = torch.where(allowed, self.costs[old].to(x), torch.inf).amin(-1)  # (B, T)
        total: Tensor = torch.where(old == new, 0.0, cost).sum(1)
        return total


@dataclass(frozen=True)
class Reach:
    """What a perturbation may make of a batch of inputs.

    The input at a point z is ``settle(clip(x + scale * (z - x), 0, 1), x)``.

    Attributes:
        x: the inputs, shape (B, ...).
        budget: of the points, in their unit.
        unit: the user's units in one unit of the points.
        scale: how far a value moves with its point: 0 where nothing may be touched, elsewhere usually 1 or more, so
            that the ends of [0, 1] can be reached. Shape (B, ...), or (1, ...) for the same in every example; None
            for 1.
        settle: the nearest allowed inputs to given ones, (N, ...) and the originals (N, ...) to (N, ...); None where
            all are allowed. It never moves a value away from its original.
        measure: sizes of perturbations in the user's units, (B, ...) and (B, ...) to (B,); None for the budget's norm.
        pull: a gradient in the inputs, and the originals, (..., N, D) and (N, D) to (..., N, D), as the points should
            follow it, where values are settled together; None where each goes its own way.
        swaps: what may replace each word, where words are replaced; no point lies between two words.
    """

    x: Tensor
    budget: Budget
    unit: float = 1.0
    scale: Tensor | None = None
    settle: Settle | None = None
    measure: Callable[[Tensor, Tensor], Tensor] | None = None
    pull: Callable[[Tensor, Tensor], Tensor] | None = None
    swaps: Swaps | None = None

    @property
    def plain(self) -> bool:
        """Whether every point is an input."""
        return self.scale is None and self.settle is None

    def inputs(self, points: Tensor, rows: Tensor | None = None) -> Tensor:
        """The inputs at points of the examples ``rows``, in order without them: (N, ...) to (N, ...)."""
        if self.plain:
            return points
        x = self._of(self.x, rows)
        moved = points if self.scale is None else (x + self._of(self.scale, rows) * (points - x)).clamp(0.0, 1.0)
        return moved if self.settle is None else self.settle(moved, x)

    def slope(self, gradient: Tensor, rows: Tensor | None = None) -> Tensor:
        """A gradient in the inputs as one in the points; settling is passed straight through (Bengio et al. 2013)."""
        pulled = gradient if self.pull is None else self.pull(gradient, self._of(self.x, rows))
        return pulled if self.scale is None else pulled * self._of(self.scale, rows)

    def distance(self, perturbed: Tensor) -> Tensor:
        """The size of each example's perturbation in the user's units: (B, ...) to (B,)."""
        if self.measure is not None:
            return self.measure(perturbed, self.x)
        distance: Tensor = self.unit * self.budget.distance(self.x + self._relative(perturbed), self.x)
        return distance

    def contains(self, perturbed: Tensor) -> Tensor:
        """Whether each example is an allowed input within the budget, up to float rounding: (B, ...) to (B,)."""
        flat = perturbed.flatten(1)
        inside = (flat >= 0).all(1) & (flat <= 1).all(1)
        if self.settle is not None:
            inside &= ((self.settle(perturbed, self.x) - perturbed).flatten(1).abs() <= SLACK).all(1)
        if self.measure is not None:
            near = self.measure(perturbed, self.x) <= self.unit * (self.budget.eps * (1 + TOLERANCE) + SLACK)
            return inside & near
        if self.scale is not None:
            inside &= ((perturbed == self.x) | (self.scale > 0)).flatten(1).all(1)
        values = {"linf": 1.0, "l2": flat.shape[1] ** 0.5, "l1": float(flat.shape[1]), "l0": 0.0}[self.budget.norm]
        slack = SLACK + ULP * values * self._coarsest()
        most = self.unit * (self.budget.eps * (1 + TOLERANCE) + slack)
        contained: Tensor = inside & (self.distance(perturbed) <= most)
        return contained

    def _relative(self, perturbed: Tensor) -> Tensor:
        """How far the points of inputs are at least from the originals."""
        delta = perturbed - self.x
        if self.scale is None:
            return delta
        return delta / self.scale.where(self.scale > 0, torch.inf)

    def _coarsest(self) -> float:
        """How much rounding of an input may be worth in its point."""
        touched = self.scale[self.scale > 0] if self.scale is not None else self.x.new_zeros(0)
        return max(1.0, 1.0 / float(touched.min())) if touched.numel() else 1.0

    @staticmethod
    def _of(values: Tensor, rows: Tensor | None) -> Tensor:
        return values if rows is None or len(values) == 1 else values[rows.to(values.device)]


def inputs_at(reach: Reach | None, points: Tensor, rows: Tensor | None) -> Tensor:
    """The inputs at points; without a reach points are inputs."""
    return points if reach is None else reach.inputs(points, rows)


def free_of(reach: Reach | None, x: Tensor) -> Tensor | None:
    """Which values of whole inputs may be touched, (B, ...); None where all may."""
    if reach is None or reach.scale is None or x.shape != reach.x.shape:
        return None
    return (reach.scale > 0).expand_as(x)


def slope_at(reach: Reach | None, gradient: Tensor, rows: Tensor | None) -> Tensor:
    """A gradient in the inputs, (..., N, D), as one in the points."""
    return gradient if reach is None else reach.slope(gradient, rows)


@dataclass(frozen=True)
class Kept:
    """What a report keeps of one example to show it.

    Attributes:
        original, adversarial: in hexadecimal, as the report of this modality reads it.
        details: what it must know beside them, as JSON can hold it.
    """

    original: str = ""
    adversarial: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def packed(values: Tensor, dtype: str) -> str:
    """Values in hexadecimal, as numpy's ``dtype`` has them: ``u1`` for bytes, ``<f4`` for floats, ``<i2`` for sound."""
    return values.detach().cpu().numpy().astype(dtype).tobytes().hex()


@dataclass(frozen=True)
class Modality(ABC):
    """One kind of inputs. A modality is a frozen dataclass: its fields are what must be known of a data set."""

    __variate__: ClassVar[dict[str, Any]]  # the facts of its registration

    @property
    def norms(self) -> tuple[str, ...]:
        """Of the budgets that mean something here."""
        return tuple(self.__variate__["norms"])

    def findings(self, x: Tensor) -> Iterator[str]:
        """What is wrong with inputs in [0, 1], shape (B, ...), beside what is wrong with any."""
        yield from ()

    def taken(self, network: nn.Module) -> nn.Module:
        """A network of the user's own, so that the attacks on this modality find in it what they need."""
        return network

    def smooth(self, x: Tensor, network: nn.Module) -> Tensor:
        """The same inputs in a form in which a network has a gradient: (B, ...) to (B, ...)."""
        return x

    def prepared(self, x: Tensor, budget: Budget, network: nn.Module) -> Tensor:
        """The same inputs in the form in which they are attacked within a budget: (B, ...) to (B, ...)."""
        return self.smooth(x, network) if self.norm(budget) in NORMS else x

    def norm(self, budget: Budget) -> str:
        """The norm of the points that attacks move, which need not be that of the budget."""
        return budget.norm

    @abstractmethod
    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """What a perturbation within a budget may make of inputs, shape (B, ...). Raises ``UsageError``."""

    def example(self, shape: Sequence[int]) -> Tensor:
        """Two inputs that a network can take, always the same ones: (2, *shape)."""
        return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """What a report keeps of one example, shape (...) twice; None if it shows nothing."""
        return None

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """A budget in which every input lies that a perturbation may make, and within which pgd climbs.

        In l0 it is the same set in linf: fmn, the attack of l0, looks for the nearest input at which a random network
        is wrong half the time, and does not go on from there.
        """
        if budget.norm in ("linf", "l0"):
            return Budget.parse("linf:1")
        values = x[0].numel()
        return budget.with_size(f"{values**0.5:.6g}" if budget.norm == "l2" else str(values))

    def check(self, budget: Budget) -> None:
        """Whether a budget means something here. Raises ``UsageError``."""
        if budget.norm not in self.norms:
            raise UsageError(
                f"the budget {budget} means nothing for {name_of(self)} inputs",
                expected=f"a budget in {', '.join(self.norms)}",
            )


def modality_of(name: str | Modality, details: Mapping[str, Any] | None = None) -> Modality:
    """A modality by its name, told what it must know of a data set. Raises ``UsageError``."""
    if isinstance(name, Modality):
        return name
    kind = registry.get("modalities", name).load()
    known = {field.name for field in fields(kind)}
    modality: Modality = kind(**{key: value for key, value in (details or {}).items() if key in known})
    return modality


def name_of(modality: Modality) -> str:
    """The name under which a modality is registered."""
    return type(modality).__module__.rpartition(".")[2].replace("_", "-")


def check_kind(modality: Modality, x: Tensor) -> None:
    """Whether inputs are of this modality. Raises ``InputError`` with every finding."""
    findings = list(modality.findings(x))
    if findings:
        raise InputError(f"these are no {name_of(modality)} inputs that can be judged", findings=findings)
