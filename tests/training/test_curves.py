"""Curves of a training in TensorBoard: every epoch once, with the numbers of the history."""

import sys

import pytest
import torch
from torch import nn

from variate.datasets.batches import Batches
from variate.errors import UsageError
from variate.random.randomize import randomize
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell
from variate.training.train import train

NAMES = ["1.weight", "1.bias"]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3


def made() -> nn.Module:
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), scale=0.1)


def trained(network, folder, **options):
    chosen = {"budget": "linf:0.05", "validation": data(), "keep": "best", "validation_steps": 1, **options}
    loader = Batches(*data(), batch_size=20, seed=0)
    return train(network, loader, epochs=3, log="tensorboard", log_folder=folder, **chosen)


def curves_in(folder) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture
def _tensorboard():
    pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")


@pytest.mark.usefixtures("_tensorboard")
def test_every_curve_has_every_epoch(tmp_path):
    history = trained(made(), tmp_path, keep="last", patience=9)
    found = curves_in(tmp_path)
    assert found.keys() == {"loss", "accuracy/clean", "accuracy/robust", *(f"scale/{name}" for name in NAMES)}
    for tag, points in (
        ("loss", history.losses),
        ("accuracy/clean", history.validation),
        ("accuracy/robust", history.robust),
    ):
        assert [step for step, _ in found[tag]] == [1, 2, 3]
        assert [value for _, value in found[tag]] == pytest.approx(points)


@pytest.mark.usefixtures("_tensorboard")
def test_the_scale_curve_is_std_over_mean(tmp_path):
    network = made()
    trained(network, tmp_path, keep="last")
    found = curves_in(tmp_path)
    for name in NAMES:
        std, mean = network.stds()[name].detach(), network.get_parameter(name).detach()
        ratio = std.square().mean().sqrt() / mean.square().mean().sqrt()
        assert found[f"scale/{name}"][-1] == (3, pytest.approx(float(ratio)))


@pytest.mark.usefixtures("_tensorboard")
def test_an_epoch_that_is_done_again_replaces_its_point(tmp_path):
    class Stopping(Batches):
        def set_epoch(self, epoch):
            if epoch == 2:
                raise KeyboardInterrupt
            super().set_epoch(epoch)

    state, folder = tmp_path / "state.safetensors", tmp_path / "curves"
    options = {"epochs": 3, "log": "tensorboard", "log_folder": folder}
    with pytest.raises(KeyboardInterrupt):
        train(made(), Stopping(*data(), batch_size=20, seed=0), **options)  # its two epochs are in no checkpoint
    history = train(made(), Batches(*data(), batch_size=20, seed=0), **options, checkpoint=state)
    assert curves_in(folder)["loss"] == [(n + 1, pytest.approx(loss)) for n, loss in enumerate(history.losses)]


@pytest.mark.usefixtures("_tensorboard")
def test_a_cell_writes_its_curves_into_its_folder(tmp_path):
    cell = Cell(data="digits", network="mlp", defense="random", recipe=Recipe(epochs=1, log="tensorboard"))
    card = train_cell(cell, tmp_path)
    assert curves_in(tmp_path / "tensorboard")["loss"] == [(1, pytest.approx(card.history["losses"][0]))]
    assert "log" not in card.training  # it decides no number


def test_without_tensorboard_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError) as error:
        trained(made(), tmp_path)
    assert error.value.todo == 'pip install "variate[tensorboard]"'


def test_without_a_log_nothing_is_imported_or_written(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.chdir(tmp_path)
    train(made(), Batches(*data(), batch_size=20, seed=0), epochs=1)
    assert list(tmp_path.iterdir()) == []
