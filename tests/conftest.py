import signal
import sys
from pathlib import Path

import pytest
import torch
from pages import ROOT
from strict_skips import ALLOWED, StrictSkips, allowed_reasons, is_strict
from torch import nn
from torchvision_operators import declare_operators

from variate.random.draw.node import Draws
from variate.random.randomize import randomize

sys.path.append(str(Path(sys.prefix) / "peers"))  # what `make test` installs for comparison alone
TORCHVISION = declare_operators()
torch.set_num_threads(1)  # the tensors here are small: a second thread only waits, and slows a busy machine threefold


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell without job control; children would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if is_strict():
        config.pluginmanager.register(StrictSkips(allowed_reasons(ALLOWED)), "strict-skips")


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory):
    """Forget what a test imported from its own folder, from examples or benchmarks: many tests share one process."""
    path, before = [*sys.path], set(sys.modules)
    yield
    sys.path[:] = path
    folders = {tmp_path_factory.getbasetemp(), ROOT / "examples", ROOT / "benchmarks"}
    for name in set(sys.modules) - before:
        if folders & {*Path(getattr(sys.modules[name], "__file__", None) or "").parents}:
            del sys.modules[name]


@pytest.fixture
def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


@pytest.fixture
def net(mlp):
    return randomize(mlp, scale=0.3)


@pytest.fixture
def fixed_keys(monkeypatch):
    """Every key under which a random network was drawn, in order, one by one or in a group."""
    used = []
    draw, many = Draws.draw, Draws.many
    monkeypatch.setattr(Draws, "draw", lambda self, key, *rest: used.append(key) or draw(self, key, *rest))
    monkeypatch.setattr(Draws, "many", lambda self, keys, *rest: used.extend(keys) or many(self, keys, *rest))
    return used


@pytest.fixture
def x():
    return torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def y():
    return torch.arange(5) % 3
