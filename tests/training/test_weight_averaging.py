"""Averaged parameters: the formula, on random networks, with tied weights and buffers that must not be averaged."""

import pytest
import torch
from torch import nn

from variate.datasets.batches import Batches
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.training.train import train
from variate.training.weight_averaging import WeightAverage


class Tied(nn.Module):
    """A layer whose weight is used twice, a batch norm, and a mask of -inf."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("mask", torch.full((6,), float("-inf")))

    def forward(self, x):
        return self.norm(self.second(self.first(x.flatten(1)))).maximum(self.mask)


def made(*, random: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return randomize(Tied(), scale=0.1) if random else Tied()


def moved(network: nn.Module, step: int) -> None:
    """Somewhere else: every parameter and every statistic."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in [*network.parameters(), network.norm.running_mean, network.norm.running_var]:
            tensor.add_(torch.rand(tensor.shape, generator=generator))
    network.norm.num_batches_tracked += 1


@pytest.mark.parametrize("ema", [0.9, None], ids=["ema", "swa"])
@pytest.mark.parametrize("random", [True, False], ids=["random", "deterministic"])
def test_the_average_is_that_of_the_formula(ema, random):
    network = made(random=random)
    average = WeightAverage(network, ema=ema)
    states = []
    for step in range(4):
        moved(network, step)
        average.update(network)
        states.append({name: tensor.detach().clone() for name, tensor in network.state_dict().items()})
    for name, found in average.network.state_dict().items():
        if name in ("mask", "norm.num_batches_tracked"):
            assert torch.equal(found, states[-1][name])
            continue
        expected = states[0][name].double()
        for state in states[1:]:
            expected = 0.9 * expected + 0.1 * state[name] if ema else expected
        if not ema:
            expected = torch.stack([state[name].double() for state in states]).mean(0)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert len(states[0]) == (15 if random else 10)  # the scales are among them


def test_the_average_of_a_random_network_is_one_with_the_same_noise_and_tied_weights():
    network = made()
    average = WeightAverage(network, ema=0.5)
    average.update(network)
    mine = average.network
    assert isinstance(mine, RandomNetwork)
    assert mine.first.weight is mine.second.weight
    x = torch.rand(4, 6)
    network.eval()
    with network.fixed(3), mine.fixed(3):
        assert torch.equal(network(x), mine(x))
    moved(network, 0)
    average.update(network)
    assert mine.first.weight is mine.second.weight
    assert not torch.equal(mine.first.weight, network.first.weight)


def data(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 6, generator=generator), torch.arange(count) % 6


def after(epochs: int, **options) -> nn.Module:
    network = made()
    train(network, Batches(*data(), batch_size=16, seed=0), epochs=epochs, lr=0.01, **options)
    return network


def test_training_ends_with_the_equal_average_of_the_last_epochs(tmp_path):
    """The epochs' own parameters come from their checkpoints."""
    from safetensors.torch import load_file

    seen = {}

    class Watching(Batches):
        def set_epoch(self, epoch):
            super().set_epoch(epoch)
            if state.exists() and epoch not in seen:
                seen[epoch] = load_file(state)

    network, state = made(), tmp_path / "state.safetensors"
    options = {"epochs": 4, "lr": 0.01, "swa": 2}
    train(network, Watching(*data(), batch_size=40, seed=0), **options, checkpoint=state)
    last = [seen[3], load_file(state)]
    names = [name for name, _ in network.named_parameters()]
    assert len(names) > 7
    for name in names:
        expected = sum(tensors[f"network.{name}"] for tensors in last) / 2
        torch.testing.assert_close(network.state_dict()[name], expected)


def test_batch_norm_statistics_after_swa_are_those_of_the_training_data():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
    x, y = data()
    train(network, Batches(x, y, batch_size=40, seed=0), epochs=3, lr=0.1, swa=2)
    inputs = network[0](x).detach()
    torch.testing.assert_close(network[1].running_mean, inputs.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network[1].running_var, inputs.var(0), rtol=1e-4, atol=1e-5)


def test_an_average_of_one_epoch_is_the_network_itself():
    one, plain = after(3, swa=1), after(3)
    for (name, averaged), own in zip(one.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(averaged, own), name


def test_an_ema_lags_behind_and_validation_measures_it():
    x, y = data(120)
    network, plain = made(), made()
    options = {"epochs": 2, "lr": 0.05, "validation": (x, y)}
    lagging = train(network, Batches(x, y, batch_size=16, seed=0), ema=0.9999, **options)
    usual = train(plain, Batches(x, y, batch_size=16, seed=0), **options)
    assert lagging.losses == usual.losses  # the steps are the same
    assert lagging.validation != usual.validation
    ways = [float((net.first.weight - made().first.weight).detach().norm()) for net in (network, plain)]
    assert ways[0] < 0.4 * ways[1]
