"""Saved networks: what is written comes back, and nothing else is accepted."""

import json
import pickle
import resource
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from variate.datasets.info import About
from variate.errors import CheckpointError, UsageError, VariateError
from variate.hashing import fingerprint
from variate.random.network import RandomNetwork
from variate.random.packing import stored_bytes
from variate.random.randomize import randomize
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import describe, train_cell
from variate.training.saved import Card, build, families_of, load, read_card, save, versions
from variate.training.state import load_training
from variate.training.tensors import read_tensors

SHAPE, MEAN, STD = (1, 8, 8), [0.3], [0.4]
FACTS = About("image", SHAPE, 10, tuple(MEAN), tuple(STD))
FAMILIES = {
    "all": "normal",
    "some": {"*.bias": "fixed"},
    "mixed": {
        "*.bias": "student-t(df=4, share=tensor)",
        "conv1.*": "mixture(floor=0.02)",
        "*": "lowrank-normal(rank=2)",
    },
    "one scale": "laplace(share=network, snr=5)",
    "few bits": {"*.bias": "fixed", "*": "binomial(bits=3, share=channel)"},
}


def card_of(network, architecture="mlp"):
    return Card(
        architecture=architecture,
        shape=list(SHAPE),
        classes=10,
        mean=MEAN,
        std=STD,
        families=families_of(network),
        defense="random",
        objective="cross-entropy",
        data="digits",
        seed=0,
        training={},
        history={},
        seconds=0.0,
        versions=versions(),
        fingerprint=fingerprint(network.state_dict()),
    )


@pytest.fixture
def saved(tmp_path):
    network = randomize(build("mlp", FACTS))
    save(network, tmp_path, card_of(network))
    return tmp_path


@pytest.mark.parametrize("family", [None, *FAMILIES.values()], ids=["deterministic", *FAMILIES])
def test_a_network_comes_back_as_it_was(tmp_path, family):
    network = build("lenet", FACTS)
    network = randomize(network, family) if family else network
    save(network, tmp_path, card_of(network, "lenet"))
    again = load(tmp_path)
    x = torch.rand(3, *SHAPE)
    assert not again.training
    assert isinstance(again, RandomNetwork) == bool(family)
    assert list(again.state_dict()) == list(network.state_dict())
    if family:
        assert families_of(again) == families_of(network)
        with network.fixed(3), again.fixed(3):
            assert torch.equal(network(x), again(x))
    else:
        assert torch.equal(network(x), again(x))


def test_a_trained_network_of_few_bits_is_stored_in_few_bits(tmp_path):
    recipe = Recipe(objective="cross-entropy", epochs=1, accelerator="cpu")
    cell = Cell(data="digits", network="mlp(hidden=8)", defense="random(family=binomial(bits=2))", recipe=recipe)
    card = train_cell(replace(cell, train_examples=64), tmp_path)
    network = load(tmp_path)
    weights = [tensor for name, tensor in read_tensors(tmp_path / "network.safetensors")[0].items() if "weight" in name]
    assert sum(tensor.nbytes for tensor in weights) == (64 * 8 + 8 * 8 + 8 * 10) // 4 + 3 * 2 * 4
    assert describe(card, network, "few")[0].bytes == stored_bytes(network)
    save(network, tmp_path / "again", card)
    assert load(tmp_path / "again").state_dict().keys() == network.state_dict().keys()


def test_a_truncated_file_is_named(saved):
    path = saved / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated"):
        load(saved)


def test_a_pickle_is_refused_and_never_run(saved, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    (saved / "network.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load(saved)
    assert not (tmp_path / "exploded").exists()


def test_tensors_of_another_network_are_listed(saved, tmp_path):
    other = build("lenet", FACTS)
    save(other, tmp_path / "other", card_of(other, "lenet"))
    (tmp_path / "other" / "network.safetensors").replace(saved / "network.safetensors")
    with pytest.raises(CheckpointError) as error:
        load(saved)
    assert any("missing" in finding for finding in error.value.findings)
    assert any("unknown" in finding for finding in error.value.findings)


def test_tensors_that_are_not_the_cards_own_are_refused(saved, tmp_path):
    other = randomize(build("mlp", FACTS))
    save(other, tmp_path / "other", card_of(other))
    (tmp_path / "other" / "network.safetensors").replace(saved / "network.safetensors")
    with pytest.raises(CheckpointError, match="not those of its card"):
        load(saved)


@pytest.mark.parametrize("text", ["", "{", '{"format": "other"}', "\udcff"], ids=["empty", "cut", "foreign", "bytes"])
def test_a_foreign_card_is_refused(saved, text):
    (saved / "card.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match="not a card"):
        read_card(saved)


def test_a_missing_card_or_file_is_named(saved, tmp_path):
    with pytest.raises(CheckpointError, match="holds no saved network"):
        load(tmp_path / "nowhere")
    (saved / "network.safetensors").unlink()
    with pytest.raises(CheckpointError, match="does not exist"):
        load(saved)


def test_a_card_cannot_run_code_unless_trusted(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef net(shape, classes):\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[1] * shape[2], classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    network = build("mine:net", FACTS)
    save(network, tmp_path / "run", card_of(network, "mine:net"))
    with pytest.raises(CheckpointError, match="which loading would run"):
        load(tmp_path / "run")
    x = torch.rand(2, *SHAPE)
    assert torch.equal(load(tmp_path / "run", trust_code=True)(x), network(x))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere_at_all:net", "cannot import"),
        ("math:nothing", "no callable"),
        ("math:floor", "floor"),
        ("lent", "no network"),
    ],
)
def test_an_architecture_that_does_not_exist_is_named(path, message):
    with pytest.raises((UsageError, TypeError), match=message):
        build(path, FACTS)


def test_a_save_that_fails_leaves_the_old_network(saved, monkeypatch):
    before = (saved / "network.safetensors").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("variate.training.tensors.save_file", full)
    network = load(saved)
    with pytest.raises(CheckpointError, match="No space left"):
        save(network, saved, card_of(network))
    assert (saved / "network.safetensors").read_bytes() == before
    assert not list(saved.glob("*.part"))


EDITS = {
    "families": lambda card: {"families": dict.fromkeys(card["families"], "laplace")},
    "normalization": lambda _: {"mean": [0.9]},
    "details": lambda _: {"details": {"words": []}},
    "labels": lambda _: {"labels": list("abcdefghij")},
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_card_that_was_edited_is_refused(saved, edit):
    card = json.loads((saved / "card.json").read_text())
    (saved / "card.json").write_text(json.dumps(card | EDITS[edit](card)))
    with pytest.raises(CheckpointError):
        load(saved)


@pytest.mark.parametrize(
    "edit",
    [
        {"shape": [1, 100_000, 100_000]}, {"classes": 2_000_000_000}, {"shape": [10**30]}, {"shape": []},
        {"shape": [-1, 8, 8]}, {"classes": 0}, {"mean": []}, {"families": {"no.such": "normal"}},
        {"architecture": "mlp(width=1e300)"}, {"architecture": "mlp(depth=9999999999)"}, {"defense": "random(share=9)"},
    ],
)  # fmt: skip
def test_a_card_that_promises_another_network_is_refused_before_memory_is_taken(saved, edit):
    card = json.loads((saved / "card.json").read_text())
    (saved / "card.json").write_text(json.dumps(card | edit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VariateError):
        load(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


@pytest.mark.parametrize(
    ("tensors", "facts"),
    [
        ({"network.x": torch.zeros(1)}, "{x"),
        ({"network.x": torch.zeros(1)}, "[" * 100_000),
        ({"network.x": torch.zeros(1)}, "[]"),
        ({"network.x": torch.zeros(1)}, '{"recipe": 3}'),
        ({"x": torch.zeros(1)}, "{}"),
        ({"network.weight": torch.zeros(1, 1), "network.bias": torch.zeros(1), "optimizer.x.y": torch.zeros(1)}, "{}"),
    ],
)
def test_a_state_of_training_that_is_none_is_named(tmp_path, tensors, facts):
    save_file(tensors, tmp_path / "t.safetensors", {"facts": facts})
    network = torch.nn.Linear(1, 1)
    with pytest.raises(CheckpointError, match=r"t\.safetensors"):
        load_training(tmp_path / "t.safetensors", network, torch.optim.SGD(network.parameters(), 0.1), {})
