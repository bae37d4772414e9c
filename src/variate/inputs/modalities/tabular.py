"""Tables: continuous, discrete and categorical features in their own units, some immutable, one-sided or related."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from variate.errors import UsageError, unknown_name
from variate.inputs.budget import ORDERS, Budget, directed
from variate.inputs.columns import Column, columns_of, groups_of
from variate.inputs.modality import Kept, Modality, Reach, packed
from variate.inputs.relations import Relations
from variate.registry import modality

ROUNDING = 1e-4  # of a step: float32 error below which a step counts as whole
COARSE_ROUNDING = 1e-2  # the same where the number of steps is also bounded by the budget
MARGIN = 1 + 1e-6  # keeps a change of category that a budget just allows within reach despite rounding
OTHERS_SLOPE = 1e-3  # slope against the categories other than the best, relative to its own
ORIGINAL_SLOPE = 0.5  # slope against the original category in norms that favor few changes


@modality(
    norms=("linf", "l2", "l1", "l0", "features"),
    cite="Simonetto et al. 2022, arXiv:2112.01156 (constraints of features)",
)
@dataclass(frozen=True)
class Tabular(Modality):
    """Rows of a table: numeric features scaled by their range, categories one-hot encoded. Shape (B, D).

    Sizes in linf, l2 and l1 are in units of each feature's range, and l0 counts features. A change of category has the
    size of its ``cost``, 1 by default, so within linf:0.1 no such category changes. A budget
    ``features:age=2,income=5%,protocol=1,*=1%`` gives each feature its own size, in its own unit or in percent of its
    range; for a categorical feature, 1 allows a change of category. Features that are not named are not changed, unless
    ``*`` stands for them. ``age=2 up`` lets a value grow but not fall, and ``down`` the other way round; a column can
    also be declared so. Sums and ratios follow the features that they are computed from, and have no size.

    Attributes:
        features: one mapping per column: see ``variate.inputs.columns.Column``. If empty, every column is a mutable
            number in [0, 1].
    """

    features: Sequence[Mapping[str, Any]] = ()

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """32-bit floats, shape (D,), and the declaration of the columns."""
        return Kept(packed(original, "<f4"), packed(perturbed, "<f4"), {"features": list(self.features)})

    def findings(self, x: Tensor) -> Iterator[str]:
        """Inputs of another shape, values between steps, groups without exactly one category."""
        if x.dim() != 2:
            yield f"x has shape {tuple(x.shape)}: one row per example is needed, shape (B, D)"
            return
        columns = columns_of(self.features)
        if columns and x.shape[1] != len(columns):
            yield f"x has {x.shape[1]} columns, but {len(columns)} are declared"
            return
        for feature, indices in groups_of(columns).items():
            bad = _ill_formed(x[:, indices], columns[indices[0]])
            if bool(bad.any()):
                expected = "a whole step" if columns[indices[0]].group is None else "one category"
                yield f"{feature} is not {expected} in {int(bad.sum())} examples, first {int(bad.nonzero()[0, 0])}"
        yield from Relations(columns).findings(x)

    def norm(self, budget: Budget) -> str:
        """Points are bounded in linf if features have sizes of their own."""
        return "linf" if budget.norm == "features" else budget.norm

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Numbers move by their range or their own size, discrete ones in whole steps, groups to one category."""
        self.check(budget)
        columns = columns_of(self.features) or tuple(Column(f"column {i}") for i in range(x.shape[1]))
        if len(columns) != x.shape[1]:
            raise UsageError(f"x has {x.shape[1]} columns, but {len(columns)} are declared")
        return _Table(columns, budget, x).reach()

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """All values that may be changed at all, whatever their sizes."""
        return Budget.parse("linf:1") if budget.norm == "features" else super().whole_range(x, budget)


class _Table:
    """The columns of a batch under one budget."""

    def __init__(self, columns: Sequence[Column], budget: Budget, x: Tensor) -> None:
        self.columns, self.budget, self.x = columns, budget, x
        features = groups_of(columns)
        self.groups = [indices for indices in features.values() if columns[indices[0]].group is not None]
        self.relations = Relations(columns)
        sizes = _sizes(columns, budget) if budget.norm == "features" else dict.fromkeys(features, 1.0)
        self.sizes = [
            sizes[column.feature] if column.mutable and not column.sources else 0.0 for column in columns
        ]  # in units of the range
        changes = _changes(columns, budget)
        self.up, self.down = (self._mask([change == way for change in changes]) for way in ("up", "down"))
        positive = [size for size in self.sizes if size > 0]
        self.smallest = min(positive, default=0.0)
        if budget.norm == "features":
            self.points = Budget.parse(f"linf:{Fraction(self.smallest) * budget.size}")
        else:
            self.points = budget

    def reach(self) -> Reach:
        """The inputs that perturbations of the batch may reach."""
        relative = 1.0 / self.smallest if self.budget.norm == "features" and self.smallest else 1.0
        scale = torch.tensor([self._scale(index) for index in range(len(self.columns))]).to(self.x)[None]  # (1, D)
        steps = [column.step / column.range if column.step else 0.0 for column in self.columns]
        self.steps = self._exactly(steps)  # (D,)
        sided = bool((self.up | self.down).any())
        related = bool(self.relations.derived or self.relations.pairs)
        settles = bool(self.groups) or bool(self.steps.any()) or sided or related
        return Reach(
            self.x,
            self.points,
            unit=relative,
            scale=scale,
            settle=self._settled if settles else None,
            measure=self._measured if self.groups or self.relations.derived else None,
            pull=self._pulled if self.groups or sided or self.relations.derived else None,
        )

    def _scale(self, index: int) -> float:
        """How far a column moves with its point."""
        column, size = self.columns[index], self.sizes[index]
        if size == 0 or column.group is None:
            return size / self.smallest if size else 0.0
        return self._scale_of_category(self._cost(index))

    def _cost(self, index: int) -> float:
        """The cost of a change of category in the unit of the points."""
        if self.budget.norm == "features":
            return self.smallest / self.sizes[index]
        return 1.0 if self.budget.norm == "l0" else self.columns[index].cost

    def _measured_cost(self, index: int) -> float:
        """The cost of a change of category in the user's unit."""
        if self.sizes[index] == 0:
            return float("inf")
        return 1.0 / self.sizes[index] if self.budget.norm == "features" else self._cost(index)

    def _scale_of_category(self, cost: float) -> float:
        """The scale at which exactly the points at least as far as the cost can have another category.

        A category takes over where the sum of its rise and the old one's fall reaches 1: in l1 at 1 / scale, in l2 at
        1 / (scale sqrt(2)). In linf, points on the boundary of the budget reach it if the budget covers the cost.
        """
        if self.points.norm == "l1":
            return MARGIN / cost
        if self.points.norm == "l2":
            return MARGIN / (cost * 2**0.5)
        if self.points.norm == "l0":
            return 2.0
        eps = self.points.eps
        return max(1.0, MARGIN / eps) if eps > 0 and cost <= eps * MARGIN else 0.0

    def _settled(self, inputs: Tensor, x: Tensor) -> Tensor:
        """Undo moves the wrong way, round to whole steps, toward the original, and to one category in every group.

        Then keep the relations between columns.
        """
        inputs = torch.where(self.up, torch.maximum(inputs, x), inputs)
        settled = inputs = torch.where(self.down, torch.minimum(inputs, x), inputs)
        discrete = self.steps > 0
        if bool(discrete.any()):
            size = self.steps.where(discrete, 1.0)
            delta = (inputs.to(size) - x.to(size)) / size
            if self.points.norm == "linf":
                most = (self._farthest() / size + ROUNDING).floor()  # (D,)
                steps = (delta + COARSE_ROUNDING * delta.sign()).trunc().clamp(-most, most)
            else:
                steps = (delta + ROUNDING * delta.sign()).trunc()
            moved = (x.to(size) + size * steps).clamp(0.0, 1.0).to(x)
            settled = torch.where(discrete, moved.where(steps != 0, x), inputs)
        for indices in self.groups:
            settled = settled.index_copy(1, _as_tensor(indices, x), _winner(inputs[:, indices], x[:, indices]))
        return self.relations.keep(settled, x)

    def _farthest(self) -> Tensor:
        """How far every column may move in linf: (D,)."""
        share = float(self.budget.size) if self.budget.norm == "features" else self.budget.eps
        return self._exactly([share * size for size in self.sizes])

    def _exactly(self, values: Sequence[float]) -> Tensor:
        """A tensor in double precision if the device supports it."""
        dtype = torch.float32 if self.x.device.type == "mps" else torch.float64
        return torch.tensor(values, dtype=dtype, device=self.x.device)

    def _mask(self, values: Sequence[bool]) -> Tensor:
        return torch.tensor(values, device=self.x.device)

    def _measured(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The budget's norm over features, with the cost of changed categories; infinite if out of reach."""
        delta = (perturbed - x).abs()
        sizes = torch.tensor(self.sizes).to(x)  # (D,)
        relative = delta / sizes if self.budget.norm == "features" else delta
        relative = torch.where(sizes > 0, relative, torch.zeros_like(delta).masked_fill(delta > 0, torch.inf))
        for indices in self.groups:
            changed = (delta[:, indices] > 0.5).any(1)
            relative[:, indices] = 0.0
            relative[:, indices[0]] = torch.zeros_like(relative[:, 0]).masked_fill(
                changed, self._measured_cost(indices[0])
            )
        relative[:, list(self.relations.derived)] = 0.0  # they follow: see ``Relations``
        norms: Tensor = relative.norm(p=ORDERS[self.points.norm], dim=1)
        return norms.masked_fill(relative.isinf().any(1), torch.inf)  # l0 would count an infinite value as one

    def _pulled(self, gradient: Tensor, x: Tensor, inputs: Tensor) -> Tensor:
        """In each group follow the best other category, or return to the original if none is better.

        With the plain gradient, sign steps would raise all categories that increase the loss alike, and select none.
        A one-sided column at its original value is not pulled the way that it cannot go, which would spend the budget.
        """
        pulled, down = gradient.clone(), -ORIGINAL_SLOPE if self.points.norm in ("l1", "l0") else -1.0
        if self.relations.derived:
            pulled = gradient = self.relations.pulled(gradient, inputs)
        stuck = (self.up & (inputs <= x) & (pulled < 0)) | (self.down & (inputs >= x) & (pulled > 0))
        pulled = pulled.masked_fill(stuck, 0.0)
        for indices in self.groups:
            own = x[..., indices].bool().expand(gradient[..., indices].shape)
            gain = gradient[..., indices] - gradient[..., indices].where(own, 0.0).sum(-1, keepdim=True)
            best = gain.masked_fill(own, -torch.inf).max(-1, keepdim=True)
            other_slopes = (-OTHERS_SLOPE * best.values.abs()).expand(gain.shape)
            slope = other_slopes.scatter(-1, best.indices, best.values)
            pulled[..., indices] = torch.where(own, down * best.values, slope)
        return pulled


def _winner(group: Tensor, original: Tensor) -> Tensor:
    """The winning category, one-hot: (B, K) and (B, K) to (B, K). The original wins only if it is strictly ahead."""
    own = original.bool()
    own_value = group.where(own, 0.0).sum(1, keepdim=True)  # (B, 1)
    best = group.masked_fill(own, -1.0).max(1, keepdim=True)
    new = torch.zeros_like(original).scatter(1, best.indices, 1.0)
    return torch.where((best.values >= own_value) & (best.values > 0), new, original)


def _as_tensor(indices: Sequence[int], x: Tensor) -> Tensor:
    return torch.tensor(indices, device=x.device)


def _ill_formed(values: Tensor, column: Column) -> Tensor:
    """The examples whose value the feature cannot have: (B, K) to (B,)."""
    if column.group is not None:
        return ((values != 0) & (values != 1)).any(1) | (values.sum(1) != 1)
    if column.step is None:
        return torch.zeros(len(values), dtype=torch.bool, device=values.device)
    steps = values[:, 0] * (column.range / column.step)
    return (steps - steps.round()).abs() > 1e-3 + 1e-6 * column.range / column.step


def _sizes(columns: Sequence[Column], budget: Budget) -> dict[str, float]:
    """The size of every feature in units of its range, or of changes if it is categorical. Raises ``UsageError``."""
    groups = groups_of(columns)
    given = dict(budget.features)
    if len(given) < len(budget.features):
        raise UsageError(f"the budget {budget} names a feature twice")
    sizes = {}
    for name in given:
        if name != "*" and name not in groups:
            raise unknown_name("feature", name, list(groups))
    for feature, indices in groups.items():
        column = columns[indices[0]]
        text, _ = directed(given.get(feature, given.get("*", "0")))
        size = Fraction(text.removesuffix("%"))
        if feature in given and size and not column.mutable:
            raise UsageError(f"the budget {budget} gives a size to {feature}, which cannot be changed")
        if feature in given and size and column.sources:
            raise UsageError(
                f"the budget {budget} gives a size to {feature}, which is computed from {' and '.join(column.sources)}",
                todo=f"give sizes to {' and '.join(column.sources)}",
            )
        percent = text.endswith("%")
        sizes[feature] = float(size / 100 if percent else size / Fraction(column.range))
    return sizes


def _changes(columns: Sequence[Column], budget: Budget) -> list[str]:
    """Which way each column may move, as declared and as the budget says. Raises ``UsageError``."""
    given = {name: directed(text)[1] for name, text in budget.features}
    changes: list[str] = []
    for column in columns:
        change = given.get(column.feature, "both")
        if change != "both" and column.group is not None:
            raise UsageError(f"the budget {budget} lets {column.feature} go {change}, but it is categorical")
        if change != "both" and column.change not in ("both", change):
            raise UsageError(
                f"the budget {budget} lets {column.feature} go {change}, but it is declared to go {column.change}"
            )
        if column.feature not in given and column.group is None:
            change = given.get("*", "both")
        changes.append(column.change if column.change != "both" else change)
    return changes
