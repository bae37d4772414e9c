"""Saved networks: what is written comes back, and nothing else is accepted."""

import pickle

import pytest
import torch

from variate.datasets.info import About
from variate.errors import CheckpointError, UsageError
from variate.hashing import fingerprint
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.training.saved import Card, build, families_of, load, read_card, save, versions

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
