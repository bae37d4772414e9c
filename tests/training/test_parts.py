"""Training of modules that contain random networks, of other batches and losses, and what cannot be trained."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

import variate
from variate.errors import CheckpointError, InputError, UsageError
from variate.random.randomize import randomize
from variate.training.loader import examples_of
from variate.training.optimization import optimizer_of, parameter_groups
from variate.training.recipe import Recipe
from variate.training.train import train


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def data(count=60):
    return torch.rand(count, 4, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 3


def batches():
    x, y = data()
    return list(zip(x.split(20), y.split(20), strict=True))


def fit(network, loader=None, **options):
    return train(network, batches() if loader is None else loader, **{"epochs": 2, "accelerator": "cpu", **options})


OBJECTIVES = ["cross-entropy", "elbo", "cross-entropy+snr", "cross-entropy+entropy:0.1", "adversarial(same=1)"]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_network_inside_a_module_trains_as_by_itself(objective):
    alone, inside = randomize(plain()), nn.Sequential(nn.Identity(), randomize(plain()))
    histories = [fit(network, objective=objective, budget="linf:0.05") for network in (alone, inside)]
    assert histories[0] == histories[1]
    assert all(map(torch.equal, alone.parameters(), inside[1].parameters()))


def test_scales_inside_a_module_have_their_own_group():
    inside = nn.Sequential(nn.Linear(4, 4), randomize(plain()))
    means, scales = optimizer_of(inside, Recipe()).param_groups
    assert (len(means["params"]), means["lr"], means["weight_decay"]) == (6, 2e-3, 1e-4)
    assert (len(scales["params"]), scales["lr"], scales["weight_decay"]) == (4, 1e-2, 0.0)


def test_parameter_groups_are_those_of_any_network():
    assert len(parameter_groups(plain())) == 1
    net = randomize(plain())
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.endswith("_rho"))
    (group,) = parameter_groups(net, lr=0.1, scale_lr=3, weight_decay=1)
    assert (len(group["params"]), group["lr"], group["weight_decay"]) == (4, pytest.approx(0.3), 0.0)
    with pytest.raises(UsageError, match="nothing to train"):
        fit(randomize(plain()).requires_grad_(False))


OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "foreach": lambda groups, **options: torch.optim.AdamW(groups, foreach=True, **options),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("boxed", [False, True])
def test_weight_decay_in_a_loop_of_ones_own_leaves_scales_alone(name, boxed):
    moved = []
    for decayed_scales in (False, True):
        net = randomize(plain())
        box = nn.Sequential(nn.Identity(), net) if boxed else net
        variate.set_seed(box, 0)
        groups = parameter_groups(box, lr=0.01, scale_lr=1.0, weight_decay=0.1)
        optimizer = OPTIMIZERS[name](box.parameters() if decayed_scales else groups, lr=0.01, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        x, y = data()
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(box(x), y).backward()
            optimizer.step()
            schedule.step()
        if decayed_scales:
            assert len(optimizer.param_groups) == 1
            assert len(optimizer.param_groups[0]["params"]) == 8
        moved.append([parameter.detach() for parameter in net.parameters()])
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*moved, strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(moved[0], randomize(plain()).parameters(), strict=True))


def test_a_step_that_fails_leaves_the_groups_to_be_restored():
    net = randomize(plain())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)

    def fail():
        raise ValueError("no loss")

    with pytest.raises(ValueError, match="no loss"):
        optimizer.step(fail)
    optimizer.step()
    assert [len(group["params"]) for group in optimizer.param_groups] == [8]


class Counted(IterableDataset):
    def __iter__(self):
        return iter(zip(*data(30), strict=True))


DATA = TensorDataset(*data(100))
LOADERS = {
    "all": (DataLoader(DATA, 30), 100),
    "without the last": (DataLoader(DATA, 30, drop_last=True), 90),
    "a sampler of some": (DataLoader(DATA, 20, sampler=SubsetRandomSampler(range(50))), 50),
    "batches of a sampler": (DataLoader(DATA, batch_sampler=BatchSampler(range(45), 10, drop_last=True)), 40),
    "one by one": (DataLoader(DATA, batch_sampler=[[0, 1], [2, 3, 4]]), 5),
    "a stream": (DataLoader(Counted(), 7), 30),
    "a list": (batches(), 60),
    "dictionaries": ([{"x": torch.rand(3, 4), "y": torch.arange(3)}] * 2, 6),
}


@pytest.mark.parametrize("name", LOADERS)
def test_the_examples_of_an_epoch_are_those_that_it_visits(name):
    loader, expected = LOADERS[name]
    state = torch.get_rng_state()
    assert examples_of(loader) == expected
    assert torch.equal(torch.get_rng_state(), state)


def test_elbo_divides_by_the_examples_of_the_sampler():
    loader = DataLoader(DATA, 50, sampler=SubsetRandomSampler(range(50)))
    net = randomize(plain())
    divergence = float(net.kl(0.1).detach()) / 50
    plain_loss = fit(randomize(plain()), loader, epochs=1, lr=0).losses[0]
    assert fit(net, loader, objective="elbo", epochs=1, lr=0).losses[0] == pytest.approx(
        plain_loss + divergence, rel=1e-4
    )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradients_are_clipped_to_their_norm(accumulate):
    network, by_hand = plain(), plain()
    options = {"optimizer": "sgd", "weight_decay": 0.0, "epochs": 1, "lr": 0.5}
    fit(network, batches()[:accumulate], clip=0.01, accumulate=accumulate, **options)
    x, y = (torch.cat(part) for part in zip(*batches()[:accumulate], strict=True))
    F.cross_entropy(by_hand(x), y).backward()
    nn.utils.clip_grad_norm_(by_hand.parameters(), 0.01)
    torch.optim.SGD(by_hand.parameters(), lr=0.5, momentum=0.9, nesterov=True).step()
    assert all(map(torch.allclose, network.parameters(), by_hand.parameters()))
    with pytest.raises(UsageError, match="clip is 0"):
        fit(plain(), clip=0)


def squared(outputs, batch):
    return (outputs[:, 0] - batch[0].sum(1)).square().mean()


def test_a_loss_of_ones_own_is_minimized_alone_or_with_an_objective(tmp_path):
    net = randomize(plain())
    alone = fit(net, loss=squared, epochs=1, lr=0).losses[0]
    divergence = float(net.kl(0.1).detach()) / 60
    both = fit(randomize(plain()), loss=squared, objective="kl", epochs=1, lr=0).losses[0]
    assert both == pytest.approx(alone + divergence, rel=1e-4)
    losses = fit(randomize(plain()), loss=squared, epochs=20, lr=0.05).losses
    assert losses[-1] < 0.5 * losses[0]
    fit(randomize(plain()), loss=squared, epochs=1, checkpoint=tmp_path / "state")
    with pytest.raises(CheckpointError, match="another training run") as raised:
        fit(randomize(plain()), epochs=1, checkpoint=tmp_path / "state")
    assert any("squared" in finding for finding in raised.value.findings)


class Named(nn.Module):
    """As a Hugging Face model: named inputs, a dictionary with a loss."""

    def __init__(self):
        super().__init__()
        self.body = plain()

    def forward(self, inputs, labels):
        logits = self.body(inputs)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def test_batches_may_be_dictionaries_with_a_loss_of_ones_own():
    named = [{"inputs": x, "labels": y} for x, y in batches()]
    losses = fit(randomize(Named()), named, loss=lambda outputs, batch: outputs["loss"], accumulate=2).losses
    assert losses == pytest.approx(fit(randomize(plain()), accumulate=2).losses, rel=0.2)
    with pytest.raises(UsageError, match="a dictionary of 'inputs', 'labels'"):
        fit(randomize(Named()), named)


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(UsageError, match=r"each returned shape \(20,\)"):
        fit(plain(), loss=each)


def each(outputs, batch):
    return F.cross_entropy(outputs, batch[1], reduction="none")


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


X, Y = data(20)
REFUSED = {
    "two outputs": (lambda: Pair(4, 3), [(X, Y)], InputError, "tuple of 2"),
    "float labels": (plain, [(X, Y.float())], InputError, "labels"),
    "labels beyond the classes": (plain, [(X, Y + 1)], InputError, "label 3"),
    "labels of another length": (plain, [(X, Y[:5])], InputError, "labels"),
    "three parts": (plain, [(X, Y, Y)], UsageError, "Tensor, Tensor, Tensor"),
    "arrays": (plain, [(X.numpy(), Y.numpy())], UsageError, "ndarray"),
    "no batches": (plain, [], UsageError, "no batches"),
    "an empty data set": (plain, DataLoader(TensorDataset(X[:0], Y[:0])), UsageError, "no batches"),
    "fewer examples than a batch": (plain, DataLoader(DATA, 200, drop_last=True), UsageError, "no batches"),
    "a generator": (plain, (batch for batch in [(X, Y)]), UsageError, "no length"),
    "a stream without a length": (plain, DataLoader(Counted(), 7), UsageError, "no length"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused_with_the_reason(name):
    make, loader, error, words = REFUSED[name]
    with pytest.raises(error) as raised:
        fit(randomize(make()), loader)
    assert words in " ".join([str(raised.value), *raised.value.findings])
    assert raised.value.todo or raised.value.expected or raised.value.findings


def test_errors_of_the_network_itself_show_its_line():
    with pytest.raises(InputError, match="shapes cannot be multiplied") as raised:
        fit(nn.Linear(5, 3))
    assert "linear.py" in raised.value.findings[0]
    assert isinstance(raised.value.__cause__, RuntimeError)


class Watched(nn.BatchNorm1d):
    modes: list[bool]

    def forward(self, x):
        self.modes.append(self.training)
        return super().forward(x)


def normalized():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), Watched(8), nn.Dropout(0.1), Watched(8), nn.Linear(8, 3))
    network[1].modes, network[3].modes = [], []
    return network


@pytest.mark.parametrize("options", [{}, {"swa": 1}, {"ema": 0.5}], ids=str)
def test_batch_norm_in_eval_mode_keeps_its_statistics(options):
    network = normalized()
    network[1].eval()
    before = network[1].running_mean.clone()
    fit(network, validation=data(), **options)
    assert torch.equal(network[1].running_mean, before)
    assert not torch.equal(network[3].running_mean, before)
    assert not any(network[1].modes)
    assert sum(network[3].modes) >= 6
    loaded = normalized().eval()
    fit(loaded)
    assert any(loaded[1].modes)


def test_a_loaded_network_inside_a_new_module_is_put_in_train_mode():
    box = nn.Sequential(nn.Identity(), randomize(normalized()).eval())
    fit(box)
    assert any(box[1][1].modes)


class Extra(nn.Linear):
    def __init__(self, value):
        super().__init__(4, 3)
        self.value = value

    def get_extra_state(self):
        return self.value

    def set_extra_state(self, state):
        self.value = state


@pytest.mark.parametrize("value", [{"version": 1}, None, [1.5, "a"], torch.ones(2)], ids=str)
def test_extra_state_is_kept_in_the_state_of_a_training(tmp_path, value):
    def run(epochs_done, value):
        torch.manual_seed(0)
        net = randomize(nn.Sequential(Extra(value)))
        stop = batches() if epochs_done is None else Stopping(epochs_done + 1)  # one more pass counts the examples
        options = {"keep": "best", "budget": "linf:0.1", "validation": data(), "validation_steps": 1}
        return net, lambda: fit(net, stop, epochs=3, checkpoint=tmp_path / "state", ema=0.5, **options)

    _, stopped = run(1, value)
    with pytest.raises(KeyboardInterrupt):
        stopped()
    net, resumed = run(None, "other")
    resumed()
    assert torch.equal(net[0].value, value) if isinstance(value, torch.Tensor) else net[0].value == value


class Stopping(list):
    """Batches that are interrupted after some epochs."""

    def __init__(self, epochs):
        super().__init__(batches())
        self.left = epochs

    def __iter__(self):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().__iter__()


def test_extra_state_that_cannot_be_saved_is_refused_before_training(tmp_path):
    net = randomize(nn.Sequential(Extra({1, 2})))
    before = net[0].weight.detach().clone()
    with pytest.raises(CheckpointError, match="extra state"):
        fit(net, checkpoint=tmp_path / "state")
    assert torch.equal(net[0].weight, before)
    assert math.isfinite(fit(net).losses[0])
