"""An entropy bonus that keeps the scales from collapsing."""

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
def entropy(net: RandomNetwork, x: Tensor, y: Tensor) -> Tensor:
    """Minus the mean entropy per parameter in nats, in units of its tensor's size.

    Halving a scale always costs log 2, so no scale can vanish; only the loss it is added to keeps scales from growing.
    Entropy is relative to the size of the tensor (detached), so larger weights do not increase it.

    Args:
        net: the random network.
        x: unused; all objectives have the same arguments.
        y: unused.
    """
    counts = {name: std.numel() for name, std in measures.stds(net).items()}
    units = torch.stack([counts[name] * size.log() for name, size in measures.sizes(net).items()]).sum()
    return (units - measures.entropy(net)) / sum(counts.values())
