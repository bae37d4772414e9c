"""What a training run can be told beside its objective: each against a plain loop, and every refusal."""

import itertools
import json
import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from variate.datasets.batches import Batches
from variate.errors import CheckpointError, UsageError
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.training.augmentation import augmented
from variate.training.history import History
from variate.training.keys import apart
from variate.training.run_folder import validation_accuracy
from variate.training.saved import Card
from variate.training.train import train
from variate.training.validation import robust_accuracy


def data(count: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 3


def made() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 3))


def batches(size: int = 32) -> Batches:
    return Batches(*data(), batch_size=size, seed=0)


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def by_hand(
    *, epochs: int, lr: float, optimizer: str, warmup: float, weight_decay: float, schedule: str, momentum: float
) -> nn.Module:
    """The same training, step by step: the formulas of Nesterov's momentum, of AdamW, and of the learning rate."""
    network, step, state = made(), 0, {}
    warm, total = round(warmup * 4), epochs * 4
    for epoch in range(epochs):
        loader = batches()
        loader.set_epoch(epoch)
        for x, y in loader:
            done = (step - warm) / (total - warm)
            decay = 0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done
            rate = lr * ((step + 1) / warm if step < warm else decay)
            network.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            step += 1
            for parameter in network.parameters():
                gradient, w = parameter.grad, parameter.data
                first, second = state.get(parameter, (torch.zeros_like(w), torch.zeros_like(w)))
                if optimizer == "sgd":
                    gradient = gradient + weight_decay * w
                    first = momentum * first + gradient
                    w -= rate * (gradient + momentum * first)
                else:
                    first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
                    w -= rate * weight_decay * w
                    w -= rate * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
                state[parameter] = first, second
    return network


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(("warmup", "schedule", "momentum"), [(0.0, "cosine", 0.9), (1.5, "cosine", 0.5),
                                                              (1.5, "linear", 0.9), (0.0, "linear", 0.0)])  # fmt: skip
def test_the_steps_are_those_of_the_formulas(optimizer, warmup, schedule, momentum):
    options = {"epochs": 3, "lr": 0.02, "optimizer": optimizer, "warmup": warmup, "weight_decay": 0.01}
    options |= {"schedule": schedule, "momentum": momentum}
    network = made()
    train(network, batches(), **options)
    torch.testing.assert_close(weights(network), weights(by_hand(**options)), rtol=1e-4, atol=1e-5)


def test_accumulated_batches_are_one_batch_of_all_their_examples():
    """100 examples: the last batch of 48 has 4, as the fourth and shorter one of its group of 12s has."""
    together, apart_, plain = made(), made(), made()
    options = {"epochs": 2, "optimizer": "sgd", "lr": 0.1}
    train(together, batches(48), **options)
    train(apart_, batches(12), accumulate=4, **options)
    train(plain, batches(12), **options)
    torch.testing.assert_close(weights(together), weights(apart_), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(weights(together), weights(plain), rtol=1e-2)


def test_the_last_group_of_accumulated_batches_counts_by_its_examples():
    """28, 28, 28 and 16 examples in groups of three: the last group is one batch."""
    network = made()
    train(network, batches(28), accumulate=3, epochs=1, optimizer="sgd", lr=0.1)
    slow = made()
    stepper = torch.optim.SGD(slow.parameters(), momentum=0.9, nesterov=True, weight_decay=1e-4, lr=0.1)
    order = list(batches(28))
    for rate, group in ((0.1, order[:3]), (0.05, order[3:])):  # the cosine at 0 and at 1/2
        stepper.param_groups[0]["lr"] = rate
        x, y = (torch.cat(parts) for parts in zip(*group, strict=True))
        stepper.zero_grad()
        nn.functional.cross_entropy(slow(x), y).backward()
        stepper.step()
    torch.testing.assert_close(weights(network), weights(slow), rtol=1e-5, atol=1e-6)


def test_the_network_learns_from_augmented_images_and_is_validated_on_the_plain_ones():
    network, seen = made(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append((module.training, inputs[0].clone())))
    train(network, batches(), epochs=2, augment="crop+cutout", validation=data(), seed=4)
    learned = [x for training, x in seen if training]
    for epoch in range(2):
        loader = batches()
        loader.set_epoch(epoch)
        for number, (x, _) in enumerate(loader):
            expected = augmented(x, "crop+cutout", seed=4, epoch=epoch, batch=number)
            assert torch.equal(learned[4 * epoch + number], expected)
    assert next(x for training, x in seen if not training).equal(data()[0])


class Scripted:
    """Robust accuracies from a list, and the networks that they were asked of."""

    def __init__(self, *rates: float) -> None:
        self.rates, self.states = rates, []

    def __call__(self, network, x, y, **options) -> float:
        self.states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return self.rates[options["epoch"]]


@pytest.mark.parametrize("averages", [{}, {"ema": 0.5}, {"swa": 5}], ids=["plain", "ema", "swa"])
@pytest.mark.parametrize(("keep", "kept"), [("best", 1), ("last", 3)])
def test_training_stops_and_keeps_the_epoch_it_is_asked_to(monkeypatch, averages, keep, kept):
    script = Scripted(0.1, 0.5, 0.5, 0.2, 0.9, 0.9)  # of equal ones the first is the best
    monkeypatch.setattr("variate.training.epoch.robust_accuracy", script)
    network = made()
    options = {"budget": "linf:0.1", "validation": data(), "lr": 0.05, **averages}
    history = train(network, batches(), epochs=6, patience=2, keep=keep, **options)
    assert history.robust == [0.1, 0.5, 0.5, 0.2]
    assert len(history.losses) == len(history.validation) == 4
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, script.states[kept][name])
    assert not torch.equal(script.states[1]["1.weight"], script.states[3]["1.weight"])
    assert not network.training


@pytest.mark.parametrize("averages", [{"ema": 0.5}, {"swa": 2}], ids=["ema", "swa"])
def test_a_finished_training_that_is_started_again_ends_the_same(tmp_path, averages):
    state, networks, histories = tmp_path / "state.safetensors", [made(), made()], []
    for network in networks:
        histories.append(train(network, batches(), epochs=3, checkpoint=state, **averages))
        assert not network.training
    assert histories[0] == histories[1]
    assert torch.equal(weights(networks[0]), weights(networks[1]))


def test_a_training_that_stopped_early_does_not_go_on(monkeypatch, tmp_path):
    script, state = Scripted(0.5, 0.1, 0.1, 0.9), tmp_path / "state.safetensors"
    monkeypatch.setattr("variate.training.epoch.robust_accuracy", script)
    options = {"epochs": 4, "patience": 2, "budget": "linf:0.1", "validation": data(), "checkpoint": state}
    first = train(made(), batches(), **options)
    assert train(made(), batches(), **options) == first
    assert len(script.states) == len(first.losses) == 3


def test_robust_accuracy_is_noted_only_where_it_is_asked_for():
    history = train(made(), batches(), epochs=1, budget="linf:0.1", validation=data())
    assert history.robust == []
    history = train(made(), batches(), epochs=1, budget="linf:0.1", validation=data(), keep="best")
    assert len(history.robust) == 1
    assert history.robust[0] <= history.validation[0]


def test_robust_accuracy_of_a_linear_network_is_the_rate_of_margins_beyond_the_budget():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    x = 0.3 + 0.4 * data(400)[0]
    margins = (network(x)[:, 1] - network(x)[:, 0]).detach()
    y = (margins > 0).long()
    size = (network[1].weight[1] - network[1].weight[0]).abs().sum()
    expected = float((margins.abs() > 0.02 * size).float().mean())
    options = {"budget": "linf:0.02", "steps": 5, "seed": 0, "epoch": 0}
    assert 0.2 < expected < 0.9
    assert robust_accuracy(network, x, y, examples=400, **options) == pytest.approx(expected, abs=0.01)
    assert robust_accuracy(network, x, y, examples=10**6, **options) == pytest.approx(expected, abs=0.01)


def test_robust_accuracy_is_measured_on_the_same_examples_at_every_epoch():
    torch.manual_seed(0)
    network, seen = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    x, y = data()
    for epoch in (0, 7):
        options = {"budget": "linf:1e-6", "steps": 1, "seed": epoch, "epoch": epoch}
        robust_accuracy(network, x, y, examples=10, **options)
    firsts = [found for found in seen if len(found) == 10]
    which = [{int((x - image).abs().flatten(1).amax(1).argmin()) for image in found} for found in firsts]
    assert all(found == which[0] for found in which)
    assert len(which[0]) == 10
    assert which[0] != set(range(10))  # not those that come first: data may be sorted


def test_steps_validation_search_and_verdict_never_share_keys():
    streams = [Stream("train", 3)]
    streams += [apart(purpose, 3, epoch) for purpose in ("validation", "robust search") for epoch in range(3)]
    streams += [apart(purpose, 3, epoch) for purpose in ("robust verdict", "statistics") for epoch in range(3)]
    keys = [set(stream.take(2000)) for stream in streams]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(keys, 2))


def test_a_random_network_is_attacked_and_judged_under_different_draws(monkeypatch):
    torch.manual_seed(0)
    network, taken = randomize(made(), scale=0.3).eval(), []
    usual = Stream._key
    monkeypatch.setattr(Stream, "_key", lambda self, index: taken.append(usual(self, index)) or taken[-1])
    robust_accuracy(network, *data(), budget="linf:0.1", steps=3, examples=50, seed=0, epoch=0)
    keys = [key for key in taken if key >> 56 == 1]  # of the training's stream; probes have their own
    assert len(keys) == len(set(keys)) == 4  # one for each step, and one for the answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "did you mean 'adamw'"),
        ({"schedule": "linaer"}, "did you mean 'linear'"),
        ({"momentum": 1.0}, "momentum is 1"),
        ({"warmup": 2}, "2 of 2 epochs"),
        ({"warmup": -0.1}, "warmup is -0.1"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"ema": 0.9, "swa": 1}, "choose one"),
        ({"ema": 1.0}, "ema is 1"),
        ({"swa": 3}, "last 3 of 2"),
        ({"augment": "flop"}, "did you mean 'flip'"),
        ({"keep": "first"}, "one of last, best"),
        ({"keep": "best", "validation": data()}, "needs a budget"),
        ({"patience": 3, "budget": "linf:0.1"}, "patience=3 compares epochs on a validation split"),
        ({"patience": 0, "budget": "linf:0.1", "validation": data()}, "patience is 0"),
        ({"keep": "best", "budget": "linf:0.1", "validation": data(), "validation_steps": 0}, "validation_steps is 0"),
        ({"log": "tensorbord"}, "did you mean 'tensorboard'"),
    ],
)
def test_impossible_requests_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        train(made(), batches(), **{"epochs": 2, **options})


def test_the_state_of_another_network_or_of_other_data_is_refused(tmp_path):
    state = tmp_path / "state.safetensors"
    train(made(), batches(), epochs=1, checkpoint=state, origin={"data": "a", "batch_size": 32})
    with pytest.raises(CheckpointError, match="another training run") as error:
        train(made(), batches(), epochs=1, checkpoint=state, origin={"data": "a", "batch_size": 64})
    assert error.value.findings == ("batch_size: 32 there, 64 now",)
    with pytest.raises(CheckpointError) as error:  # as an earlier version, without the option, would have left it
        train(made(), batches(), epochs=1, checkpoint=state, origin={"data": "a", "batch_size": 32, "shuffle": True})
    assert error.value.findings == ("shuffle: nothing there, True now",)


def test_a_state_from_before_an_option_resumes_with_its_default(tmp_path):
    state, networks = tmp_path / "state.safetensors", [made(), made()]
    options = {"checkpoint": state, "optimizer": "sgd"}
    train(networks[0], batches(), epochs=1, **options)
    with safe_open(state, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
    del facts["recipe"]["schedule"], facts["recipe"]["momentum"], facts["history"]["curve"]
    save_file(load_file(state), state, {"facts": json.dumps(facts)})
    assert len(train(networks[1], batches(), epochs=1, **options).losses) == 1
    assert torch.equal(weights(networks[0]), weights(networks[1]))
    with pytest.raises(CheckpointError) as error:
        train(made(), batches(), epochs=1, schedule="linear", **options)
    assert error.value.findings == ("schedule: 'cosine' there, 'linear' now",)


def test_the_accuracy_of_a_card_is_that_of_the_epoch_that_was_kept():
    history = {"losses": [3.0, 2.0, 1.0], "validation": [0.5, 0.6, 0.7], "robust": [0.1, 0.3, 0.2]}
    card = Card.model_construct(history=history, training={"keep": "best"})
    assert validation_accuracy(card) == 0.6
    assert validation_accuracy(Card.model_construct(history=history, training={"keep": "last"})) == 0.7
    assert validation_accuracy(Card.model_construct(history={"losses": [1.0]}, training={})) is None
    assert History(robust=[0.1, 0.3, 0.3, 0.2]).waited == 2


def test_the_loss_scale_of_half_precision_is_resumed_too(monkeypatch, tmp_path):
    """On the CPU, with a scale that grows at every second step; the stop comes after two of four epochs."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import MixedPrecision

    scalers = []

    def half(*_, **__):
        scalers.append(torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=2))
        return Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler=scalers[-1]))

    class Stopping(Batches):
        def set_epoch(self, epoch):
            if epoch == 2:
                raise KeyboardInterrupt
            super().set_epoch(epoch)

    monkeypatch.setattr("variate.training.train.fabric_of", half)
    whole, resumed, state = made(), made(), tmp_path / "state.safetensors"
    options = {"epochs": 4, "precision": "16-mixed"}
    train(whole, batches(), **options)
    with pytest.raises(KeyboardInterrupt):
        train(made(), Stopping(*data(), batch_size=32, seed=0), **options, checkpoint=state)
    train(resumed, batches(), **options, checkpoint=state)
    assert scalers[0].get_scale() == scalers[2].get_scale() == 2.0 * 2**8
    assert torch.equal(weights(whole), weights(resumed))
