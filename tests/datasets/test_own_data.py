"""Data of the user's own: files, pairs, data sets of PyTorch and of Hugging Face's kind, from training to verdict."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.datasets.load import labelled
from variate.errors import DataError, UsageError

SOURCE = '''
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

COUNT = 60
generator = torch.Generator().manual_seed(0)
x, y = torch.rand(COUNT, 1, 8, 8, generator=generator), torch.arange(COUNT) % 3

def pair():
    return x, y

def parts(split):
    at = {"train": slice(0, 40), "validation": slice(40, 50), "test": slice(50, 60)}[split]
    return x[at], y[at]

def tensors():
    return TensorDataset(x, y)

class Rows(Dataset):
    """As Hugging Face's datasets give them: mappings with pictures."""

    def __len__(self):
        return COUNT

    def __getitem__(self, i):
        if i >= COUNT:
            raise IndexError
        return {"image": Image.fromarray((x[i, 0].numpy() * 255).astype(np.uint8)), "label": int(y[i])}

def rows():
    return Rows()

def uneven():
    return [(torch.zeros(1, 8, 8), 0), (torch.zeros(1, 8, 9), 1)]

def strange():
    return [1, 2, 3]

def table():
    return torch.rand(COUNT, 5, generator=torch.Generator().manual_seed(1)), y
'''


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "mydata.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mydata

    return mydata


def test_pairs_and_data_sets_give_the_same(own):
    x, y = labelled("mydata:pair")
    assert torch.equal(x, own.x)
    for name in ("tensors", "rows"):
        other, labels = labelled(f"mydata:{name}")
        assert torch.equal(labels, y)
        torch.testing.assert_close(other, x, atol=1 / 255, rtol=0)


def test_splits_are_asked_for_or_cut_once_for_all(own):
    assert torch.equal(labelled("mydata:parts", split="test", cut=True)[0], own.x[50:])
    cut = {split: labelled("mydata:pair", split=split, cut=True)[0] for split in ("train", "validation", "test")}
    assert [len(part) for part in cut.values()] == [48, 6, 6]
    rows = {row.numpy().tobytes() for part in cut.values() for row in part}
    assert len(rows) == 60


def test_the_facts_are_those_of_the_training_split(own):
    facts = variate.about("mydata:parts")
    assert (facts.kind, facts.shape, facts.classes, facts.budget) == ("image", (1, 8, 8), 3, "")
    assert facts.mean[0] == pytest.approx(float(own.x[:40].mean()), abs=1e-5)
    table = variate.about("mydata:table")
    assert (table.kind, table.shape, len(table.mean)) == ("tabular", (5,), 5)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("uneven", DataError, "different shapes"), ("strange", UsageError, "an example of mydata:strange is int")],
)
def test_a_data_set_that_is_none_is_explained(name, error, message):
    with pytest.raises(error, match=message):
        labelled(f"mydata:{name}")


RANDOM = np.random.default_rng(0)
X = RANDOM.random((40, 1, 8, 8))


def written(path, x=X, y=None):
    np.savez(path, x=x, y=np.arange(40) % 3 if y is None else y)
    return str(path)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8"])
def test_inputs_of_every_float_type_become_float32(tmp_path, kind):
    x, _ = labelled(written(tmp_path / "d.npz", X.astype(kind)))
    assert x.dtype == torch.float32
    np.testing.assert_allclose(x.numpy(), X, atol=1e-3)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint64", "int8", "float32", ">i4"])
def test_labels_of_every_whole_type_become_int64(tmp_path, kind):
    _, y = labelled(written(tmp_path / "d.npz", y=(np.arange(40) % 3).astype(kind)))
    assert y.dtype == torch.int64
    assert y.tolist() == [i % 3 for i in range(40)]


def test_names_are_classes_in_sorted_order(tmp_path, own):
    _, y = labelled(written(tmp_path / "d.npz", y=np.array(["dog", "cat"] * 20)))
    assert y.tolist() == [1, 0] * 20
    assert variate.about(str(tmp_path / "d.npz")).labels == ("cat", "dog")
    own.named = lambda: [(torch.rand(1, 4, 4), name) for name in ("b", "a", "10", "b")]
    assert labelled("mydata:named")[1].tolist() == [2, 1, 0, 2]
    own.numbers = lambda: (torch.rand(3, 5), ["10", "9", "10"])
    assert labelled("mydata:numbers")[1].tolist() == [1, 0, 1]


def test_names_are_numbered_once_for_all_splits(own):
    labels = {"train": ["ant", "bee", "cow"], "validation": ["bee", "cow"], "test": ["cow", "cow"]}
    own.named = lambda split: (torch.rand(len(labels[split]), 5), labels[split])
    assert [labelled("mydata:named", split=split)[1].tolist() for split in labels] == [[0, 1, 2], [1, 2], [2, 2]]
    labels["test"] = ["dog"]
    with pytest.raises(DataError, match="classes that are not in its training split: dog"):
        labelled("mydata:named", split="test")


REFUSED = {
    "fractions": ([0, 1.7], "1 labels that are not a whole number"),
    "negative": ([0, -1], "1 labels that are negative"),
    "NaN": ([0, float("nan")], "1 labels that are not finite"),
    "missing": (np.array([0, None]), "1 labels that are missing"),
    "one-hot": (np.eye(2), "has shape"),
    "dates": (np.arange(2).astype("datetime64[D]"), "holds dates"),
    "complex": ([1j, 0], "holds complex numbers"),
    "mixed": (np.array(["a", 1], dtype=object), "holds names and numbers"),
    "empty names": (["a", ""], "1 labels that are empty"),
    "huge": ([0, 10**9], "labels that are too large"),
    "a single one": (np.array(3), "has shape"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_labels_that_are_none_are_refused(case, own):
    labels, message = REFUSED[case]
    own.odd = lambda: (torch.rand(2, 5), labels)
    with pytest.raises(DataError, match=message):
        labelled("mydata:odd")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read .*: BadZipFile"),
        (b"PK\x03\x04 cut short", "cannot read .*: BadZipFile"),
        ("npy", "holds one array, and labels are needed too"),
        ("words", "holds text, not numbers"),
        ("objects", "it holds Python objects"),
        ("promise", "promises 4,000,000,000,000 bytes, and 4 follow"),
        ("bomb", "unpacks to more than"),
    ],
)
def test_a_file_of_arrays_that_cannot_be_read_is_explained(tmp_path, monkeypatch, content, message):
    path = tmp_path / "d.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif content == "words":
        np.savez(path, x=np.array(["a", "b"]), y=np.arange(2))
    elif content == "objects":
        np.savez(path, x=np.array([{}, None]), y=np.arange(2))
    elif content == "bomb":
        monkeypatch.setattr("variate.files.reading.LIMIT", 1000)
        np.savez_compressed(path, x=np.zeros((40, 100_000)), y=np.arange(40))
    else:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", head.getvalue() + bytes(4))
            archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match=message):
        labelled(str(path))


def test_a_dictionary_is_a_pair_or_splits(own):
    own.pair_of = lambda: {"x": own.x, "y": own.y}
    assert torch.equal(labelled("mydata:pair_of")[0], own.x)
    own.splits = lambda: {"train": (own.x, own.y), "test": (own.x[:5], own.y[:5])}
    assert len(labelled("mydata:splits", split="test", cut=True)[0]) == 5
    own.splits = lambda: {"validation": (own.x, own.y), "test": (own.x[:5], own.y[:5])}
    with pytest.raises(DataError, match="has no split train: it returned validation, test"):
        labelled("mydata:splits", split="validation", cut=True)
    own.other = lambda: {"a": own.x}
    with pytest.raises(UsageError, match="returned a dictionary with a"):
        labelled("mydata:other")


def test_an_error_of_the_user_s_own_code_is_shown_with_its_line(own):
    own.no_validation = lambda split: {"train": (own.x, own.y)}[split]
    with pytest.raises(DataError, match="raised KeyError: 'validation' when asked for the split validation") as error:
        labelled("mydata:no_validation", split="validation")
    assert "test_own_data.py:" in error.value.findings[0]


def test_8_bit_pixels_may_have_their_channels_first_or_last(own):
    pixels = torch.arange(3 * 10 * 8, dtype=torch.uint8).reshape(3, 10, 8)
    for row in (pixels, pixels.permute(1, 2, 0), pixels.permute(1, 2, 0).numpy(), pixels.numpy()):
        own.rows_of = lambda row=row: [(row, 0), (row, 1)]
        x, _ = labelled("mydata:rows_of")
        assert torch.equal(x[0], pixels.float() / 255)
    own.rows_of = lambda: [(torch.zeros(5, 6, 7, dtype=torch.uint8), 0)]
    with pytest.raises(DataError, match="has 8-bit values of shape"):
        labelled("mydata:rows_of")


@pytest.mark.parametrize("how", [None, "torch", "numpy"])
def test_images_of_hugging_face_are_the_same_in_every_format(own, how):
    library = pytest.importorskip("datasets", reason="datasets is not installed: pip install 'variate[datasets]'")
    pixels = np.arange(3 * 10 * 8, dtype=np.uint8).reshape(10, 8, 3)
    rows = {"picture": [Image.fromarray(pixels)] * 4, "kind": [0, 1, 0, 1]}
    features = library.Features({"picture": library.Image(), "kind": library.ClassLabel(names=["b", "a"])})
    table = library.Dataset.from_dict(rows, features=features)
    own.table_of = lambda: table.with_format(how)
    x, y = labelled("mydata:table_of")
    np.testing.assert_allclose(x[1].numpy(), pixels.transpose(2, 0, 1) / 255, atol=1e-6)
    assert y.tolist() == [0, 1, 0, 1]


def test_channels_last_are_refused_where_a_network_is_built_for_them(tmp_path):
    with pytest.raises(DataError, match="have shape") as error:
        variate.about(written(tmp_path / "d.npz", RANDOM.random((40, 8, 8, 3))))
    assert "x.transpose(0, 3, 1, 2)" in str(error.value)


def test_rows_that_are_in_training_and_in_test_are_said(tmp_path):
    path = written(tmp_path / "d.npz", np.repeat(X[:4], 10, 0))
    with pytest.warns(UserWarning, match="4 of 4 in validation, 4 of 4 in test"):
        variate.about(path)


def test_too_few_examples_for_a_split_are_refused(tmp_path):
    path = written(tmp_path / "d.npz", X[:3], np.arange(3))
    with pytest.raises(DataError, match="has 3 examples, too few to cut a test split from"):
        labelled(path, split="test", cut=True)


@pytest.mark.parametrize("data", ["mydata:rows", "mydata:table", "npz"])
def test_training_and_evaluation_from_the_command_line(data, tmp_path, own):
    if data == "npz":
        data = str(tmp_path / "d.npz")
        np.savez(data, x=own.x.numpy(), y=own.y.numpy())

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    train = ["train", "--data", data, "--network", "mlp", "--defense", "random-at", "--epochs", 1, "--quiet"]
    refused = run(*train, "--out", tmp_path / "none")
    assert refused.exit_code == 2
    assert "needs a budget" in refused.stderr
    done = run(*train, "--budget", "linf:0.1", "--attack-steps", 1, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    attack = ["attack", tmp_path / "run", "--attack", "pgd(steps=2)", "--draws", 2, "--verdict-draws", 8]
    attack += ["--deployment", "single", "--quiet", "--json"]
    if ":" in data:
        assert "--trust-code" in run(*attack, "--budget", "linf:0.1").stderr
    assert "pass --budget" in run(*attack, "--trust-code").stderr
    done = run(*attack, "--budget", "linf:0.1", "--trust-code")
    assert done.exit_code == 0, done.output
    assert {row["examples"] for row in json.loads(done.stdout)["rates"]} == {6}
