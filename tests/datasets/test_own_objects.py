"""Objects of scikit-learn, pandas, scipy and Hugging Face, returned by one's own code as they are."""

import itertools
import sys
from collections import Counter
from types import ModuleType

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn import datasets as sklearn_datasets
from sklearn.utils import Bunch
from torch.utils.data import Dataset

import variate
from variate.datasets.load import labelled
from variate.errors import DataError

RANDOM = np.random.default_rng(0)
NUMBERS = itertools.count()


@pytest.fixture
def own(monkeypatch):
    """Names what the user's own code returns: a module of a new name every time."""

    def returns(value):
        name = f"own_objects_{next(NUMBERS)}"
        module = ModuleType(name)
        module.data = lambda: value
        monkeypatch.setitem(sys.modules, name, module)
        return f"{name}:data"

    return returns


def splits(source):
    return {split: labelled(source, split=split, cut=True) for split in ("train", "validation", "test")}


@pytest.mark.parametrize(
    ("name", "as_frame"),
    [("load_iris", True), ("load_iris", False), ("load_wine", True), ("load_digits", False)],
)
@pytest.mark.filterwarnings("ignore:the columns of")
def test_a_bunch_of_scikit_learn_is_a_table(own, name, as_frame):
    bunch = getattr(sklearn_datasets, name)(as_frame=as_frame)
    source = own(bunch)
    facts = variate.about(source)
    names = list(bunch.feature_names)
    assert (facts.kind, facts.shape, facts.budget) == ("tabular", (len(names),), "linf:0.1")
    assert [column["name"] for column in facts.details["features"]] == names
    assert facts.labels == tuple(map(str, bunch.target_names))
    parts = splits(source)
    count = len(bunch.target)
    assert [len(y) for _, y in parts.values()] == [round(0.8 * count), round(0.9 * count) - round(0.8 * count),
                                                   count - round(0.9 * count)]  # fmt: skip
    every, y = labelled(source)
    assert y.tolist() == list(bunch.target)
    values = np.asarray(bunch.data, float)
    lows = np.array([column.get("low", 0.0) for column in facts.details["features"]])
    highs = np.array([column.get("high", 1.0) for column in facts.details["features"]])
    np.testing.assert_allclose(every.numpy(), ((values - lows) / (highs - lows)).clip(0, 1), atol=1e-6)
    assert facts.mean == pytest.approx(parts["train"][0].mean(0).tolist())


def test_scaling_is_said_and_values_in_range_are_left_alone(own):
    x, y = RANDOM.random((40, 3)), np.arange(40) % 2
    inside, _ = labelled(own((x, y)))
    np.testing.assert_allclose(inside.numpy(), x, atol=1e-7)
    with pytest.warns(UserWarning, match=r"are scaled to \[0, 1\] by their ranges in the training split"):
        scaled, _ = labelled(own((x * 50 - 10, y)))
    assert (float(scaled.min()), float(scaled.max())) == (0.0, 1.0)
    with pytest.warns(UserWarning, match="are scaled"):
        sparse, _ = labelled(own((scipy.sparse.csr_matrix(x * 50 - 10), y)))
    assert torch.equal(sparse, scaled)


def test_what_is_scaled_and_clipped_is_decided_by_the_training_split(own):
    y = np.arange(40) % 2
    inside, beyond = RANDOM.random((40, 3)), RANDOM.random((40, 3)) * 3
    source = own({"train": (inside, y), "test": (beyond, y)})
    assert variate.about(source).details == {}
    x, _ = labelled(source, split="test")
    np.testing.assert_allclose(x.numpy(), beyond, atol=1e-6)  # is refused where a network is judged on it
    source = own({"train": (inside * 2, y), "test": (beyond, y)})
    with pytest.warns(UserWarning, match="are scaled"):
        x, _ = labelled(source, split="test")
    assert float(x.max()) == 1.0


def test_rows_of_numbers_are_encoded_as_a_frame_of_them_is(own):
    columns = RANDOM.random(50) * 9 - 3, RANDOM.integers(0, 7, 50), RANDOM.integers(0, 9000, 50)
    x = np.stack(columns, 1).astype(np.float32)
    y = np.arange(50) % 2
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    with pytest.warns(UserWarning, match="are scaled"):
        numbers = variate.about(own((x, y)))
    cells = variate.about(own((pandas.DataFrame(x, columns=["x0", "x1", "x2"]), y)))
    assert numbers.details == cells.details
    assert [column.get("step") for column in numbers.details["features"]][:2] == [None, 1.0]
    splits = {"train": (x, y), "test": (x + np.float32([0, 0.5, 0]), y)}
    with pytest.warns(UserWarning, match="are scaled"), pytest.raises(DataError, match=r"x1 .* in row 0"):
        labelled(own(splits), split="test")


def test_a_constant_column_is_kept_and_cannot_be_changed(own):
    x = np.concatenate([RANDOM.random((40, 2)) * 9, np.full((40, 1), 7.0)], 1)
    with pytest.warns(UserWarning, match="are scaled"):
        facts = variate.about(own((x, np.arange(40) % 2)))
    assert facts.details["features"][2] == {"name": "x2", "low": 7.0, "high": 8.0, "mutable": False}


def frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rows = 40
    return pandas.DataFrame(
        {
            "age": RANDOM.integers(18, 80, rows),
            "income": RANDOM.random(rows) * 1e4,
            "job": pandas.Categorical(np.array(["cook", "nurse", "pilot"])[np.arange(rows) % 3]),
            "label": np.array(["good", "bad"])[np.arange(rows) % 2],
        }
    )


@pytest.mark.parametrize("form", ["whole", "pair", "splits"])
def test_a_data_frame_is_a_table(own, form):
    table = frame()
    x, y = table.drop(columns="label"), table["label"]
    given = {"whole": table, "pair": (x, y), "splits": {"train": table[:30], "val": table[30:35], "test": table[35:]}}
    source = own(given[form])
    facts = variate.about(source)
    assert facts.labels == ("bad", "good")
    features = facts.details["features"]
    assert [(one["name"], one.get("group")) for one in features[:2]] == [("age", None), ("income", None)]
    assert features[0]["step"] == 1.0
    assert [(one["name"], one["group"]) for one in features[2:]] == [
        (word, "job") for word in ("cook", "nurse", "pilot")
    ]
    rows, labels = labelled(source, split="test", cut=True)
    assert rows.shape == (5 if form == "splits" else 4, 5)
    assert (rows[:, 2:].sum(1) == 1).all()
    if form == "splits":
        assert labels.tolist() == [1 if name == "good" else 0 for name in y[35:]]


def test_missing_and_odd_cells_of_a_frame_are_named_by_row(own):
    table = frame()
    table.loc[7, "income"] = np.nan
    with pytest.raises(DataError, match="has missing values") as error:
        labelled(own(table))
    assert "income: 1 of" in error.value.findings[0]
    odd = frame().astype({"income": object})
    odd.loc[3, "income"] = "much"
    with pytest.raises(DataError, match="values that its features do not allow") as error:
        labelled(own(odd))
    assert "'much' is not a number" in error.value.findings[0]


def test_frames_whose_columns_mean_nothing_are_refused(own):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    twice = pandas.DataFrame(RANDOM.random((40, 3)), columns=["a", "a", "b"])
    for given in ((twice, [0, 1] * 20), twice):
        with pytest.raises(DataError, match="has several columns named a"):
            labelled(own(given))
    with pytest.raises(DataError, match="has one column, label, and no features"):
        labelled(own(pandas.DataFrame({"label": [0, 1] * 20})))
    nullable = pandas.DataFrame({"a": pandas.array([1, None] * 20, dtype="Int64"), "label": [0, 1] * 20})
    with pytest.raises(DataError, match="has missing values"):
        labelled(own(nullable))


def test_labels_in_a_frame_of_one_column_are_labels(own):
    table = frame()
    _, y = labelled(own((table[["age", "income"]], table[["label"]])))
    assert y.tolist() == [1, 0] * 20


def test_eight_bit_pictures_as_one_array_are_scaled(own):
    pixels = RANDOM.integers(0, 256, (6, 5, 7, 3), np.uint8)
    x, _ = labelled(own((pixels, np.arange(6) % 2)))
    np.testing.assert_allclose(x.numpy(), pixels.transpose(0, 3, 1, 2) / 255, atol=1e-6)
    gray, _ = labelled(own((pixels[..., 0], np.arange(6) % 2)))
    assert gray.shape == (6, 1, 5, 7)


def test_faces_of_scikit_learn_are_pictures(own):
    images = RANDOM.random((40, 6, 6))
    bunch = Bunch(data=images.reshape(40, 36), images=images, target=np.arange(40) % 4)
    facts = variate.about(own(bunch))
    assert (facts.kind, facts.shape, facts.classes) == ("image", (1, 6, 6), 4)


WORDS = ("old", "new", "long", "short")
TEXTS = [f"{'good' if i % 2 else 'bad'} film {' '.join(WORDS[i // 4**k % 4] for k in range(3))}" for i in range(60)]


def test_texts_are_texts_whatever_brings_them(own):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    labels = [i % 2 for i in range(60)]
    bunch = Bunch(data=TEXTS, target=np.array(labels), target_names=["worse", "better"])
    facts = variate.about(own(bunch))
    assert (facts.kind, facts.shape, facts.labels, facts.budget) == ("text", (64, 1), ("worse", "better"), "words:2")
    assert {"good", "bad", "film"} <= set(facts.details["words"])
    x, y = labelled(own(bunch))
    assert y.tolist() == labels
    for other in ((TEXTS, labels), pandas.DataFrame({"text": TEXTS, "label": labels})):
        assert torch.equal(labelled(own(other))[0], x)


def test_empty_texts_are_named(own):
    with pytest.raises(DataError, match="has 1 empty texts, the first in row 7"):
        labelled(own(([*TEXTS[:7], " ", *TEXTS[8:]], [0, 1] * 30)))


def test_tables_and_texts_of_hugging_face_are_read(own):
    library = pytest.importorskip("datasets", reason="datasets is not installed: pip install 'variate[datasets]'")
    names = library.ClassLabel(names=["ham", "spam"])
    rows = {"kind": [i % 2 for i in range(60)], "length": list(range(60)), "mail": ["a", "b", "c"] * 20}
    features = library.Features({"kind": names, "length": library.Value("int64"), "mail": library.Value("string")})
    table = library.Dataset.from_dict(rows, features=features)
    facts = variate.about(own(table))
    assert (facts.kind, facts.labels, facts.shape) == ("tabular", ("ham", "spam"), (4,))
    assert labelled(own(table))[1].tolist() == rows["kind"]
    texts = library.Dataset.from_dict({"text": TEXTS, "label": rows["kind"]})
    both = library.DatasetDict({"train": texts, "test": texts.select(range(10))})
    parts = splits(own(both))
    assert [len(y) for _, y in parts.values()] == [54, 6, 10]
    assert Counter(parts["validation"][1].tolist()) == {0: 3, 1: 3}  # held out by class
    with pytest.warns(UserWarning, match="also in its training split"):
        assert variate.about(own(both)).kind == "text"


def test_names_that_a_data_set_brings_are_kept(own):
    class Folder(Dataset):
        classes = ("zebra", "ant")

        def __len__(self):
            return 20

        def __getitem__(self, i):
            return torch.full((1, 4, 4), i / 20), i % 2

    assert variate.about(own(Folder())).labels == ("zebra", "ant")
    assert labelled(own(Folder()))[1].tolist() == [0, 1] * 10


def test_splits_of_other_columns_are_refused(own):
    table = frame()
    with pytest.raises(DataError, match="have different inputs"):
        labelled(own({"train": table, "test": table[["age", "label"]]}), split="test", cut=True)
