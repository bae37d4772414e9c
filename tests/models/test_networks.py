"""Every registered network, on every modality and task that it says it serves: answers are read, and can be learned."""

from dataclasses import replace

import pytest
import torch

from variate import registry
from variate.datasets.info import About
from variate.models.parts.rescaled import Rescaled
from variate.tasks.task import task_of
from variate.training.saved import build

FACTS = {
    "image": About("image", (1, 16, 16), 3),
    "tabular": About("tabular", (5,), 3),
    "text": About("text", (8, 1), 3, details={"words": ["", "?", *"abc"]}),
    "audio": About("audio", (1, 4096), 3, details={"rate": 8000}),
}
TARGET = {"target": {"mean": [100.0, -5.0], "std": [20.0, 0.5]}}
TASKS = {
    "classes": ("classes", 3, torch.tensor([0, 2])),
    "binary": ("binary", 2, torch.tensor([0, 1])),
    "labels": ("labels", 4, torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0]])),
    "regression": ("regression(tolerance=1)", 2, torch.tensor([[90.0, -5.0], [130.0, -4.0]])),
    "transcript": ("transcript(symbols=3)", 3, torch.tensor([[0, 2], [1, -1]])),
}
POSITIONS = {"image": ("positions", (16, 16)), "text": ("positions(classes=last)", (8,))}
SERVED = [
    (name, kind, task)
    for name, entry in registry.entries("networks").items()
    if name != "encoder"  # built from a folder of weights: see test_encoder
    for kind in entry.facts["modality"]
    for task in entry.facts["tasks"]
]


def test_tasks_of_networks_are_tasks():
    assert {task for entry in registry.entries("networks").values() for task in entry.facts["tasks"]} <= {
        *registry.entries("tasks")
    }


@pytest.mark.parametrize(("name", "kind", "served"), SERVED)
def test_a_network_answers_and_learns_every_task_that_it_serves(name, kind, served):
    torch.manual_seed(0)
    if served == "positions":
        text, shape = POSITIONS[kind]
        classes, y = 3, torch.randint(3, (2, *shape))
    else:
        text, classes, y = TASKS[served]
    facts = replace(FACTS[kind], task=text, classes=classes)
    facts = replace(facts, details={**facts.details, **(TARGET if served == "regression" else {})})
    net, task, x = build(name, facts), task_of(text), facts.modality.example(facts.shape)
    assert isinstance(net, Rescaled) == (served == "regression")
    outputs = task.read(net(x), tuple(x.shape))
    task.check_labels(y, len(x))
    task.check(outputs.shape[1], y)
    loss = task.loss(outputs, y).mean()
    loss.backward()
    assert bool(loss.detach().isfinite())
    last = [parameter.grad for parameter in net.parameters() if parameter.requires_grad][-1]
    assert float(last.abs().sum()) > 0
