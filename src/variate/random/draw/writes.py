"""What a module's code writes into its own weights while it runs: done to the means as the plain module would.

``nn.Embedding(max_norm=...)``, a ``clamp_`` of ``weight.data`` and an assignment in a forward change the draw, which is
gone after the forward. The first forward of a network is watched; if it writes, every forward runs a second time on the
means, without gradients, so that what it writes stays. The hooks of old ``spectral_norm``, ``weight_norm`` and pruning
write too: they compute a weight before the forward, and where they belong to the network itself, before its draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from variate.random.draw.shadows import Places


def fingerprints(drawn: Sequence[Tensor]) -> list[tuple[str, str]]:
    """The sum and norm of every tensor, to see whether a forward writes into it."""
    if torch._C._are_functorch_transforms_active() or torch._C._len_torch_dispatch_stack():
        return []
    with torch.no_grad():
        doubles = (tensor.detach().double() for tensor in drawn)
        return [(repr(float(values.sum())), repr(float(values.norm()))) for values in doubles]


def bounds_weights(net: nn.Module) -> bool:
    """Whether an embedding renormalizes the rows that it looks up, which may begin after the first forward."""
    return any(getattr(module, "max_norm", None) is not None for module in net.modules())


def apply_writes(net: nn.Module, places: Places, forward: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Run the forward on the means, for what it writes into them; buffers, modes and random state stay.

    It runs on copies of the buffers: a graph may wait for its backward pass with the buffers as they are.
    """
    places.replaced = False
    parts = list(net.modules())
    modes = [part.training for part in parts]
    buffers = [(part._buffers, dict(part._buffers)) for part in parts]
    for owner, before in buffers:
        owner.update({name: None if buffer is None else buffer.clone() for name, buffer in before.items()})
    try:
        with torch.no_grad(), torch.random.fork_rng(), places.aside():
            forward(net, *args, **kwargs)
    finally:
        for owner, before in buffers:
            owner.clear()
            owner.update(before)
        for part, training in zip(parts, modes, strict=True):
            part.training = training


def apply_makers(net: nn.Module) -> None:
    """Compute again, from the draw, what the network's own hooks computed from the means before its forward."""
    for hook in list(net._forward_pre_hooks.values()):
        if isinstance(hook, SpectralNorm):
            setattr(net, hook.name, hook.compute_weight(net, do_power_iteration=False))
        elif isinstance(hook, WeightNorm | BasePruningMethod):
            hook(net, ())
