"""U-Net: a class for every position, whatever the sides; and networks that do not serve a task."""

from dataclasses import replace

import pytest
import torch

import variate
from variate import registry
from variate.datasets.info import About
from variate.errors import UsageError
from variate.models.unet import UNet
from variate.tasks.task import task_of
from variate.training.saved import build

SMALL = "scenes(size=16, train=40, validation=20, test=40, objects=2)"
ROWS = About("tabular", (5,), 3)
TARGET = {"target": {"mean": [100.0, -5.0], "std": [20.0, 0.5]}}


@pytest.mark.parametrize("sides", [(16, 16), (7, 10), (1, 5)])
def test_there_are_logits_for_every_position(sides):
    net = UNet((3, *sides), 4, width=2)
    assert net(torch.rand(2, 3, *sides)).shape == (2, 4, *sides)


def test_padding_changes_nothing_far_from_it():
    """The lower right quarter of what is padded differs, the upper left corner does not: it is out of reach."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, x = UNet((1, 64, 64), 2, width=4).eval(), torch.rand(1, 1, 64, 64)
    whole, cut = net(x), net(x[:, :, :62, :62])
    assert torch.allclose(whole[:, :, :32, :32], cut[:, :, :32, :32], atol=1e-5)
    assert not torch.allclose(whole[:, :, 61, :62], cut[:, :, 61], atol=1e-5)


def test_a_small_one_learns_to_segment_scenes_in_a_plain_loop():
    torch.manual_seed(0)
    about = variate.about(SMALL)
    net, task = build("unet(width=8)", about), task_of(about.task)
    x, y = variate.data(SMALL, "train")
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = task.loss(task.read(net(x), x.shape), y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    net.eval()
    with torch.no_grad():
        found = net(x).softmax(1)[:, 0] < 0.5
    there = y > 0
    assert losses[-1] < 0.5 * losses[0]
    assert float((found & there).sum() / (found | there).sum()) > 0.7  # objects are told from the background


@pytest.mark.parametrize(
    ("name", "data"), [("lenet", SMALL), ("unet", "digits"), ("unet", SMALL.replace(")", ", answer=count)"))]
)
def test_a_network_that_does_not_serve_the_task_is_refused_with_those_that_do(name, data):
    about = variate.about(data)
    with pytest.raises(UsageError, match="does not serve the task") as caught:
        build(name, about)
    serving = [
        n
        for n, e in registry.entries("networks").items()
        if task_of(about.task).__class__.__name__.lower() in e.facts["tasks"] and "image" in e.facts["modality"]
    ]
    assert caught.value.expected == f"one of {', '.join(serving)}"


def test_without_any_network_for_a_task_your_own_is_asked_for():
    with pytest.raises(UsageError, match="mlp does not serve the task positions") as caught:
        build("mlp", replace(ROWS, task="positions"))
    assert "module:callable" in caught.value.expected


def test_numbers_come_in_the_unit_of_the_labels():
    facts = replace(ROWS, task="regression(tolerance=1)", classes=2, details=TARGET)
    net = build("mlp", facts)
    x = torch.rand(3, 5)
    inside = net.network(x)
    assert torch.allclose(net(x), torch.tensor([100.0, -5.0]) + torch.tensor([20.0, 0.5]) * inside)
    assert {"mean", "std"} <= set(net.state_dict()) - {name for name, _ in net.named_parameters()}
