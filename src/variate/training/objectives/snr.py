"""A ceiling on the signal-to-noise ratio of every parameter tensor, which keeps the scales from collapsing."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.random import measures
from variate.random.network import RandomNetwork
from variate.registry import objective


@objective(
    labels=False,
    needs="distribution",
    cite="ours; the collapse it prevents: He, Rakin & Fan 2019 (PNI), arXiv:1811.09310, table 1",
)
def snr(net: RandomNetwork, x: Tensor, y: Tensor, *, target: float = 5.0) -> Tensor:
    """Mean over parameter tensors of relu(log snr - log target)^2, with snr = rms(mean) / rms(std).

    Under cross-entropy alone, noise only costs accuracy, so the learned scales shrink until the network is effectively
    deterministic. This term is zero while a tensor's noise is at least 1/target of its size, and pulls the scales back,
    in log units, below that. It is relative to the tensor's size (detached), so neither growing nor shrinking the
    weights avoids it, and within a tensor the data decide which elements are noisy.

    Args:
        net: the random network.
        x: unused; all objectives have the same arguments.
        y: unused.
        target: largest signal-to-noise ratio without penalty, above 0.
    """
    sizes = measures.sizes(net)
    ratios = [(sizes[name] / std.square().mean().sqrt()).log() for name, std in measures.stds(net).items()]
    excess = torch.stack(ratios) - torch.log(torch.tensor(target))  # (number of tensors,)
    return excess.relu().square().mean()
