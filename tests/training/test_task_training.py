"""Training on other tasks than classes: the task's loss, inside and outside adversarial training."""

import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.inputs.budget import Budget
from variate.random.keys import Stream
from variate.tasks.task import task_of
from variate.training.inner_attack import InnerAttack
from variate.training.validation import accuracy, robust_answers

X = torch.rand(96, 1, 6, 6, generator=torch.Generator().manual_seed(0))
TASKS = {
    "regression(tolerance=0.1)": (X.flatten(1).mean(1), 1),
    "labels": ((X.flatten(1)[:, :3] > 0.5).long(), 3),
    "binary": ((X.flatten(1).mean(1) > 0.5).long(), 1),
}


def vector(width):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, width))


def segmenter():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize("task", [*TASKS, "positions"])
@pytest.mark.parametrize("objective", ["cross-entropy", "adversarial"])
def test_training_raises_the_score(task, objective):
    network = segmenter() if task == "positions" else vector(TASKS[task][1])
    y = (X[:, 0] > 0.5).long() if task == "positions" else TASKS[task][0]
    net = variate.randomize(network, scale=0.01)
    before = accuracy(net.eval(), X, y, seed=0, epoch=0, task=task_of(task))
    history = variate.train(
        net.train(), [(X, y)], task=task, objective=objective, budget="linf:0.02", attack_steps=2, epochs=60, lr=0.05,
        validation=(X, y),
    )  # fmt: skip
    assert history.losses[-1] < history.losses[0]
    assert history.validation[-1] > max(before, 0.6)
    robust = robust_answers(net, X, y, budget="linf:0.02", steps=5, seed=0, epoch=0, task=task_of(task))
    assert robust.double().mean() <= history.validation[-1] + 0.05


def test_the_inner_attack_raises_the_margin_within_its_budget():
    task, network = task_of("regression(tolerance=0.1)"), vector(1)
    y = network(X).detach()[:, 0]
    inner = InnerAttack(network, Stream("train", 0), Budget.parse("linf:0.05"), steps=5, seed=0, task=task)
    perturbed = inner(X, y)
    assert (perturbed - X).abs().max() <= 0.05 + 1e-6
    assert (task.margin(network(perturbed), y) > task.margin(network(X), y)).all()
    scores = robust_answers(network, X, y, budget="linf:0.05", steps=5, seed=0, epoch=0, task=task)
    assert scores.dtype == torch.float32
    assert scores.mean() < 1


def test_an_objective_of_classes_is_refused():
    y, width = TASKS["labels"]
    with pytest.raises(UsageError, match="trades is one of classes"):
        variate.train(vector(width), [(X, y)], task="labels", objective="trades", budget="linf:0.1", epochs=1)
    net = variate.randomize(vector(width))
    variate.train(net, [(X, y)], task="labels", objective="cross-entropy+snr", epochs=1)  # snr looks at no labels


def test_labels_that_do_not_fit_are_explained():
    y, width = TASKS["labels"]
    with pytest.raises(InputError, match="3 outputs, but y has 2 labels"):
        variate.train(vector(width), [(X, y[:, :2])], task="labels", objective="cross-entropy", epochs=1)
    with pytest.raises(InputError, match="labels\\) is needed"):
        variate.train(vector(width), [(X, y[:, 0])], task="labels", objective="cross-entropy", epochs=1,
                      validation=(X, y[:, 0]))  # fmt: skip
