"""The bonus that keeps the scales alive: the entropy of the distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.random import measures
from variate.random.network import RandomNetwork
from variate.registry import objective


@objective(
    needs="distribution", cite="ours; the collapse it prevents: He, Rakin & Fan 2019 (PNI), arXiv:1811.09310, table 1"
)
def entropy(net: RandomNetwork, x: Tensor, y: Tensor) -> Tensor:
    """Minus the mean entropy of a parameter in nats, each measured in units of its tensor's size.

    Every halving of a scale costs log 2 whatever the scale is, so no scale can vanish; nothing holds it from growing
    but the loss that it is added to. Measured in the tensor's own size (detached), it cannot be paid by larger weights.

    Args:
        net: the random network.
        x: unused; every objective has the same arguments.
        y: unused.
    """
    counts = {name: std.numel() for name, std in measures.stds(net).items()}
    units = torch.stack([counts[name] * size.log() for name, size in measures.sizes(net).items()]).sum()
    return (units - measures.entropy(net)) / sum(counts.values())
