"""The curve of a training run: what is measured, at what price, and that it leaves the training as it was."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

from variate.datasets.batches import Batches
from variate.errors import UsageError
from variate.random.randomize import randomize
from variate.records.curve import points_of
from variate.training.cell import Cell
from variate.training.learning_curve import MOST, CurvePlan, plan_of
from variate.training.loader import sample_of
from variate.training.recipe import Recipe
from variate.training.run_folder import describe, train_cell
from variate.training.saved import load, read_card
from variate.training.train import train
from variate.training.validation import robust_accuracy

AT = {"objective": "adversarial", "budget": "linf:0.1", "attack_steps": 2, "validation_steps": 2}


def data(count=100):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 3


def made(*, random=False):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 3))
    return randomize(plain, scale=0.2) if random else plain


def batches(count=100, size=50):
    return Batches(*data(count), batch_size=size, seed=0)


@pytest.mark.parametrize("random", [False, True])
def test_measuring_leaves_the_network_as_it_was(random):
    one, other = made(random=random), made(random=random)
    histories = [
        train(network, batches(), epochs=3, curve_examples=count, validation=data(60), **AT)
        for network, count in ((one, 0), (other, 40))
    ]
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert histories[0].losses == histories[1].losses
    assert histories[0].curve == []
    assert [(p.epoch, p.split, p.examples) for p in histories[1].curve] == [
        (epoch, split, 40) for epoch in (1, 2, 3) for split in ("train", "validation")
    ]


def test_the_points_are_those_that_epochs_are_compared_by():
    """With the same steps and examples, the validation curve and the robust accuracies of ``keep`` are one number."""
    options = {"keep": "best", "validation_examples": 40, "curve_examples": 40}
    history = train(made(random=True), batches(), epochs=3, validation=data(60), **options, **AT)
    assert [point.robust_accuracy for point in points_of(history.curve, "validation")] == history.robust


def test_the_last_point_is_that_of_the_network_that_is_returned():
    network = made()
    history = train(network, batches(), epochs=2, curve_examples=100, **AT)
    (*_, last) = points_of(history.curve, "train")
    x, y = sample_of(batches(), 100)
    expected = robust_accuracy(network, x, y, budget="linf:0.1", steps=2, examples=100, seed=0, epoch=1)
    assert last.robust_accuracy == pytest.approx(expected, abs=0.011)  # other order of the examples, other starts
    assert last.clean == pytest.approx(float((network(x).argmax(1) == y).float().mean()))


@pytest.mark.parametrize("examples", [100, 1000, 10_000, 60_000, 1_000_000])
@pytest.mark.parametrize("epochs", [1, 6, 30, 300])
@pytest.mark.parametrize(("attack_steps", "validation_steps"), [(10, 10), (1, 10), (7, 20)])
def test_a_curve_costs_at_most_two_percent_and_has_the_last_epoch(examples, epochs, attack_steps, validation_steps):
    recipe = Recipe(epochs=epochs, budget="linf:0.1", validation_steps=validation_steps)
    plan = plan_of(recipe, examples=examples, inner_steps=attack_steps)
    if plan is None:
        assert 2 * 128 * (validation_steps + 1) > 0.02 * epochs * examples * (attack_steps + 1)
        return
    points = [epoch for epoch in range(epochs) if plan.is_due(epoch, epochs)]
    price = 2 * plan.examples * len(points) * (validation_steps + 1)
    assert price <= 0.02 * epochs * examples * (attack_steps + 1)
    assert points[-1] == epochs - 1
    assert plan.examples <= MOST


def test_fashion_mnist_is_measured_at_every_epoch():
    recipe = Recipe(epochs=30, budget="linf:0.1")
    assert plan_of(recipe, examples=54_000, inner_steps=10) == CurvePlan(512, 1)


def test_the_inputs_that_a_curve_asks_for_are_few_beside_those_of_the_training():
    network, asked = made(), []
    network.register_forward_hook(lambda module, x, _: asked.append(len(x[0])))
    options = {"epochs": 2, "budget": "linf:0.1", "objective": "adversarial", "attack_steps": 4}
    history = train(network, batches(15_000, 2500), validation_steps=4, **options)
    assert len(points_of(history.curve, "train")) == 2
    assert 0 < sum(asked) - 2 * 15_000 * 5 <= 0.02 * 2 * 15_000 * 5


def test_trainings_without_an_inner_attack_have_a_curve_only_if_told():
    for objective in ("cross-entropy", "interval"):
        options = {"epochs": 40, "budget": "linf:0.05", "objective": objective}
        assert train(made(), batches(1000, 500), **options).curve == []
    told = train(made(), batches(), epochs=1, budget="linf:0.05", curve_examples=20, validation_steps=1)
    assert [point.split for point in told.curve] == ["train"]
    with pytest.raises(UsageError, match="needs a budget"):
        train(made(), batches(), epochs=1, curve_examples=20)


def test_examples_of_a_loader_are_the_same_and_cost_no_random_numbers():
    whole = DataLoader(TensorDataset(*data()), batch_size=10, shuffle=True)
    state = torch.random.get_rng_state()
    (x, y), (again, _) = sample_of(whole, 30), sample_of(whole, 30)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(x, again)
    assert x.shape == (30, 1, 8, 8)
    assert torch.equal(x, sample_of(batches(), 30)[0])
    assert y.shape == (30,)
    part = DataLoader(TensorDataset(*data()), batch_size=10, sampler=SubsetRandomSampler(range(50)))
    assert sample_of(part, 30) is None  # its data set holds what is not trained on
    assert sample_of([data()], 30) is None


def test_the_curve_is_in_the_card_and_in_the_records(tmp_path):
    recipe = Recipe(epochs=2, attack_steps=1, validation_steps=1, curve_examples=30, budget="linf:0.1")
    cell = Cell(data="digits", network="mlp", defense="at", train_examples=100, recipe=recipe)
    card = train_cell(cell, tmp_path)
    assert read_card(tmp_path).curve == card.curve
    assert [(p.epoch, p.split) for p in card.curve] == [(e, s) for e in (1, 2) for s in ("train", "validation")]
    (line,) = describe(card, load(tmp_path), "at")
    assert line.curve == card.curve


def test_the_curve_is_that_of_the_deployed_mean():
    options = {"deployed": "mean-3", "keep": "best", "validation_examples": 40, "curve_examples": 40}
    history = train(made(random=True), batches(), epochs=2, validation=data(60), **options, **AT)
    assert [point.robust_accuracy for point in points_of(history.curve, "validation")] == history.robust
