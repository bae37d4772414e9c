"""Answers in forked processes, as of servers that load before they fork, and of data loaders with workers."""

import os
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from variate.errors import InputError
from variate.random.randomize import randomize
from variate.serving.serving import Served
from variate.training.defense import defended

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

PRELOADED = """
import os, pickle, sys
import torch
import variate

torch.set_num_threads(2)
torch.manual_seed(0)
plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
net = variate.randomize(plain).eval()
net.mean()  # sums large tensors with all threads
served, x = variate.Served(net, 4), torch.rand(8, 1, 28, 28)
if "warm" in sys.argv:
    served(x)
answers = []
for _ in range(2):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, pickle.dumps(served(x).numpy()))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    answers.append(pickle.loads(os.read(reading, 10**6)))
assert abs(answers[0] - answers[1]).max() > 0
assert abs(served(x).exp().sum(1) - 1).max() < 1e-4
"""


@forks
@pytest.mark.parametrize("state", ["loaded", "warm"])
def test_a_served_network_answers_in_forks_of_a_process_with_threads(state):
    """In a process of its own: those of the tests have one thread."""
    done = subprocess.run([sys.executable, "-c", PRELOADED, state], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def in_a_fork(function):
    """What a function returns in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        value = pickle.loads(file.read())
    assert os.waitpid(child, 0)[1] == 0
    return value


@forks
@pytest.mark.parametrize("defense", ["dropout", "ensemble(members=4)", "smoothing", "sap", "random-resize", "rse"])
def test_networks_that_draw_from_torch_draw_anew_in_every_fork(defense):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(3600, 8), nn.ReLU(), nn.Linear(8, 3))
    net, x = defended(defense, plain)[0].eval(), torch.rand(2, 1, 32, 32)

    def answers():
        with torch.no_grad():
            return torch.stack([net(x) for _ in range(8)]).numpy()

    one, other, own = in_a_fork(answers), in_a_fork(answers), answers()
    assert (one != other).any()
    assert (one != own).any()


class Answers(Dataset):
    """Answers of a served network, computed where the data are loaded."""

    def __init__(self, served):
        self.served = served

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.served(torch.ones(1, 4))[0]


@forks
def test_workers_of_a_data_loader_never_repeat_a_draw():
    served = Served(randomize(nn.Linear(4, 3)), 4)
    served(torch.ones(1, 4))
    loader = DataLoader(Answers(served), 4, num_workers=2, multiprocessing_context="fork")
    rows = torch.cat([batch for _ in range(2) for batch in loader])
    assert len({tuple(row.tolist()) for row in rows}) == len(rows) == 16


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


def linear():
    return randomize(nn.Linear(4, 3))


BAD = {
    "an array": (linear, torch.rand(2, 4).numpy(), "a ndarray"),
    "a number": (linear, torch.tensor(1.0), "a single number"),
    "not a number": (linear, torch.full((2, 4), torch.nan), "NaN"),
    "another shape": (linear, torch.rand(2, 5), r"shape \(2, 5\) and type torch.float32"),
    "another type": (linear, torch.ones(2, 4, dtype=torch.int64), "torch.int64"),
    "no batch": (linear, torch.rand(4), "for 4 inputs"),
    "two outputs": (lambda: randomize(Pair(4, 3)), torch.rand(2, 4), "tuple of 2"),
    "another defense": (lambda: defended("smoothing", nn.Linear(4, 3))[0], torch.rand(2, 5), r"\(2, 5\)"),
}


@pytest.mark.parametrize("draws", [1, 8])
@pytest.mark.parametrize("name", BAD)
def test_a_request_that_cannot_be_answered_is_an_input_error(name, draws):
    make, request, words = BAD[name]
    served = Served(make(), draws)
    for _ in range(2):
        with pytest.raises(InputError, match=words):
            served(request)
