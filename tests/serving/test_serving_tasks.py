"""Served networks of every task: an answer is what the task makes of fresh draws, in the form of its labels."""

import copy

import pytest
import torch
from torch import nn

from variate.errors import InputError, UsageError
from variate.random.randomize import randomize
from variate.random.seeding import outputs_under
from variate.serving.serving import Served
from variate.tasks.task import task_of


class Parts(nn.Module):
    """Returns its answer as a part of a dictionary, as Hugging Face models do."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return {"loss": None, "logits": self.network(x)}


class Frames(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, x):
        return self.layer(x[:, :, :3])  # (B, T, 4)


def flat(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(18, width))


CASES = {
    "classes": ("classes", lambda: flat(4), (2, 3, 6), (2,)),
    "binary": ("binary", lambda: Parts(flat(1)), (2, 3, 6), (2,)),
    "labels": ("labels", lambda: flat(5), (2, 3, 6), (2, 5)),
    "positions": ("positions", lambda: Parts(nn.Conv2d(1, 3, 2, stride=2)), (2, 1, 4, 6), (2, 4, 6)),
    "tags": ("positions(classes=last)", Frames, (2, 5, 3), (2, 5)),
    "regression": ("regression(tolerance=0.5)", lambda: flat(2), (2, 3, 6), (2, 2)),
    "transcript": ("transcript(symbols=3)", Frames, (2, 5, 3), None),
}


def served(name, draws, monkeypatch=None, **options):
    task, make, shape, _ = CASES[name]
    torch.manual_seed(0)
    net = randomize(make(), scale=0.8).eval()
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    return Served(net, draws, task=task, **options), task_of(task), x


@pytest.mark.parametrize("together", ["mean", "majority"])
@pytest.mark.parametrize("name", CASES)
def test_an_answer_is_what_the_task_makes_of_its_draws(name, together, monkeypatch):
    server, task, x = served(name, 5, together=together)
    keys = list(range(1, 6))
    monkeypatch.setattr("variate.serving.serving.fresh_keys", lambda count: keys[:count])
    drawn = outputs_under(server.network, x, keys)
    shape = CASES[name][3]
    y = torch.zeros(shape or (2, 5), dtype=torch.long)
    outputs = getattr(task, together)(drawn, y)
    torch.testing.assert_close(server(x), outputs, rtol=1e-4, atol=1e-5)
    answer = server.answer(x)
    assert torch.equal(answer.values, server.labels(x))
    if shape is not None:
        assert answer.values.shape == shape
    if name in ("regression", "transcript"):
        assert answer.confidence is None
    else:
        assert answer.confidence.shape == shape
        assert float(answer.confidence.min()) >= (0.2 if together == "majority" else 1 / 4)
        assert float(answer.confidence.max()) <= 1
    if name == "regression":
        middle = drawn.sort(0).values[2] if together == "majority" else drawn.mean(0)
        torch.testing.assert_close(answer.values, middle)
    if name == "transcript":
        assert [[s for s in row if s >= 0] for row in answer.values.tolist()] == task.decoded(outputs)


def test_a_certain_answer_has_its_own_score():
    """The task finds nothing wrong with what it says itself: values have the form of its labels."""
    for name in CASES:
        server, task, x = served(name, 3)
        outputs, values = server(x), None
        values = task.decided(outputs, torch.zeros(CASES[name][3] or (2, 5), dtype=torch.long))
        spelled = values if values.numel() else torch.zeros(2, 1, dtype=torch.long)
        if name == "transcript" and bool((spelled < 0).all(1).any() or not values.numel()):
            continue  # nothing was said, which cannot be a label
        assert list(task.label_findings(values, 2)) == []
        assert task.score(outputs, values).tolist() == [1.0, 1.0], name


def test_the_confidence_of_a_binary_answer_is_the_sigmoid_of_its_logit():
    net = flat(1).eval()
    x = torch.rand(4, 3, 6)
    logit = net(x)[:, 0]
    answer = Served(net, task="binary").answer(x)
    assert torch.equal(answer.values, (logit > 0).long())
    torch.testing.assert_close(answer.confidence, logit.abs().sigmoid().detach())


def test_a_majority_is_as_confident_as_draws_agree(monkeypatch):
    server, task, x = served("positions", 7, together="majority")
    monkeypatch.setattr("variate.serving.serving.fresh_keys", lambda count: list(range(1, count + 1)))
    y = torch.zeros(2, 4, 6, dtype=torch.long)
    each = torch.stack([task.decided(draw, y) for draw in outputs_under(server.network, x, range(1, 8))])
    answer = server.answer(x)
    torch.testing.assert_close(answer.confidence, (each == answer.values).double().mean(0).to(answer.confidence))


def test_draws_are_fresh_and_a_copy_serves_the_same_task():
    server, _, x = served("positions", 2)
    other = copy.deepcopy(server)
    assert other.answer(x).values.shape == (2, 4, 6)
    assert not torch.equal(server(x), server(x))


def test_mistakes_are_told():
    with pytest.raises(UsageError, match="no task"):
        Served(flat(2), task="clases")
    with pytest.raises(UsageError, match="way to answer together"):
        Served(flat(2), together="vote")
    with pytest.raises(InputError, match="one logit per example"):
        Served(flat(2).eval(), task="binary").answer(torch.rand(2, 3, 6))
