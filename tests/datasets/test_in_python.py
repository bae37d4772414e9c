"""``variate.data`` and ``variate.loader``: the same inputs as the command line's, ready to evaluate and to train on."""

import doctest

import numpy as np
import pytest
import torch

import variate
from variate.datasets import batches, load
from variate.datasets.load import labelled
from variate.errors import DataError, InputError, UsageError


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("name", ["digits", "breast-cancer"])
def test_a_data_set_is_that_of_the_command_line(name, split):
    x, y = variate.data(name, split)
    same, labels = labelled(name, split=split, cut=True)
    assert torch.equal(x, same)
    assert torch.equal(y, labels)
    few, _ = variate.data(name, split, limit=7)
    assert torch.equal(few, x[:7])


def test_the_default_is_the_test_split():
    assert torch.equal(variate.data("digits")[0], variate.data("digits", split="test")[0])


def test_own_files_are_cut_as_in_training_and_evaluated_as_they_are(tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=random.random((40, 1, 4, 4)), y=np.array(["b", "a"] * 20))
    (tmp_path / "own_in_python.py").write_text(
        "import torch\n\ndef rows():\n    return torch.rand(30, 5), [0, 1] * 15\n"
    )
    sizes = {split: len(variate.data(tmp_path / "mine.npz", split)[0]) for split in ("train", "validation", "test")}
    assert sizes == {"train": 32, "validation": 4, "test": 4}
    assert variate.data(f"{tmp_path}/own_in_python.py:rows", "train")[0].shape == (24, 5)
    x, y = variate.data(tmp_path / "mine.npz")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)).eval()
    result = variate.evaluate(net, x, y, budget="linf:0.1", attacks=["fgsm"])
    assert {row.examples for row in result.rows} == {4}


def test_options_are_written_as_on_the_command_line(tmp_path):
    rows = "\n".join(f"the film was {'good' if i % 2 else 'bad'} number {i},{i % 2}" for i in range(60))
    path = tmp_path / "t.csv"
    path.write_text(f"text,label\n{rows}\n")
    assert variate.data("texts(length=4)", folder=path)[0].shape == (6, 4, 1)


ROWS = [f"the film was {'good' if i % 2 else 'bad'} {i % 7},{i % 2}" for i in range(60)]
FILES = {
    "t.csv": ("text,label\n" + "\n".join(f"{row.replace(',', f' {i},')}" for i, row in enumerate(ROWS)), "text"),
    "t.jsonl": ("\n".join(f'{{"text": "film {i} {i // 8}", "label": {i % 2}}}' for i in range(60)), "text"),
    "n.csv": ("age;label\n" + "\n".join(f"{i};{i % 2}" for i in range(60)), "tabular"),
    "n.tsv": ("age\tlabel\n" + "\n".join(f"{i}\t{i % 2}" for i in range(60)), "tabular"),
}


@pytest.mark.filterwarnings("ignore:examples of")
@pytest.mark.parametrize("name", FILES)
def test_a_path_is_enough_where_a_file_tells_what_it_is(tmp_path, name):
    text, kind = FILES[name]
    (tmp_path / name).write_text(text)
    assert variate.about(tmp_path / name).kind == kind
    assert len(variate.data(tmp_path / name)[0]) == (6 if kind == "text" else 12)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.doc").write_text("...")
    with pytest.raises(DataError, match="is not data of a kind that can be read"):
        variate.data(tmp_path / "a.doc")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "digit"}, "did you mean 'digits'"),
        ({"name": "digits(length=3)"}, "has no options"),
        ({"name": "digits", "split": "dev"}, "no split named 'dev'"),
        ({"name": "digits", "limit": 0}, "the limit 0 is not a number of examples"),
        ({"name": "digits", "limit": 2.5}, "the limit 2.5 is not a number of examples"),
    ],
)
def test_what_is_not_there_is_explained(words, message):
    with pytest.raises(UsageError, match=message):
        variate.data(**words)


def test_a_loader_yields_every_example_once_in_another_order_each_epoch():
    loader = variate.loader("digits", "validation", batch_size=64, limit=150)
    x, y = variate.data("digits", "validation", limit=150)
    orders = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        parts = list(loader)
        assert [len(part) for part, _ in parts] == [64, 64, 22]
        rows, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        places = [int(torch.nonzero((x == row).flatten(1).all(1))[0]) for row in rows]
        assert sorted(places) == list(range(150))
        assert torch.equal(labels, y[places])
        orders.append(places)
    assert orders[0] != orders[1]


def test_a_loader_takes_tensors_and_refuses_what_cannot_be_trained_on():
    x, y = variate.data("digits", limit=30)
    assert sum(len(part) for part, _ in variate.loader((x, y), batch_size=8)) == 30
    assert sum(len(part) for part, _ in variate.loader((x, y), limit=20)) == 20
    with pytest.raises(InputError, match="x ranges from"):
        variate.loader((x * 255, y))
    with pytest.raises(UsageError, match="the limit 0 is not"):
        variate.loader((x, y), limit=0)
    with pytest.raises(UsageError, match="the batch size 0 is not valid"):
        variate.loader("digits", batch_size=0)


@pytest.mark.parametrize("function", [load.data, batches.loader])
def test_the_examples_of_their_docstrings_run(function):
    examples = doctest.DocTestFinder().find(function, globs={})
    assert [doctest.DocTestRunner().run(example).failed for example in examples] == [0]


def test_batches_of_a_data_set_have_the_labels_of_its_task():
    x, y = next(iter(variate.loader("diabetes", batch_size=16)))
    assert y.is_floating_point()
    assert x.shape == (16, 10)
    own = torch.rand(12, 4), torch.rand(12)
    assert len(variate.loader(own, batch_size=4, task="regression(tolerance=1)")) == 3
    with pytest.raises(InputError, match="labels are integers"):
        variate.loader(own)
