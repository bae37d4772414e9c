"""What a report shows of answers that are no class: masks, numbers, labels."""

import pytest
import torch
from torch import nn

import variate
from variate.inputs.modalities.text import Text
from variate.inputs.words import WORDS
from variate.records.file import Records
from variate.records.schema import TASK, Picture
from variate.report.attacked import galleries
from variate.report.page import page_text
from variate.report.shown.text import attacked_text
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


class Tagger(nn.Module):
    """Answers class 1 at every word, and class 2 where the word is number 3: (B, T, 1) to (B, T, 3)."""

    def forward(self, x):
        words = (x[..., 0] * WORDS).round()
        return torch.stack([0 * words, 0 * words + 1, 2.0 * (words == 3)], -1)


def test_tags_stand_below_their_words_and_wrong_ones_are_marked():
    ids = torch.tensor([[2, 3, 4, 0], [0, 0, 3, 2]])  # padding behind, and before
    y = torch.tensor([[1, 2, 0, -1], [-1, -1, 1, 1]])
    modality = Text(words=["", "?", "the", "dog", "barks"], neighbors=[[], [], [], [], []])
    records = Records()
    variate.evaluate(Tagger(), ids[..., None] / WORDS, y, task="positions(classes=last)", budget="words:1",
                     modality=modality, attacks=["greedy-words"], records=records, pictures=True)  # fmt: skip
    (gallery,) = galleries(records)
    (examples,) = gallery.networks.values()
    first, second = sorted(examples, key=lambda one: one.example)
    assert [(word.original, word.tag, word.answer) for word in first.shown.words] == [
        ("the", 1, 1),
        ("dog", 2, 2),
        ("barks", 0, 1),
    ]
    assert [(word.original, word.tag, word.answer) for word in second.shown.words] == [("dog", 1, 2), ("the", 1, 1)]
    assert (first.shown.mistagged, first.shown.tagged, second.shown.mistagged) == (1, 3, 1)
    page = page_text([records])
    assert 'barks<sub class="tag"><mark>1</mark> <del>0</del></sub>' in page
    assert 'the<sub class="tag">1</sub>' in page
    assert "1 of 3 tags wrong" in page
    assert "A tag stands below its word" in page


def test_a_word_that_does_not_count_has_no_tag():
    details = {"original": ["a", "b"], "adversarial": ["a", "b"], "moved": [0.0, 0.0]}
    tags = {TASK: {"shape": [2], "label": "ff01", "answer": "0001"}}
    picture = Picture(claim="", example=0, shape=[2, 1], original="", adversarial="", details={**details, **tags})
    assert [(word.tag, word.mistagged) for word in attacked_text(picture).words] == [(None, False), (1, False)]
    without = attacked_text(picture.model_copy(update={"details": details}))
    assert without.tagged == without.mistagged == 0
