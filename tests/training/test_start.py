"""Fine-tuning: a saved deterministic network becomes the means, and the scales are relative to it."""

import json
from dataclasses import replace

import pytest
import torch

from variate.errors import CheckpointError, UsageError
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell
from variate.training.saved import load

PLAIN = Cell(data="digits", network="mlp", defense="deterministic", recipe=Recipe(epochs=1))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "plain"
    train_cell(PLAIN, folder)
    return folder


def test_the_parameters_become_the_means_and_the_scales_are_relative_to_them(plain, tmp_path):
    still = Recipe(epochs=1, lr=0.0, optimizer="sgd")  # a step of no length: the network ends as it began
    card = train_cell(replace(PLAIN, defense="random", start=plain, recipe=still), tmp_path / "run")
    begun, network = load(plain), load(tmp_path / "run")
    sizes = network.sizes()
    for name, parameter in begun.named_parameters():
        assert torch.equal(network.get_parameter(name), parameter)
        torch.testing.assert_close(network.stds()[name].square().mean().sqrt(), 0.2 * sizes[name])
    assert card.training["start"] == json.loads((plain / "card.json").read_text())["fingerprint"]


def test_a_random_network_starts_from_its_adversarially_trained_twin(tmp_path):
    recipe = Recipe(epochs=1, attack_steps=1, budget="linf:0.05")
    twin = replace(PLAIN, defense="at", train_examples=200, recipe=recipe)
    train_cell(twin, tmp_path / "at")
    still = replace(recipe, lr=0.0, optimizer="sgd", schedule="linear")
    train_cell(replace(twin, defense="random-at", start=tmp_path / "at", recipe=still), tmp_path / "random-at")
    begun, network = load(tmp_path / "at"), load(tmp_path / "random-at")
    assert all(torch.equal(network.get_parameter(name), parameter) for name, parameter in begun.named_parameters())
    assert set(network.stds()) == dict(begun.named_parameters()).keys()


def test_a_fine_tuned_network_begins_better(plain, tmp_path):
    fresh = train_cell(replace(PLAIN, recipe=Recipe(epochs=1, seed=5)), tmp_path / "fresh")
    tuned = train_cell(replace(PLAIN, recipe=Recipe(epochs=1, seed=5), start=plain), tmp_path / "tuned")
    assert tuned.history["losses"][0] < 0.7 * fresh.history["losses"][0]


def test_a_start_of_another_kind_is_refused(plain, tmp_path):
    with pytest.raises(CheckpointError, match="holds a mlp, and the network to train is a lenet"):
        train_cell(replace(PLAIN, network="lenet", start=plain), tmp_path / "a")
    train_cell(replace(PLAIN, defense="random"), tmp_path / "random")
    with pytest.raises(CheckpointError, match="holds a random network"):
        train_cell(replace(PLAIN, start=tmp_path / "random"), tmp_path / "b")
    with pytest.raises(CheckpointError, match="no saved network"):
        train_cell(replace(PLAIN, start=tmp_path / "nowhere"), tmp_path / "c")


def test_a_start_whose_tensors_are_not_its_cards_is_refused(plain, tmp_path):
    train_cell(replace(PLAIN, recipe=Recipe(epochs=1, seed=1)), tmp_path / "other")
    (tmp_path / "other" / "card.json").write_text((plain / "card.json").read_text())
    with pytest.raises(CheckpointError, match="not those of its card"):
        train_cell(replace(PLAIN, start=tmp_path / "other"), tmp_path / "a")


def test_a_finished_network_with_another_start_is_not_the_same(plain, tmp_path):
    cell = replace(PLAIN, start=plain)
    card = train_cell(cell, tmp_path)
    assert train_cell(cell, tmp_path) == card
    with pytest.raises(UsageError, match="trained otherwise") as error:
        train_cell(PLAIN, tmp_path)
    assert any(finding.startswith("start: ") for finding in error.value.findings)


def test_a_card_from_before_an_option_is_that_of_its_default(plain, tmp_path):
    card = json.loads((plain / "card.json").read_text())
    del card["training"]["ema"], card["training"]["start"]
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert train_cell(PLAIN, tmp_path).fingerprint == card["fingerprint"]
    with pytest.raises(UsageError, match="trained otherwise"):
        train_cell(replace(PLAIN, recipe=Recipe(epochs=1, ema=0.9)), tmp_path)


def test_pretrained_weights_as_a_prior_come_back_with_the_network(plain, tmp_path):
    priors = ("*.weight: normal(at=pretrained, scale=0.1)", "*: normal(scale=0.5)")
    recipe = Recipe("elbo", priors=priors, epochs=1, lr=0.01)
    cell = replace(PLAIN, defense="random", start=plain, recipe=recipe, train_examples=200)
    card = train_cell(cell, tmp_path / "run")
    assert train_cell(cell, tmp_path / "run") == card  # finished: kept as it is
    begun, network = load(plain), load(tmp_path / "run")
    for name, parameter in begun.named_parameters():
        assert not torch.equal(network.get_parameter(name), parameter)
        if name.endswith("weight"):
            assert torch.equal(network.get_buffer(f"{name}_prior"), parameter)
    assert set(card.priors) == dict(begun.named_parameters()).keys()
    assert torch.isfinite(network.kl())
    with pytest.raises(UsageError, match="trained otherwise"):
        train_cell(replace(cell, recipe=Recipe("elbo", epochs=1, lr=0.01)), tmp_path / "run")
