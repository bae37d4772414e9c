"""Where the numbers of a training go. Modules with the calls that are used stand in for the three trackers."""

import csv
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from variate.datasets.batches import Batches
from variate.errors import UsageError
from variate.random.randomize import randomize
from variate.training.cell import Cell
from variate.training.loggers import LOGGERS
from variate.training.recipe import Log, Recipe
from variate.training.run_folder import train_cell
from variate.training.train import train

TRACKERS = ("mlflow", "wandb", "trackio")


def data() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3


def trained(log, folder=None, *, loader=None, **options):
    torch.manual_seed(0)
    network = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), scale=0.1)
    chosen = {"epochs": 2, "validation": data(), **options}
    return train(network, loader or Batches(*data(), batch_size=20, seed=0), log=log, log_folder=folder, **chosen)


class Stopping(Batches):
    """Ends the process in its third epoch."""

    def set_epoch(self, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        super().set_epoch(epoch)


class Tracker(ModuleType):
    """A tracker of the calls that a logger makes, by run and step, with the signatures of the three libraries."""

    def __init__(self, name):
        super().__init__(name)
        self.runs, self.current, self.closed = {}, None, 0
        self.__path__ = []

    def enter(self, identity):
        self.current = identity
        self.runs.setdefault(identity, {})
        return self

    def note(self, values, step):
        self.runs[self.current][step] = values

    def start_run(self, run_id=None, *, run_name=None, nested=False):
        assert (run_id is None) != (run_name is None)
        self.enter(run_id or f"run {len(self.runs)}")
        tracker = self

        class Active:
            info = SimpleNamespace(run_id=tracker.current)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                tracker.closed += 1

        return Active()

    def log_metrics(self, metrics, step=None):
        self.note(metrics, step)

    def init(self, *, project, name, dir=None, id=None, resume=None):  # noqa: A002
        assert project == "variate"
        known = id or (name if resume == "must" else None)
        self.enter(known or f"run {len(self.runs)}")
        return SimpleNamespace(
            id=self.current, name=self.current, log=lambda values, step: self.note(values, step), finish=self.finish
        )

    def log(self, values, step=None):
        self.note(values, step)

    def finish(self):
        self.closed += 1


@pytest.fixture
def tracker(request, monkeypatch):
    made = Tracker(request.param)
    monkeypatch.setitem(sys.modules, request.param, made)
    for variable in ("WANDB_PROJECT", "TRACKIO_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    return made


def test_every_logger_has_its_name():
    assert set(Log.__args__) == set(LOGGERS)


def test_a_function_gets_a_dictionary_after_every_epoch():
    told = []
    history = trained(lambda values, epoch: told.append((epoch, values)))
    assert [epoch for epoch, _ in told] == [1, 2]
    assert [values["loss"] for _, values in told] == history.losses
    assert [values["accuracy/clean"] for _, values in told] == history.validation
    assert {"scale/1.weight", "scale/1.bias"} < told[0][1].keys()


@pytest.mark.parametrize("tracker", TRACKERS, indirect=True)
def test_a_tracker_gets_the_numbers_of_the_history(tracker, tmp_path):
    history = trained(tracker.__name__, tmp_path)
    ((_, steps),) = tracker.runs.items()
    assert list(steps) == [1, 2]
    assert [values["loss"] for values in steps.values()] == history.losses
    assert tracker.closed == 1


@pytest.mark.parametrize("tracker", TRACKERS, indirect=True)
def test_a_resumed_training_continues_its_run(tracker, tmp_path):
    options = {"epochs": 3, "checkpoint": tmp_path / "state.safetensors"}
    with pytest.raises(KeyboardInterrupt):
        trained(tracker.__name__, tmp_path, loader=Stopping(*data(), batch_size=20, seed=0), **options)
    assert tracker.closed == 1  # the run is closed whatever happens
    history = trained(tracker.__name__, tmp_path, **options)
    ((_, steps),) = tracker.runs.items()
    assert [values["loss"] for values in steps.values()] == history.losses
    trained(tracker.__name__, tmp_path)  # another training has a run of its own
    assert len(tracker.runs) == 2


def rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [(int(row["epoch"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]


def test_a_table_has_every_epoch_once(tmp_path):
    options = {"epochs": 3, "checkpoint": tmp_path / "state.safetensors"}
    with pytest.raises(KeyboardInterrupt):
        trained("csv", tmp_path, loader=Stopping(*data(), batch_size=20, seed=0), **options)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("3,loss,9.0\n")  # of an epoch that is in no checkpoint
    history = trained("csv", tmp_path, **options)
    losses = [(epoch, value) for epoch, name, value in rows(tmp_path) if name == "loss"]
    assert losses == [(n + 1, loss) for n, loss in enumerate(history.losses)]


def test_a_cell_writes_into_its_folder(tmp_path):
    cell = Cell(data="digits", network="mlp", defense="random", recipe=Recipe(epochs=1, log="csv"))
    card = train_cell(cell, tmp_path)
    assert (1, "loss", card.history["losses"][0]) in rows(tmp_path / "csv")
    assert "log" not in card.training  # it decides no number


@pytest.mark.parametrize("name", TRACKERS)
def test_without_the_library_the_error_says_what_to_install(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as error:
        trained(name, tmp_path)
    assert error.value.todo == f"pip install 'variate[{name}]'"


def test_another_name_is_told_with_those_that_there_are(tmp_path):
    with pytest.raises(UsageError, match="wanbd") as error:
        trained("wanbd", tmp_path)
    assert "wandb" in str(error.value)
