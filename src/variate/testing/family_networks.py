"""Conformance of a family in a network: its draws, gradients and scales, and what saving and copying keep."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from variate.options import parse, written
from variate.random import measures
from variate.random.fixing import fixed
from variate.random.randomize import randomize
from variate.random.scale import Share
from variate.testing.slow import slow_forward


def network_findings(text: str, share: Share, *, key: int, scale: float) -> Iterator[str]:
    """Draws of a network agree with the slow twin, survive saving and loading, and share scales as declared."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3))
    name, options = parse(text, "a family")
    net = randomize(module, written(name, {**options, "share": share}), scale=scale)
    x = torch.linspace(-1, 1, 10).view(2, 5)
    with fixed(net, key):
        fast = net(x)
        with torch.no_grad():
            fast_no_grad = net(x)
    expected = slow_forward(net, key, x)
    if not torch.allclose(fast, expected, atol=1e-4) or not torch.allclose(fast_no_grad, expected, atol=1e-4):
        yield f"shared per {share}, the draw of a network differs from that of the slow twin"
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    gradients = zip(*(torch.autograd.grad(o.sum(), learning) for o in (fast, expected)), strict=True)
    if not all(
        torch.allclose(fast_gradient, slow_gradient, rtol=1e-3, atol=1e-3) for fast_gradient, slow_gradient in gradients
    ):
        yield f"shared per {share}, the gradients of a network differ from those of the slow twin"
    reloaded = randomize(nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3)), measures.sites(net)[0].family)
    reloaded.load_state_dict(net.state_dict())
    for copied in (reloaded, copy.deepcopy(net)):
        with fixed(copied, key):
            if not torch.equal(copied(x), fast_no_grad):
                yield f"shared per {share}, a network draws differently after saving and loading or copying"
    sizes = {"element": 200, "channel": 40, "tensor": 1, "network": 1}
    rho = measures.scale_parameters(net)[0]
    if rho.numel() != sizes[share]:
        yield f"shared per {share}, a matrix of 40 by 5 has {rho.numel()} scales, not {sizes[share]}"
