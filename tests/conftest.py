import pytest
import torch
from torch import nn

from variate.random import fixing
from variate.random.randomize import randomize

torch.set_num_threads(1)  # the tensors here are small: a second thread only waits, and slows a busy machine threefold


@pytest.fixture
def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


@pytest.fixture
def net(mlp):
    return randomize(mlp, scale=0.3)


@pytest.fixture
def fixed_keys(monkeypatch):
    """Every key that was fixed for a random network, in order."""
    used = []
    check = fixing.check_key
    monkeypatch.setattr(fixing, "check_key", lambda key: used.append(key) or check(key))
    return used


@pytest.fixture
def x():
    return torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def y():
    return torch.arange(5) % 3
