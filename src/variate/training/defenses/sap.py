"""SAP: stochastic activation pruning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.registry import defense
from variate.training.defenses.parts.ranges import above_zero
from variate.training.defenses.parts.surgery import behind_the_first, replaced
from variate.training.noise_layers import Surrounded


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Dhillon et al. 2018, arXiv:1803.01442",
    differs="It prunes what enters a layer, so where there is pooling it comes after that. The examples of a batch "
    "share the uniform numbers that choose.",
)
def sap(network: nn.Module, *, ratio: float = 1.0) -> tuple[nn.Module, str]:
    """Activations are sampled by their size and the others zeroed, at inference only; trained as if it were not there.

    It acts in front of every convolution and linear layer but the one that sees the input.

    Args:
        network: the architecture, initialized or trained.
        ratio: samples per activation, above 0; a sample takes what an earlier one took, so about 1 - 1/e of equal
            activations are kept at 1.

    Returns:
        The network to train, and its objective.

    Raises:
        UsageError: for a network of a single layer.
    """
    above_zero("ratio", ratio)
    found = behind_the_first(network, nn.Conv2d, nn.Linear)
    return replaced(network, {x: Surrounded(x, front=Pruning(ratio)) for x in found}), "cross-entropy"


class Pruning(nn.Module):
    """Keeps the activations that r samples with replacement meet, each divided by its chance to be kept.

    p_i = |a_i| / sum |a|; kept with the chance 1 - (1 - p_i)^r, so the expectation is the activation itself. The
    gradient takes which are kept, and their weights, as constants: on average it is that of the expectation. In train
    mode nothing is pruned.

    Args:
        ratio: r per activation of an example.
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(self, x: Tensor) -> Tensor:
        """Activations of shape (B, ...), some of them zero in eval mode."""
        if self.training:
            return x
        sizes = x.detach().flatten(1).abs().double()  # (B, D)
        samples = max(1, round(self.ratio * sizes.shape[1]))
        shares = sizes / sizes.sum(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        ends = shares.cumsum(1)
        ends = ends / ends[:, -1:].clamp_min(torch.finfo(torch.float64).tiny)  # the last is 1 exactly
        chosen = torch.rand(samples, dtype=torch.float64, device=x.device).sort().values  # (r,), of all examples
        below = torch.searchsorted(chosen, ends)  # (B, D), how many samples fell below the end of each share
        met = below.diff(dim=1, prepend=below.new_zeros(len(x), 1)) > 0
        chances = -torch.expm1(samples * torch.log1p(-shares.clamp(max=1)))
        weights = torch.where(met, 1 / chances.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
        return x * weights.to(x.dtype).view_as(x)
