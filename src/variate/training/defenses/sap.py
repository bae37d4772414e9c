"""SAP: stochastic activation pruning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.random.reseeding import reseed_after_fork
from variate.registry import defense
from variate.training.defenses.parts.ranges import check_above_zero
from variate.training.defenses.parts.surgery import layers_after_first, replaced
from variate.training.noise_layers import Surrounded

reseed_after_fork()


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Dhillon et al. 2018, arXiv:1803.01442",
    differs="It prunes the input of a layer, so after pooling where there is pooling. All examples of a batch share "
    "the uniform numbers of the sampling.",
)
def sap(network: nn.Module, *, ratio: float = 1.0) -> tuple[nn.Module, str]:
    """Activations are sampled by magnitude and the others zeroed, at inference only; plain cross-entropy.

    It acts before every convolution and linear layer except the first.

    Args:
        network: the architecture, initialized or trained.
        ratio: samples per activation, above 0. Sampling is with replacement, so with a ratio of 1 about 1 - 1/e of
            equal activations are kept.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: if the network has a single layer.
    """
    check_above_zero("ratio", ratio)
    hidden_layers = layers_after_first(network, nn.Conv2d, nn.Linear)
    return replaced(
        network, {layer: Surrounded(layer, front=Pruning(ratio)) for layer in hidden_layers}
    ), "cross-entropy"


class Pruning(nn.Module):
    """Keeps the activations that r samples with replacement hit, each divided by its probability to be kept.

    p_i = |a_i| / sum |a|; kept with probability 1 - (1 - p_i)^r, so the expectation is the activation itself. The
    gradient treats the selection and the weights as constants; on average it is that of the expectation. In train mode
    nothing is pruned.

    Args:
        ratio: r divided by the number of activations of an example.
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(self, x: Tensor) -> Tensor:
        """Zero some of the activations, shape (B, ...), in eval mode."""
        if self.training:
            return x
        sizes = x.detach().flatten(1).abs().double()  # (B, D)
        samples = max(1, round(self.ratio * sizes.shape[1]))
        shares = sizes / sizes.sum(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        ends = shares.cumsum(1)
        ends = ends / ends[:, -1:].clamp_min(torch.finfo(torch.float64).tiny)  # the last is exactly 1
        uniform = (
            torch.rand(samples, dtype=torch.float64, device=x.device).sort().values
        )  # (r,), shared by all examples
        below = torch.searchsorted(uniform, ends)  # (B, D), samples below the end of each share
        hit = below.diff(dim=1, prepend=below.new_zeros(len(x), 1)) > 0
        keep_probability = -torch.expm1(samples * torch.log1p(-shares.clamp(max=1)))
        weights = torch.where(hit, 1 / keep_probability.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
        return x * weights.to(x.dtype).view_as(x)
