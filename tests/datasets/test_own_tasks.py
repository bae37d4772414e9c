"""Labels of the user's own data that are not classes: numbers, several labels, masks."""

import numpy as np
import pytest
import torch

import variate
from variate.datasets.load import labelled
from variate.errors import DataError, InputError

COUNT = 40
X = np.random.default_rng(0).random((COUNT, 1, 4, 4), dtype=np.float32)


def saved(tmp_path, y):
    path = tmp_path / "mine.npz"
    np.savez(path, x=X, y=y)
    return str(path)


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (np.linspace(0, 1, COUNT), "regression(tolerance=0.1)", 1),
        (np.ones((COUNT, 3)), "regression(tolerance=0.1)", 3),
        (np.arange(COUNT * 5).reshape(COUNT, 5) % 2, "labels", 5),
        (np.arange(COUNT * 16).reshape(COUNT, 4, 4) % 3 - 1, "positions", 2),
    ],
)
def test_labels_keep_their_shape_and_values(tmp_path, y, task, classes):
    source = saved(tmp_path, y)
    x, labels = labelled(source, task=task)
    assert x.shape == X.shape
    assert torch.equal(labels, torch.from_numpy(y))
    facts = variate.about(source, task=task)
    assert (facts.task, facts.classes) == (task, classes)
    train, _ = labelled(source, split="train", cut=True, task=task)
    assert len(train) == 32


def test_without_a_task_labels_are_classes(tmp_path):
    with pytest.raises(DataError, match="not a whole number"):
        labelled(saved(tmp_path, np.linspace(0, 1, COUNT)))
    with pytest.raises(DataError, match="has shape"):
        labelled(saved(tmp_path, np.ones((COUNT, 3))))


def test_what_is_no_label_of_the_task_is_refused(tmp_path):
    with pytest.raises(DataError, match="text"):
        labelled(saved(tmp_path, np.array(["a"] * COUNT)), task="labels")
    with pytest.raises(InputError, match="other than 0 and 1"):
        variate.about(saved(tmp_path, np.full((COUNT, 2), 3)), task="labels")
    with pytest.raises(InputError, match="NaN"):
        variate.about(saved(tmp_path, np.full(COUNT, np.nan)), task="regression(tolerance=1)")
