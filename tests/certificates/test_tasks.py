"""Certificates of one logit are those of two, and of tasks without one class nothing is proved."""

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import variate
from variate.certificates.certify import certify
from variate.errors import InputError, UsageError
from variate.random.randomize import randomize

X = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 1])
FEW = {"draws": 200, "radii": [0.1, 0.2]}


class TwoLogits(nn.Module):
    """One logit z as two: 0 and z."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        z = self.network(x)
        return torch.cat([torch.zeros_like(z), z], 1)


def network():
    torch.manual_seed(0)
    layers = nn.Sequential(variate.Shift((4,)), nn.Linear(4, 1))
    with torch.no_grad():
        layers[1].weight.copy_(torch.tensor([[3.0, -2.0, 1.0, 2.0]]))
        layers[1].bias.fill_(-2.0)
    return randomize(layers, {"0.bias": "normal(scale=0.25, learn=no)", "*": "fixed"}).eval()


def test_one_logit_is_certified_as_the_two_that_say_the_same():
    one, two = certify(network(), X, Y, task="binary", **FEW), certify(TwoLogits(network()), X, Y, **FEW)
    assert torch.equal(one.label, two.label)
    assert torch.equal(one.radius, two.radius)
    assert float(one.radius.max()) > 0
    assert [row.rate for row in one.rows] == [row.rate for row in two.rows]


def test_a_binary_label_is_0_or_1():
    with pytest.raises(InputError, match="label 2"):
        certify(network(), X, torch.tensor([0, 1, 2]), task="binary", **FEW)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("labels", "certify each label by itself"),
        ("positions", "one class"),
        ("regression(tolerance=1)", "expected: the task classes or binary"),
        ("transcript(symbols=3)", "measure instead"),
    ],
)
def test_other_tasks_are_refused_with_the_reason(task, words):
    with pytest.raises(UsageError, match=words):
        certify(network(), X, Y, task=task, **FEW)


OWN = """
import torch, variate
from torch import nn

def network():
    layers = nn.Sequential(variate.Shift((4,)), nn.Linear(4, 1))
    return variate.randomize(layers, {"0.bias": "normal(scale=0.25, learn=no)", "*": "fixed"}).eval()

def data():
    return torch.rand(4, 4).numpy(), torch.arange(4).numpy() % 2
"""


def test_the_command_takes_the_task(tmp_path, monkeypatch):
    from variate.cli.main import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "one_logit.py").write_text(OWN)
    words = ["certify", "one_logit.py:network", "--data", "one_logit.py:data", "--out", "out", "--draws", "100"]
    done = CliRunner().invoke(app, [*words, "--radii", "0.1", "--task", "binary", "--quiet"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, [*words, "--radii", "0.1", "--task", "labels", "--quiet"])
    assert done.exit_code != 0
    assert "Traceback" not in done.output
