"""Training: it learns, it resumes exactly, and the snr term does what it is for."""

import math

import pytest
import torch
from torch import nn

from variate import registry
from variate.datasets.batches import Batches
from variate.datasets.info import About
from variate.errors import CheckpointError, UsageError
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.training.recipe import Recipe
from variate.training.saved import build
from variate.training.train import train
from variate.training.wiring import wire


@pytest.fixture(scope="module")
def digits():
    load = registry.get("datasets", "digits").load()
    return load("train"), load("validation")


def small(seed: int = 0, *, scale: float | None = None) -> nn.Module:
    torch.manual_seed(seed)
    network = build("mlp", About("image", (1, 8, 8), 10, (0.3,), (0.4,)))
    return randomize(network, scale=scale) if scale else network


def batches(digits, *, count: int = 512, batch_size: int = 128) -> Batches:
    x, y = digits[0]
    return Batches(x[:count], y[:count], batch_size=batch_size, seed=0)


@pytest.mark.parametrize("objective", ["cross-entropy", "cross-entropy+snr", "adversarial", "adversarial+snr:0.5"])
def test_every_objective_learns_digits(digits, objective):
    network = small(scale=0.2) if "snr" in objective else small()
    options = {"epochs": 6, "budget": "linf:0.05", "attack_steps": 2, "validation": digits[1]}
    history = train(network, batches(digits), objective=objective, **options)
    assert len(history.losses) == len(history.validation) == 6
    assert history.losses[-1] < 0.5 * history.losses[0]
    assert history.validation[-1] > 0.8
    assert not network.training


@pytest.mark.parametrize("dropout", [False, True], ids=["random network", "dropout"])
def test_a_stopped_training_goes_on_to_the_same_numbers(digits, tmp_path, dropout):
    def make() -> nn.Module:
        if not dropout:
            return small(scale=0.2)
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10))

    options = {"objective": "adversarial", "budget": "linf:0.05", "attack_steps": 2, "epochs": 4}
    whole = make()
    expected = train(whole, batches(digits), **options)

    class Stopping(Batches):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if self.epoch == 2 and number == 1:
                    raise KeyboardInterrupt
                yield batch

    stopped, state = make(), tmp_path / "state.safetensors"
    x, y = digits[0]
    with pytest.raises(KeyboardInterrupt):
        train(stopped, Stopping(x[:512], y[:512], batch_size=128, seed=0), **options, checkpoint=state)
    resumed = make()
    history = train(resumed, batches(digits), **options, checkpoint=state)
    assert history == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_state_of_another_training_is_refused(digits, tmp_path):
    state = tmp_path / "state.safetensors"
    train(small(), batches(digits), epochs=1, checkpoint=state)
    with pytest.raises(CheckpointError, match="another training run") as error:
        train(small(), batches(digits), epochs=1, lr=1e-4, checkpoint=state)
    assert error.value.findings == ("lr: 0.002 there, 0.0001 now",)


def relative_noise(network) -> float:
    sizes = network.sizes()
    ratios = [float(std.detach().square().mean().sqrt() / sizes[name]) for name, std in network.stds().items()]
    return sum(ratios) / len(ratios)


def test_collapsed_scales_stay_collapsed_under_cross_entropy_alone_and_the_snr_term_brings_them_back(digits):
    alone, kept = small(scale=0.05), small(scale=0.05)
    options = {"epochs": 40, "lr": 3e-3, "scale_lr": 15.0}
    train(alone, batches(digits), objective="cross-entropy", **options)
    train(kept, batches(digits), objective="cross-entropy+snr", **options)
    assert relative_noise(alone) < 0.1
    assert relative_noise(kept) > 0.17  # a ratio of 0.2 is where the term becomes zero


def test_options_and_weights_of_an_objective_reach_it(digits):
    network = small(scale=0.2)
    x, y = digits[0][0][:8], digits[0][1][:8]
    stream = Stream("train", 0)

    def value(objective: str) -> float:
        return float(wire(Recipe(objective), network, stream)(network, x, y).detach())

    assert value("snr(target=5)") == pytest.approx(value("snr"))
    assert value("snr(target=1)") == pytest.approx(math.log(5) ** 2, rel=1e-3)  # snr is 5 at a scale of 0.2
    assert value("snr(target=1):0.5+snr(target=1)") == pytest.approx(1.5 * value("snr(target=1)"))


def test_training_leaves_the_global_random_state_and_the_networks_own_stream(digits):
    network = small(scale=0.2)
    own, before = network.stream, torch.get_rng_state()
    train(network, batches(digits, count=128), epochs=1)
    assert network.stream is own
    assert torch.equal(before, torch.get_rng_state())


def test_the_same_seed_trains_the_same_network(digits):
    one, two, other = small(scale=0.2), small(scale=0.2), small(scale=0.2)
    for network, seed in ((one, 0), (two, 0), (other, 1)):
        train(network, batches(digits, count=256), epochs=1, seed=seed)
    weights = [torch.cat([p.flatten() for p in network.parameters()]) for network in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_dataloader_and_mixed_precision_work(digits):
    x, y = digits[0]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[:256], y[:256]), batch_size=64)
    history = train(small(scale=0.2), loader, epochs=3, precision="bf16-mixed")
    assert history.losses[-1] < history.losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "cros-entropy"}, "did you mean 'cross-entropy'"),
        ({"objective": "adversarial"}, "needs a budget"),
        ({"objective": "snr"}, "has none"),
        ({"objective": "cross-entropy:much"}, "weight of cross-entropy is 'much'"),
        ({"objective": "cross-entropy(3"}, "is not an objective"),
        ({"objective": "cross-entropy+snr(tarhet=3)"}, "did you mean 'target'"),
        ({"objective": "cross-entropy+snr(target=low)"}, "target of snr is 'low'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"precision": "8"}, "no precision"),
        ({"lr": float("inf"), "epochs": 2}, "lower the learning rate"),
    ],
)
def test_impossible_requests_are_named(digits, options, message):
    with pytest.raises(UsageError, match=message):
        train(small(), batches(digits, count=64), **{"epochs": 1, **options})


def test_a_loader_without_length_is_refused(digits):
    with pytest.raises(UsageError, match="no length"):
        train(small(), iter(batches(digits)), epochs=1)


def test_batches_cover_every_example_once_in_an_order_of_seed_and_epoch(digits):
    x = torch.arange(10.0)[:, None]
    y = torch.arange(10)
    loader = Batches(x, y, batch_size=4, seed=0)
    first = torch.cat([labels for _, labels in loader])
    loader.set_epoch(1)
    second = torch.cat([labels for _, labels in loader])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist()
    shares = [Batches(x, y, batch_size=4, seed=0, rank=rank, world=2) for rank in (0, 1)]
    halves = [torch.cat([labels for _, labels in share]) for share in shares]
    assert sorted(torch.cat(halves).tolist()) == list(range(10))
