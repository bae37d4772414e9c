"""Looking at labels of every task, in Python and by ``variate data``: counts, quantiles, examples with their masks."""

import json

import pytest
import torch
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.datasets.info import About
from variate.datasets.look import look
from variate.datasets.parts import label_look

FEW = "size=16, train=60, validation=30, test=40"


def test_positions_are_counted_by_class_and_their_masks_are_shown():
    found = look(f"scenes({FEW})", examples=1)
    y = variate.data(f"scenes({FEW})", "train")[1]
    assert found.task == "positions"
    assert {name: counts["train"] for name, counts in found.classes.items()} == {
        name: int((y == label).sum()) for label, name in enumerate(["background", *"0123456789"])
    }
    assert sum(counts["test"] for counts in found.classes.values()) == 40 * 16 * 16
    assert not found.numbers
    (example,) = found.examples
    names = {"background" if label == 0 else str(int(label) - 1) for label in y[0].unique()}
    assert {*example.label.split(", ")} == names
    picture, mask = example.lines[: len(example.lines) // 2], example.lines[len(example.lines) // 2 + 1 :]
    assert [len(line) for line in picture] == [len(line) for line in mask]
    assert {*"".join(mask)} - {"."} <= names
    assert "".join(mask).count(".") > 0
    assert not any(found.duplicates.values())


def test_labels_are_counted_where_they_are_true():
    found = look(f"scenes({FEW}, answer=present)")
    y = variate.data(f"scenes({FEW}, answer=present)", "test")[1]
    assert [counts["test"] for counts in found.classes.values()] == y.sum(0).tolist()
    assert sum(counts["test"] for counts in found.classes.values()) > 40
    names = [str(i) for i in variate.data(f"scenes({FEW}, answer=present)", "train")[1][0].nonzero()[:, 0].tolist()]
    assert found.examples[0].label == ", ".join(names)


def test_numbers_have_quantiles():
    found = look("diabetes")
    y = variate.data("diabetes", "test")[1]
    assert not found.classes
    assert found.numbers["progression"]["test"] == pytest.approx(
        {"lowest": float(y.min()), "quarter": float(y.quantile(0.25)), "median": float(y.quantile(0.5)),
         "three quarters": float(y.quantile(0.75)), "highest": float(y.max())}
    )  # fmt: skip
    assert found.examples[0].label == f"{float(variate.data('diabetes', 'train')[1][0]):.4g}"


def test_positions_that_do_not_count_have_a_row_of_their_own():
    facts = About("image", (1, 2, 2), 2, labels=("ground", "tree"), task="positions")
    y = torch.tensor([[[0, 1], [-1, -1]], [[1, 1], [1, 1]]])
    assert label_look.counts_of(facts, {"test": (torch.zeros(2), y)}) == {
        "ground": {"test": 1}, "tree": {"test": 5}, "ignored": {"test": 2},
    }  # fmt: skip
    assert label_look.mask_lines(y[0], facts, 2, 4) == ["..tt", "    "]
    assert label_look.told_label(y[1], facts) == "tree"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (f"scenes({FEW})", "positions by class"),
        (f"scenes({FEW}, answer=present)", "examples by label"),
        (f"scenes({FEW}, answer=count)", "three quarters"),
        ("diabetes", "task regression(tolerance=60)"),
    ],
)
def test_the_command_shows_what_is_meaningful(data, said):
    shown = CliRunner().invoke(app, ["data", data])
    assert shown.exit_code == 0, shown.output
    assert said in shown.output
    assert "examples of the training split" in shown.output
    told = json.loads(CliRunner().invoke(app, ["data", data, "--json"]).output)
    assert told["task"] == variate.about(data).task
    assert bool(told["classes"]) != bool(told["numbers"])
