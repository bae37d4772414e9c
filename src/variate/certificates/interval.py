"""Interval bounds for each draw: a certificate in linf that also holds against an attacker who knows the draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from variate.certificates.mechanism import Floats, Mechanism
from variate.certificates.reading import Reading
from variate.errors import InputError, UsageError
from variate.inputs.budget import Budget
from variate.inputs.validation import checked_logits
from variate.random.interval_bounds import Interval as Box
from variate.random.interval_bounds import box, output_bounds, verified
from variate.random.keys import Stream
from variate.random.seeding import input_type, left_as_found, outputs_under, under
from variate.registry import certificate


@certificate(
    norms=("linf",),
    modality=("image", "audio", "tabular"),
    deployments=("vote", "single", "survive-N", "majority-S"),
    needs="layers that have interval bounds; random weights or none; trained with the objective interval",
    cite="Gowal et al. 2018, arXiv:1810.12715",
)
@dataclass(frozen=True)
class Interval(Mechanism):
    """Interval bounds: a draw counts as right only if it is right on the whole ball.

    With k of n fresh draws verified, Clopper and Pearson bound the probability that a draw is right everywhere in the
    ball. Nothing is assumed of the noise, so this also holds for frozen draws and for draws that the attacker knows.

    Attributes:
        random: whether the network is random; a deterministic one is verified once, without any chance of error.
        budget: the ball in which draws are verified.
        unit: the size of a budget that a change of one value by 1 takes.
    """

    random: bool
    budget: Budget | None = None
    unit: float = 1.0
    norms: ClassVar[tuple[str, ...]] = ("linf",)
    apart: ClassVar[bool] = True
    parted: ClassVar[bool] = False

    @classmethod
    def find(cls, network: nn.Module, x: Tensor) -> Interval | None:
        """Bounds exist for every operation of a network; None if one has no rule."""
        few = x[:2].to(input_type(network, x))
        key = Stream("probe", 3).next()
        with torch.no_grad(), left_as_found(network):
            try:
                with under(network, key):
                    bounds = output_bounds(network, box(few, 0.0))
            except (UsageError, InputError):  # no rule for an operation, or for how the output is read
                return None
            logits = outputs_under(network, few, [key])[0]
            changes = [not torch.equal(outputs_under(network, few, [key + i])[0], logits) for i in (1, 2)]
        if not torch.allclose(bounds.center, logits.to(bounds.center), rtol=1e-3, atol=1e-4):
            return None
        return cls(random=any(changes))

    def in_unit(self, unit: float) -> Interval:
        """The same for budgets in another unit."""
        return replace(self, unit=unit)

    def within(self, budget: Budget) -> Interval:
        """The same for draws that are verified within a budget."""
        return replace(self, budget=budget)

    def remains(self, p: Floats, budget: Budget) -> Floats:
        """All of it: p is already the probability of being right everywhere in the ball."""
        return np.asarray(p)

    def radius(self, p: Floats, norm: str) -> Floats:
        """The size of the ball where more than one half is verified, else 0."""
        return np.where(p > 0.5, 0.0 if self.budget is None else self.budget.eps, 0.0)

    def probability(self, budget: Budget) -> float:
        """One half."""
        return 0.5

    def sentence(self) -> str:
        """What is bounded, and in which arithmetic."""
        whose = "for each draw of the weights, " if self.random else ""
        also = "; it also holds if the attacker knows the draw" if self.random else ""
        return f"interval bounds {whose}in floating point without outward rounding{also}"

    def verified(self, network: nn.Module, inputs: Box, label: Tensor) -> Tensor:
        """Whether a network answers a label everywhere in a box, for the draw in place: (B,)."""
        return verified(network, inputs, label)

    def votes(self, network: nn.Module, x: Tensor, keys: Sequence[int], votes_of: int, reading: Reading) -> Tensor:
        """The label of every draw where it is verified in the whole ball, else -1; any label without a budget."""
        if votes_of != 1:
            raise UsageError("interval bounds verify single draws", expected="votes_of=1")
        if self.budget is None:
            return reading.each(outputs_under(network, x, keys))
        x = x.to(input_type(network, x))
        inputs, labels = box(x, self.budget.eps / self.unit), []
        with torch.no_grad():
            for key in keys:
                with under(network, key):
                    label = checked_logits(network(x.clone()), x).argmax(-1)  # (B,)
                    labels.append(torch.where(self.verified(network, inputs, label), label, -1))
        return torch.stack(labels)
