"""KL and entropy in every float type, and draws whose last bits do not depend on the number of threads."""

import pytest
import torch
from torch import nn

from variate import registry
from variate.random.randomize import randomize

FAMILIES = [name for name, entry in registry.entries("families").items() if entry.facts["random"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_kl_and_entropy_are_as_precise_in_half_precision(family):
    torch.manual_seed(0)
    net = randomize(nn.Linear(256, 256), family)
    for dtype in (torch.float16, torch.bfloat16):
        half = randomize(nn.Linear(256, 256), family)
        half.load_state_dict(net.state_dict())
        half.to(dtype)
        single = randomize(nn.Linear(256, 256), family)
        single.load_state_dict({name: tensor.float() for name, tensor in half.state_dict().items()})
        for measure in (lambda one: one.kl(0.1), lambda one: one.entropy()):
            value = measure(half)
            assert value.dtype is torch.float32
            assert float(value.detach()) == pytest.approx(float(measure(single).detach()), rel=1e-4)
            value.backward()
    double = randomize(nn.Linear(4, 3), family).double()
    assert double.kl(0.1).dtype is torch.float64
    assert double.entropy().dtype is torch.float64


@pytest.mark.parametrize("options", [{"snr": 5.0}, {"floor": 0.1}, {"share": "network"}, {"share": "channel"}, {}])
def test_draws_do_not_depend_on_threads(options):
    torch.manual_seed(0)
    net, threads = (
        randomize(nn.Sequential(nn.Linear(997, 313), nn.Linear(1, 100_003)), **options),
        torch.get_num_threads(),
    )
    try:
        found = []
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            found.append(list(net.at(3).parameters()))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
