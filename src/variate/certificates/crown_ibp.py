"""Interval bounds and bounds of a backward pass for each draw: in linf, tighter than interval bounds alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from variate.certificates.interval import Interval
from variate.random.backward_bounds import backward_margins
from variate.random.interval_bounds import Interval as Box
from variate.random.interval_bounds import NoBoundsError, all_positive, box, verified
from variate.random.keys import Stream
from variate.random.seeding import input_type, left_as_found, under
from variate.registry import certificate


@certificate(
    norms=("linf",),
    modality=("image", "audio", "tabular"),
    deployments=("vote", "single", "survive-N", "majority-S"),
    needs="as interval; chosen by its name",
    cite="Zhang et al. 2020, arXiv:1906.06316 (CROWN-IBP); Gowal et al. 2018, arXiv:1810.12715",
)
@dataclass(frozen=True)
class CrownIbp(Interval):
    """The better of interval bounds and those of a backward pass: a draw counts if either verifies the whole ball.

    A margin is positive on the ball if one of its two lower bounds is. The backward pass, one for each class, runs only
    for the inputs that intervals do not verify. It pays on networks that were not trained on intervals, where it is
    tighter; what it says of draws is what ``interval`` says.
    """

    @classmethod
    def find(cls, network: nn.Module, x: Tensor) -> Interval | None:
        """Bounds of both kinds exist for every operation of a network; None if one has no rule."""
        found, few = super().find(network, x), x[:2].to(input_type(network, x))
        if found is None:
            return None
        with left_as_found(network), under(network, Stream("probe", 3).next()):
            try:
                backward_margins(network, box(few, 0.0), torch.zeros(len(few), dtype=torch.long, device=few.device))
            except NoBoundsError:
                return None
        return found

    def sentence(self) -> str:
        """What is bounded, and in which arithmetic."""
        return super().sentence().replace("interval bounds", "interval bounds and those of a backward pass", 1)

    def verified(self, network: nn.Module, inputs: Box, label: Tensor) -> Tensor:
        """Whether a network answers a label everywhere in a box, for the draw in place: (B,)."""
        done = verified(network, inputs, label)
        rest = (~done).nonzero()[:, 0]
        if len(rest):
            margins = torch.maximum(*backward_margins(network, inputs[rest], label[rest]))
            done[rest] = all_positive(margins, label[rest])
        return done
