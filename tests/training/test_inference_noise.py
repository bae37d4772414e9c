"""Noise at inference only: where it is, how large, for which answers, and that training does not see it."""

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.training.cell import Cell
from variate.training.defense import defended
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell
from variate.training.saved import load

DRAWS = 1000


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def built(options, *, features=6):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, features), nn.Tanh(), nn.Linear(features, 3))
    network, objective = defended(f"at-noise({options})", plain)
    assert objective == "adversarial"
    return network.eval()


def answers(network, x, draws=DRAWS):
    with torch.no_grad():
        return torch.stack([network(x) for _ in range(draws)])  # (S, B, K)


@pytest.mark.parametrize("where", ["input", "feature", "logit"])
def test_training_sees_no_noise_and_answers_do(where):
    network, x = built(f"where={where}"), torch.rand(4, 1, 4, 4)
    assert not torch.equal(network(x), network(x))
    network.train()
    assert torch.equal(network(x), network(x))


def test_noise_on_logits_has_the_size_that_it_is_told():
    network, x = built("where=logit, std=0.3"), torch.rand(2, 1, 4, 4)
    found = answers(network, x)
    network.train()
    torch.testing.assert_close(found.mean(0), network(x).detach(), atol=0.05, rtol=0)
    torch.testing.assert_close(found.std(0), torch.full((2, 3), 0.3), atol=0.03, rtol=0)


def test_noise_on_the_input_reaches_the_logits_through_the_network():
    network, x = built("where=input, std=0.01"), torch.rand(2, 1, 4, 4)
    found = answers(network, x)
    for example in range(2):
        jacobian = torch.func.jacrev(lambda one: network.network(one[None])[0])(x[example]).flatten(1)  # (K, D)
        torch.testing.assert_close(found[:, example].std(0), 0.01 * jacobian.norm(dim=1), rtol=0.1, atol=0)


def test_noise_on_features_is_relative_to_those_of_each_example():
    network, x = built("where=feature, std=0.2"), torch.rand(2, 1, 4, 4)
    body, last = network.network[:3], network.network[3].layer
    size = body(x).detach().square().mean(1).sqrt()  # (B,)
    expected = 0.2 * size[:, None] * last.weight.detach().norm(dim=1)  # (B, K)
    torch.testing.assert_close(answers(network, x).std(0), expected, rtol=0.1, atol=0)


@pytest.mark.parametrize("where", ["input", "feature", "logit"])
def test_only_unsure_answers_are_noisy(where):
    network, x = built(f"where={where}, std=0.5, below=0.45"), torch.rand(60, 1, 4, 4) * 6
    with torch.no_grad():
        sure = network.network(x).softmax(1).amax(1) >= 0.45
        changed = (network(x) != network.network(x)).any(1)
    assert 5 < int(sure.sum()) < 55
    assert torch.equal(changed, ~sure)


def test_impossible_options_are_named():
    for options, message in (
        ("where=logits", "did you mean 'logit'"),
        ("below=0.0", "below is 0.0"),
        ("std=0.0", "std is 0.0"),
    ):
        with pytest.raises(UsageError, match=message):
            built(options)


def test_noise_can_be_added_to_a_trained_network(tmp_path):
    recipe = Recipe(epochs=1, attack_steps=1, budget="linf:0.05")
    train_cell(Cell("digits", "mlp", "at", recipe, train_examples=200), tmp_path / "at")
    still = Recipe(epochs=1, attack_steps=1, budget="linf:0.05", lr=0.0)
    cell = Cell("digits", "mlp", "at-noise(where=logit)", still, train_examples=200, start=tmp_path / "at")
    train_cell(cell, tmp_path / "noisy")
    x = torch.rand(3, 1, 8, 8)
    at, noisy = load(tmp_path / "at"), load(tmp_path / "noisy")
    assert torch.equal(noisy.network(x), at(x))
