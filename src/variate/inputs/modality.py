"""Modalities: what inputs mean, which perturbations are allowed, and how attacks see them.

Every network takes float tensors in [0, 1], whatever they represent; its first layer converts them to pixels, a
waveform, words or measurements. So the same attacks work on all of them. A modality says what the values mean, which of
them may be changed, and in which unit a budget counts. An attack moves *points* in [0, 1] around the inputs, as if they
were images; the oracle passes the nearest allowed *input* to the network, and the gradient back to the point.
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
    """The words that may replace each word, for budgets that replace whole words.

    Attributes:
        candidates: for each of V words the indices of its replacements, padded with -1: (V, C).
        costs: how much of the budget each replacement costs: (V, C).
    """

    candidates: Tensor
    costs: Tensor

    def spent(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The total cost of the changed words; infinite for changes that are not allowed: (B, T, 1) twice to (B,)."""
        old, new = ids_of(x), ids_of(perturbed)  # (B, T)
        allowed = self.candidates[old] == new[..., None]  # (B, T, C)
        cost = torch.where(allowed, self.costs[old].to(x), torch.inf).amin(-1)  # (B, T)
        total: Tensor = torch.where(old == new, 0.0, cost).sum(1)
        return total


@dataclass(frozen=True)
class Reach:
    """The inputs that perturbations of a batch may reach.

    The input at a point z is ``settle(clip(x + scale * (z - x), 0, 1), x)``.

    Attributes:
        x: the inputs, shape (B, ...).
        budget: the budget of the points, in their unit.
        unit: one unit of the points in the user's units.
        scale: how far a value moves with its point: 0 for values that must not change, otherwise usually at least 1, so
            that the ends of [0, 1] can be reached. Shape (B, ...), or (1, ...) if all examples share it; None for 1.
        settle: maps inputs (N, ...) and originals (N, ...) to the nearest allowed inputs (N, ...); None if all inputs
            are allowed. It never moves a value away from its original.
        measure: sizes of perturbations in the user's units, (B, ...) and (B, ...) to (B,); None for the budget's norm.
        pull: maps a gradient in the inputs (..., N, D), the originals (N, D) and the inputs (N, D) to the gradient that
            the points should follow, for values that are settled jointly or may move one way only; None if the gradient
            itself will do.
        swaps: replacements of words, for budgets that replace words; there are no points between words.
    """

    x: Tensor
    budget: Budget
    unit: float = 1.0
    scale: Tensor | None = None
    settle: Settle | None = None
    measure: Callable[[Tensor, Tensor], Tensor] | None = None
    pull: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    swaps: Swaps | None = None

    @property
    def plain(self) -> bool:
        """Whether every point is an input."""
        return self.scale is None and self.settle is None

    def inputs(self, points: Tensor, rows: Tensor | None = None) -> Tensor:
        """The inputs at points of the examples ``rows``, by default of all in order: (N, ...) to (N, ...)."""
        if self.plain:
            return points
        x = self._take_rows(self.x, rows)
        moved = points if self.scale is None else (x + self._take_rows(self.scale, rows) * (points - x)).clamp(0.0, 1.0)
        return moved if self.settle is None else self.settle(moved, x)

    def slope(self, gradient: Tensor, inputs: Tensor, rows: Tensor | None = None) -> Tensor:
        """Convert a gradient at inputs to one in the points, straight through settling (Bengio et al. 2013)."""
        pulled = gradient if self.pull is None else self.pull(gradient, self._take_rows(self.x, rows), inputs)
        return pulled if self.scale is None else pulled * self._take_rows(self.scale, rows)

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
            within = self.measure(perturbed, self.x) <= self.unit * (self.budget.eps * (1 + TOLERANCE) + SLACK)
            return inside & within
        if self.scale is not None:
            inside &= ((perturbed == self.x) | (self.scale > 0)).flatten(1).all(1)
        values = {"linf": 1.0, "l2": flat.shape[1] ** 0.5, "l1": float(flat.shape[1]), "l0": 0.0}[self.budget.norm]
        slack = SLACK + ULP * values * self._rounding_factor()
        most = self.unit * (self.budget.eps * (1 + TOLERANCE) + slack)
        contained: Tensor = inside & (self.distance(perturbed) <= most)
        return contained

    def _relative(self, perturbed: Tensor) -> Tensor:
        """The smallest perturbations of points that yield these inputs."""
        delta = perturbed - self.x
        if self.scale is None:
            return delta
        return delta / self.scale.where(self.scale > 0, torch.inf)

    def _rounding_factor(self) -> float:
        """The largest factor from rounding errors of inputs to those of points."""
        scales = self.scale[self.scale > 0] if self.scale is not None else self.x.new_zeros(0)
        return max(1.0, 1.0 / float(scales.min())) if scales.numel() else 1.0

    @staticmethod
    def _take_rows(values: Tensor, rows: Tensor | None) -> Tensor:
        return values if rows is None or len(values) == 1 else values[rows.to(values.device)]


def inputs_at(reach: Reach | None, points: Tensor, rows: Tensor | None) -> Tensor:
    """The inputs at points; without a reach, points are inputs."""
    return points if reach is None else reach.inputs(points, rows)


def free_of(reach: Reach | None, x: Tensor) -> Tensor | None:
    """The mask of values that may change, (B, ...); None if all may."""
    if reach is None or reach.scale is None or x.shape != reach.x.shape:
        return None
    return (reach.scale > 0).expand_as(x)


def slope_at(reach: Reach | None, gradient: Tensor, inputs: Tensor, rows: Tensor | None) -> Tensor:
    """Convert a gradient at inputs, (..., N, D), to one in the points."""
    return gradient if reach is None else reach.slope(gradient, inputs, rows)


@dataclass(frozen=True)
class Kept:
    """One example as records store it, so that a report can show it.

    Attributes:
        original, adversarial: the inputs in hexadecimal, in the format that reports of this modality read.
        details: further facts that the report needs, as JSON values.
    """

    original: str = ""
    adversarial: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def packed(values: Tensor, dtype: str) -> str:
    """Encode values in hexadecimal as a numpy ``dtype``: ``u1`` for bytes, ``<f4`` for floats, ``<i2`` for sound."""
    return values.detach().cpu().numpy().astype(dtype).tobytes().hex()


@dataclass(frozen=True)
class Modality(ABC):
    """One kind of inputs. A modality is a frozen dataclass whose fields are facts of a data set."""

    __variate__: ClassVar[dict[str, Any]]  # the facts given to its decorator

    @property
    def norms(self) -> tuple[str, ...]:
        """The norms in which budgets can be given."""
        return tuple(self.__variate__["norms"])

    @property
    def unit(self) -> float:
        """The size, in linf, l2 and l1 budgets, of a change of one value by 1."""
        return 1.0

    def findings(self, x: Tensor) -> Iterator[str]:
        """Problems specific to this modality of inputs in [0, 1], shape (B, ...)."""
        yield from ()

    def taken(self, network: nn.Module) -> nn.Module:
        """Adapt the user's own network to the attacks on this modality, if necessary."""
        return network

    def smooth(self, x: Tensor, network: nn.Module) -> Tensor:
        """Convert inputs to a form in which a network has a gradient: (B, ...) to (B, ...)."""
        return x

    def prepared(self, x: Tensor, budget: Budget, network: nn.Module) -> Tensor:
        """Convert inputs to the form in which they are attacked within a budget: (B, ...) to (B, ...)."""
        return self.smooth(x, network) if self.norm(budget) in NORMS else x

    def norm(self, budget: Budget) -> str:
        """The norm of the points that attacks move, which may differ from that of the budget."""
        return budget.norm

    @abstractmethod
    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """The inputs that perturbations of ``x``, shape (B, ...), within a budget may reach. Raises ``UsageError``."""

    def example(self, shape: Sequence[int]) -> Tensor:
        """Two valid inputs, always the same ones: (2, *shape)."""
        return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """One example as a report shows it, shape (...) twice; None if it cannot be shown."""
        return None

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """A budget that covers every input a perturbation may reach, in a norm in which PGD works.

        For l0 it is the same set in linf: fmn, the attack for l0, stops at the nearest input on which a random network
        is wrong half the time.
        """
        if budget.norm in ("linf", "l0"):
            return Budget.parse("linf:1")
        values = x[0].numel()
        return budget.with_size(f"{values**0.5:.6g}" if budget.norm == "l2" else str(values))

    def check(self, budget: Budget) -> None:
        """Check that attacks can move inputs within a budget. Raises ``UsageError``."""
        self.check_norm(budget)

    def check_norm(self, budget: Budget) -> None:
        """Check that the norm of a budget applies to this modality, whatever the data. Raises ``UsageError``."""
        if budget.norm not in self.norms:
            raise UsageError(
                f"the budget {budget} does not apply to {name_of(self)} inputs",
                expected=f"a budget in {', '.join(self.norms)}",
            )


def modality_of(name: str | Modality, details: Mapping[str, Any] | None = None) -> Modality:
    """Build a modality from its name and the details of a data set. Raises ``UsageError``."""
    if isinstance(name, Modality):
        return name
    kind = registry.get("modalities", name).load()
    names = {field.name for field in fields(kind)}
    modality: Modality = kind(**{key: value for key, value in (details or {}).items() if key in names})
    return modality


def name_of(modality: Modality) -> str:
    """The registered name of a modality."""
    return type(modality).__module__.rpartition(".")[2].replace("_", "-")


def check_kind(modality: Modality, x: Tensor) -> None:
    """Check that inputs are valid for this modality. Raises ``InputError`` with every finding."""
    findings = list(modality.findings(x))
    if findings:
        raise InputError(f"these are not valid {name_of(modality)} inputs", findings=findings)
