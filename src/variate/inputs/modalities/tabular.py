"""Tables: numbers in their own units, whole numbers, categories, and features that cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from variate.errors import UsageError, unknown_name
from variate.inputs.budget import ORDERS, Budget
from variate.inputs.columns import Column, columns_of, groups_of
from variate.inputs.modality import Kept, Modality, Reach, packed
from variate.registry import modality

ROUNDING = 1e-4  # of a step: what float32 may lack of a whole one
NEARLY = 1e-2  # the same, where the most steps that a budget holds are known
JUST = 1 + 1e-6  # a change of category that a budget just allows is within reach in spite of rounding
SLIGHT = 1e-3  # how hard the categories that are not the best are pushed down
SECOND = 0.5  # how hard the original is, where a norm rewards few changes: one column is enough


@modality(
    norms=("linf", "l2", "l1", "l0", "features"),
    cite="Simonetto et al. 2022, arXiv:2112.01156 (constraints of features)",
)
@dataclass(frozen=True)
class Tabular(Modality):
    """Rows of a table: every feature scaled by its range, categories as groups of 0 and 1. Shape (B, D).

    Sizes in linf, l2 and l1 are in units of each feature's range, and l0 counts features. A change of category is as
    large as its ``cost``, 1 unless it is declared otherwise: in linf:0.1 no category with that cost changes. A budget
    ``features:age=2,income=5%,protocol=1,*=1%`` gives each feature a size of its own, in its own unit or in percent of
    its range, and of a categorical feature the number of changes, from which 1 allows one; a feature that is not named
    is not touched, unless ``*`` stands for it.

    Attributes:
        features: one mapping for each column: see ``variate.inputs.columns.Column``. Without any, every column
            is a number in [0, 1] that may be changed.
    """

    features: Sequence[Mapping[str, Any]] = ()

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """32-bit floats, shape (D,), and what is declared of the columns."""
        return Kept(packed(original, "<f4"), packed(perturbed, "<f4"), {"features": list(self.features)})

    def findings(self, x: Tensor) -> Iterator[str]:
        """Inputs of another shape, values between steps, groups without or with several categories."""
        if x.dim() != 2:
            yield f"x has shape {tuple(x.shape)}: one row for each example is needed, shape (B, D)"
            return
        columns = columns_of(self.features)
        if columns and x.shape[1] != len(columns):
            yield f"x has {x.shape[1]} columns, and {len(columns)} are declared"
            return
        for feature, places in groups_of(columns).items():
            bad = _ill_formed(x[:, places], columns[places[0]])
            if bool(bad.any()):
                wanted = "a whole step" if columns[places[0]].group is None else "one category"
                yield f"{feature} is not {wanted} in {int(bad.sum())} examples, first {int(bad.nonzero()[0, 0])}"

    def norm(self, budget: Budget) -> str:
        """Features with sizes of their own are points in linf."""
        return "linf" if budget.norm == "features" else budget.norm

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Numbers move by their range or their own size, counted ones by whole steps, groups to one category."""
        self.check(budget)
        columns = columns_of(self.features) or tuple(Column(f"column {i}") for i in range(x.shape[1]))
        if len(columns) != x.shape[1]:
            raise UsageError(f"x has {x.shape[1]} columns, and {len(columns)} are declared")
        return _Table(columns, budget, x).reach()

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """All values that may be changed at all, whatever sizes are given to single features."""
        return Budget.parse("linf:1") if budget.norm == "features" else super().whole_range(x, budget)


class _Table:
    """The columns of a batch under one budget."""

    def __init__(self, columns: Sequence[Column], budget: Budget, x: Tensor) -> None:
        self.columns, self.budget, self.x = columns, budget, x
        features = groups_of(columns)
        self.groups = [places for places in features.values() if columns[places[0]].group is not None]
        sizes = _sizes(columns, budget) if budget.norm == "features" else dict.fromkeys(features, 1.0)
        self.sizes = [sizes[column.feature] if column.mutable else 0.0 for column in columns]  # in units of the range
        touched = [size for size in self.sizes if size > 0]
        self.smallest = min(touched, default=0.0)
        if budget.norm == "features":
            self.points = Budget.parse(f"linf:{Fraction(self.smallest) * budget.size}")
        else:
            self.points = budget

    def reach(self) -> Reach:
        """What a perturbation may make of the batch."""
        relative = 1.0 / self.smallest if self.budget.norm == "features" and self.smallest else 1.0
        scale = torch.tensor([self._scale(place) for place in range(len(self.columns))]).to(self.x)[None]  # (1, D)
        steps = [column.step / column.range if column.step else 0.0 for column in self.columns]
        self.steps = self._exactly(steps)  # (D,)
        settles = bool(self.groups) or bool(self.steps.any())
        return Reach(
            self.x,
            self.points,
            unit=relative,
            scale=scale,
            settle=self._settled if settles else None,
            measure=self._measured if self.groups else None,
            pull=self._pulled if self.groups else None,
        )

    def _scale(self, place: int) -> float:
        """How far a column moves with its point."""
        column, size = self.columns[place], self.sizes[place]
        if size == 0 or column.group is None:
            return size / self.smallest if size else 0.0
        return self._scale_of_category(self._cost(place))

    def _cost(self, place: int) -> float:
        """What a change of category costs in the unit of the points."""
        if self.budget.norm == "features":
            return self.smallest / self.sizes[place]
        return 1.0 if self.budget.norm == "l0" else self.columns[place].cost

    def _measured_cost(self, place: int) -> float:
        """What a change of category costs in the user's unit."""
        if self.sizes[place] == 0:
            return float("inf")
        return 1.0 / self.sizes[place] if self.budget.norm == "features" else self._cost(place)

    def _scale_of_category(self, cost: float) -> float:
        """Such that points at least as far as the cost, and only those, can have another category.

        A category takes over where the sum of its rise and the old one's fall reaches 1: in l1 at 1 / scale, in l2 at
        1 / (scale sqrt(2)). In linf points at the budget's end reach it if the budget holds the cost.
        """
        if self.points.norm == "l1":
            return JUST / cost
        if self.points.norm == "l2":
            return JUST / (cost * 2**0.5)
        if self.points.norm == "l0":
            return 2.0
        eps = self.points.eps
        return max(1.0, JUST / eps) if eps > 0 and cost <= eps * JUST else 0.0

    def _settled(self, inputs: Tensor, x: Tensor) -> Tensor:
        """Whole steps towards the original, and one category in every group."""
        settled = inputs
        counted = self.steps > 0
        if bool(counted.any()):
            size = self.steps.where(counted, 1.0)
            delta = (inputs.to(size) - x.to(size)) / size
            if self.points.norm == "linf":
                most = (self._farthest() / size + ROUNDING).floor()  # (D,)
                steps = (delta + NEARLY * delta.sign()).trunc().clamp(-most, most)
            else:
                steps = (delta + ROUNDING * delta.sign()).trunc()
            moved = (x.to(size) + size * steps).clamp(0.0, 1.0).to(x)
            settled = torch.where(counted, moved.where(steps != 0, x), inputs)
        for places in self.groups:
            settled = settled.index_copy(1, _at(places, x), _one(inputs[:, places], x[:, places]))
        return settled

    def _farthest(self) -> Tensor:
        """How far every column may move in linf: (D,)."""
        share = float(self.budget.size) if self.budget.norm == "features" else self.budget.eps
        return self._exactly([share * size for size in self.sizes])

    def _exactly(self, values: Sequence[float]) -> Tensor:
        """In double precision, where the device has it."""
        dtype = torch.float32 if self.x.device.type == "mps" else torch.float64
        return torch.tensor(values, dtype=dtype, device=self.x.device)

    def _measured(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The budget's norm over features, where a change of category counts as its cost; infinite out of reach."""
        delta = (perturbed - x).abs()
        sizes = torch.tensor(self.sizes).to(x)  # (D,)
        relative = delta / sizes if self.budget.norm == "features" else delta
        relative = torch.where(sizes > 0, relative, torch.zeros_like(delta).masked_fill(delta > 0, torch.inf))
        for places in self.groups:
            changed = (delta[:, places] > 0.5).any(1)
            relative[:, places] = 0.0
            relative[:, places[0]] = torch.zeros_like(relative[:, 0]).masked_fill(
                changed, self._measured_cost(places[0])
            )
        norms: Tensor = relative.norm(p=ORDERS[self.points.norm], dim=1)
        return norms.masked_fill(relative.isinf().any(1), torch.inf)  # l0 counts what is infinite as one

    def _pulled(self, gradient: Tensor, x: Tensor) -> Tensor:
        """Within a group towards the best other category, or back to the original where none is better.

        Passed straight through, every category that raises the loss would rise alike by its sign, and none be chosen.
        """
        pulled, down = gradient.clone(), -SECOND if self.points.norm in ("l1", "l0") else -1.0
        for places in self.groups:
            own = x[..., places].bool().expand(gradient[..., places].shape)
            gain = gradient[..., places] - gradient[..., places].where(own, 0.0).sum(-1, keepdim=True)
            best = gain.masked_fill(own, -torch.inf).max(-1, keepdim=True)
            others = (-SLIGHT * best.values.abs()).expand(gain.shape)
            slope = others.scatter(-1, best.indices, best.values)
            pulled[..., places] = torch.where(own, down * best.values, slope)
        return pulled


def _one(group: Tensor, original: Tensor) -> Tensor:
    """The category that takes over, as 0 and 1: (B, K) and (B, K) to (B, K). The original stays only if it is ahead."""
    own = original.bool()
    held = group.where(own, 0.0).sum(1, keepdim=True)  # (B, 1)
    best = group.masked_fill(own, -1.0).max(1, keepdim=True)
    taken = torch.zeros_like(original).scatter(1, best.indices, 1.0)
    return torch.where((best.values >= held) & (best.values > 0), taken, original)


def _at(places: Sequence[int], x: Tensor) -> Tensor:
    return torch.tensor(places, device=x.device)


def _ill_formed(values: Tensor, column: Column) -> Tensor:
    """Which examples have no value that the feature can have: (B, K) to (B,)."""
    if column.group is not None:
        return ((values != 0) & (values != 1)).any(1) | (values.sum(1) != 1)
    if column.step is None:
        return torch.zeros(len(values), dtype=torch.bool, device=values.device)
    steps = values[:, 0] * (column.range / column.step)
    return (steps - steps.round()).abs() > 1e-3 + 1e-6 * column.range / column.step


def _sizes(columns: Sequence[Column], budget: Budget) -> dict[str, float]:
    """The size of every feature in units of its range, of categories the number of changes. Raises ``UsageError``."""
    groups = groups_of(columns)
    written = dict(budget.features)
    if len(written) < len(budget.features):
        raise UsageError(f"the budget {budget} names a feature twice")
    sizes = {}
    for name in written:
        if name != "*" and name not in groups:
            raise unknown_name("feature", name, list(groups))
    for feature, places in groups.items():
        column = columns[places[0]]
        text = written.get(feature, written.get("*", "0"))
        size = Fraction(text.removesuffix("%"))
        if feature in written and size and not column.mutable:
            raise UsageError(f"the budget {budget} gives a size to {feature}, which cannot be changed")
        share = text.endswith("%")
        sizes[feature] = float(size / 100 if share else size / Fraction(column.range))
    return sizes
