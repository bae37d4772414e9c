"""What a report shows of answers that are no class: masks, numbers, labels."""

import pytest
import torch
from torch import nn

import variate
from variate.records.file import Records
from variate.report.attacked import galleries
from variate.report.page import page_text
from variate.tasks.task import task_of
from variate.testing.task_truths import PixelClassifier

X = 0.2 + 0.6 * torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def shown(network, y, task):
    records = Records()
    variate.evaluate(network, X, y, task=task, budget="linf:0.1", attacks=["fgsm"], records=records, pictures=True)
    (gallery,) = galleries(records)
    (examples,) = gallery.networks.values()
    return examples, page_text([records])


def test_masks_stand_below_their_pictures():
    y = (X[:, 0] > 0.5).long()
    y[0, 0, 0] = -1
    examples, page = shown(PixelClassifier(), y, "positions")
    assert all(len(one.shown.masks) == 2 for one in examples)
    assert page.count("mask of the label of example") == 3
    assert "the right mask and the answer of most draws" in page
    assert "score " in examples[0].outcome


def test_numbers_and_labels_are_said_in_words():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    examples, page = shown(flat, torch.tensor([[1.0, 2.5]] * 3), "regression(tolerance=0.5)")
    assert examples[0].read.startswith("1, 2.5 read as ")
    assert examples[0].read in page
    examples, _ = shown(flat, torch.tensor([[1, 0], [0, 0], [1, 1]]), "labels")
    assert [one.read.split(" ")[0] for one in sorted(examples, key=lambda one: one.example)] == ["0", "nothing", "0,"]


@pytest.mark.parametrize(
    ("text", "outputs", "y", "expected"),
    [
        ("regression(tolerance=1)", [[1.0], [3.0], [9.0]], [2.0], {"label": [2.0], "answer": [3.0]}),
        ("labels", [[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]], [0, 1], {"label": [1], "answer": [0]}),
        ("positions", [[0.0, 1.0, 1.0, 0.0]] * 2, [1, -1], {"shape": [2], "label": "01ff", "answer": "0100"}),
        ("transcript(symbols=2)", [[9.0, 0, 0, 0, 9, 0]] * 2, [1, -1], {"label": [1], "answer": [0, 1]}),
    ],
)
def test_the_answer_of_most_draws_is_kept(text, outputs, y, expected):
    assert task_of(text).shown(torch.tensor(outputs), torch.tensor(y)) == expected
