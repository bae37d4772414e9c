"""Relations between the columns of a table: sums, ratios and upper limits, kept by every change of a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from variate.inputs.columns import Column

WHOLE = 1e-4  # of a step: rounding error below which a step counts as whole
ROUNDING = 1e-6  # of the ranges of two features: float32 error below which one does not exceed the other
MISFIT = 0.01  # of the range: by how much a sum or a ratio in a table may differ, because tables round


class Relations:
    """The relations between the columns of a table.

    Args:
        columns: the columns, valid ones.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        places = {column.name: index for index, column in enumerate(columns) if column.group is None}
        self.derived = {
            index: [places[name] for name in column.sources] for index, column in enumerate(columns) if column.sources
        }
        self.pairs = [(index, places[column.at_most]) for index, column in enumerate(columns) if column.at_most]

    def findings(self, x: Tensor) -> Iterator[str]:
        """Relations that rows, (B, D), do not keep."""
        for index in self.derived:
            bad = (self._computed(x, index) - x[:, index]).abs() > MISFIT
            yield from self._broken(bad, f"{self._columns[index].name} is not the {self._columns[index].limits[0]}")
        for low, high in self.pairs:
            bad = self._own(x, low) > self._own(x, high) + self._slack(low, high)
            yield from self._broken(bad, f"{self._columns[low].name} exceeds {self._columns[high].name}")

    def keep(self, inputs: Tensor, x: Tensor) -> Tensor:
        """Change rows as little as needed to keep the relations: (N, D) and originals (N, D) to (N, D).

        A value above its limit returns toward its original, and then the limit does, if the value is there already.
        Sums and ratios are computed from the others; where none of these has changed, they have not either.
        """
        kept = self._ordered(inputs, x) if self.pairs else inputs
        for index, sources in self.derived.items():
            moved = (kept[:, sources] != x[:, sources]).any(1)
            follows = self._computed(kept, index).to(x).where(moved, x[:, index])
            kept = kept.index_copy(1, torch.tensor([index], device=x.device), follows[:, None])
        return kept

    def pulled(self, gradient: Tensor, inputs: Tensor) -> Tensor:
        """Hand the gradient in sums and ratios on to what they are computed from: (..., N, D) and (N, D)."""
        pulled = gradient.clone()
        for index, sources in self.derived.items():
            for source, slope in zip(sources, self._slopes(inputs, index), strict=True):
                pulled[..., source] += gradient[..., index] * slope.to(gradient)
            pulled[..., index] = 0.0
        return pulled

    def _own(self, values: Tensor, index: int) -> Tensor:
        """One column in its own unit, in double precision if the device supports it: (N, D) to (N,)."""
        column = self._columns[index]
        return column.low + column.range * _precise(values[:, index])

    def _computed(self, values: Tensor, index: int) -> Tensor:
        """A sum or a ratio, in [0, 1]: (N, D) to (N,)."""
        column = self._columns[index]
        parts = [self._own(values, source) for source in self.derived[index]]
        own = torch.stack(parts).sum(0) if column.sum_of else parts[0] / parts[1]
        if column.step:
            own = column.low + ((own - column.low) / column.step).round() * column.step
        return ((own - column.low) / column.range).clamp(0.0, 1.0)

    def _slopes(self, values: Tensor, index: int) -> list[Tensor]:
        """Derivatives of a sum or a ratio in its sources, all in [0, 1]: (N, D) to one of (N,) each."""
        sources, whole = self.derived[index], self._columns[index].range
        shares = [self._columns[source].range / whole for source in sources]
        if self._columns[index].sum_of:
            return [torch.full_like(values[:, 0], share) for share in shares]
        above, below = (self._own(values, source) for source in sources)
        return [shares[0] / below, -shares[1] * above / below.square()]

    def _ordered(self, inputs: Tensor, x: Tensor) -> Tensor:
        """Return values that exceed their limits toward their originals: (N, D) and (N, D) to (N, D)."""
        kept = inputs
        for _ in range(len(self.pairs) + 1):  # a value that returns may be the limit of another
            before = kept
            for low, high in self.pairs:
                limit = self._own(kept, high)
                over = self._own(kept, low) > limit + self._slack(low, high)
                kept = self._returned(kept, x, low, over, limit)
                floor = self._own(kept, low)
                over &= floor > self._own(kept, high) + self._slack(low, high)
                kept = self._returned(kept, x, high, over, floor)
            if kept is before or torch.equal(kept, before):
                return kept
        bound = sorted({index for pair in self.pairs for index in pair})
        still = torch.stack([self._own(kept, a) > self._own(kept, b) + self._slack(a, b) for a, b in self.pairs]).any(0)
        columns = torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
        columns[bound] = True
        return torch.where(still[:, None] & columns, x, kept)

    def _returned(self, values: Tensor, x: Tensor, index: int, rows: Tensor, limit: Tensor) -> Tensor:
        """Move one column of some rows toward its original, in its own unit just to a limit, by whole steps."""
        if not bool(rows.any()):
            return values
        column = self._columns[index]
        original = self._own(x, index)
        length = (self._own(values, index) - original).abs()
        most = ((limit - original) * (self._own(values, index) - original).sign()).clamp(min=0.0)
        if column.step:
            most = (most / column.step + WHOLE).floor() * column.step
        moved = original + torch.minimum(length, most) * (self._own(values, index) - original).sign()
        scaled = ((moved - column.low) / column.range).clamp(0.0, 1.0).to(x)
        new = scaled.where(most > 0, x[:, index]).where(rows & (most < length), values[:, index])
        return values.index_copy(1, torch.tensor([index], device=x.device), new[:, None])

    def _slack(self, low: int, high: int) -> float:
        return ROUNDING * (self._columns[low].range + self._columns[high].range)

    @staticmethod
    def _broken(bad: Tensor, problem: str) -> Iterator[str]:
        if bool(bad.any()):
            yield f"{problem} in {int(bad.sum())} examples, first {int(bad.nonzero()[0, 0])}"


def _precise(values: Tensor) -> Tensor:
    return values if values.device.type == "mps" else values.double()
