"""Metrics chosen for the labels: what is frequent, ordered, costly or small."""

import pytest
import torch

from variate.errors import InputError, UsageError
from variate.metrics.choose import Wishes, chosen, wishes_of
from variate.metrics.measure import measure
from variate.metrics.metric import metric_of
from variate.tasks.task import task_of


def names(task, y, **wishes):
    found = chosen(task, y, **wishes)
    assert all(one.why and not one.why.endswith(".") for one in found)
    for one in found:
        metric_of(one.name)
    return [one.name for one in found]


def labels_of(*counts):
    return torch.cat([torch.full((count,), k) for k, count in enumerate(counts)])


def test_equal_classes_have_an_accuracy():
    assert names("classes", labels_of(50, 50, 50)) == ["accuracy", "auroc", "brier", "calibration-error"]


@pytest.mark.parametrize("task", ["classes", "binary"])
def test_unequal_classes_have_none(task):
    found = chosen(task, labels_of(433, 67))
    assert [one.name for one in found][:3] == ["balanced-accuracy", "mcc", "average-precision"]
    assert "accuracy" not in [one.name for one in found]
    assert "class 0 is 87 % of the examples" in found[0].why
    assert "class 1 is rare (13.4 %)" in found[2].why


def test_classes_unequal_by_chance_are_equal():
    assert names("classes", labels_of(4, 1))[0] == "accuracy"


def test_costs_and_orders_come_first():
    assert names("classes", labels_of(5, 5), costs=[[0, 1], [5, 0]])[0] == "expected-cost(costs=0 1; 5 0)"
    assert names("classes", labels_of(5, 5, 5), ordinal=True)[0] == "expected-cost(costs=linear)"
    outputs = torch.nn.functional.one_hot(torch.tensor([0, 1, 1, 0]), 2)[None].float()
    found = measure(
        "classes", outputs, torch.tensor([0, 0, 1, 1]), names=chosen("classes", labels_of(2, 2), costs="0 1; 5 0")
    )
    assert found[0].value == pytest.approx((1 + 5) / 4)
    assert found[0].why


def test_many_classes_are_not_ranked_one_by_one():
    assert "auroc" not in names("classes", torch.arange(100).repeat(3))


def test_rare_labels():
    rare = torch.zeros(100, 2, dtype=torch.long)
    rare[:50, 0] = rare[:5, 1] = 1
    assert names("labels", rare) == ["f-beta", "average-precision", "brier"]
    rare[:40, 1] = 1
    assert names("labels", rare) == ["accuracy", "auroc", "brier"]
    rare[:, 0] = 1
    assert "auroc" not in names("labels", rare)  # undefined where a label is always on


def test_positions():
    y = torch.zeros(4, 20, 20, dtype=torch.long)
    y[:, :8, :8] = 1
    assert names("positions", y) == ["mean-iou", "example-iou", "surface-dice"]
    y[:, 15, 15] = 1
    assert "small-objects" in names("positions", y)  # half of the objects are
    y[:, 10:19, :9] = 1
    y[:, 0:9:2, 12], y[:, 1, 15:18] = 1, 1
    assert names("positions", y[:, 0]) == ["mean-iou", "example-iou", "pixel-accuracy"]  # in a row, no boundaries


def test_small_structures_that_are_wished_for_need_only_be_there():
    y = torch.zeros(1, 40, 40, dtype=torch.long)
    for row in range(0, 30, 10):
        y[0, row : row + 6, 0:6] = y[0, row : row + 6, 10:16] = 1
    y[0, 39, 39] = 1  # one of seven
    assert "small-objects" not in names("positions", y)
    found = chosen("positions", y, small_structures=True)
    assert "1 of 7 objects are small" in next(one.why for one in found if one.name == "small-objects")


def test_numbers():
    task = "regression(tolerance=0.5)"
    assert names(task, torch.rand(10)) == ["within-tolerance", "mae", "r2"]
    assert names(task, torch.ones(10)) == ["within-tolerance", "mae"]


@pytest.mark.parametrize(
    ("task", "y", "wishes", "error", "message"),
    [
        ("classes", torch.tensor([0, 1]), {"small_structures": True}, UsageError, "task positions"),
        ("binary", torch.tensor([0, 1]), {"ordinal": True}, UsageError, "task classes"),
        ("regression(tolerance=1)", torch.rand(2), {"costs": "0 1; 1 0"}, UsageError, "classes or binary"),
        ("classes", torch.tensor([0, 1]), {"costs": [[0, 1]]}, UsageError, "shape"),
        ("classes", torch.rand(3), {}, InputError, "labels are integers"),
    ],
)
def test_bad_wishes(task, y, wishes, error, message):
    with pytest.raises(error, match=message):
        chosen(task, y, **wishes)


def test_wishes_are_written_as_options_of_auto():
    assert wishes_of("auto") == Wishes()
    assert wishes_of("auto(ordinal=yes)") == Wishes(ordinal=True)
    assert wishes_of("auto(costs='0 1; 5 0', small_structures=no)") == Wishes(costs="0 1; 5 0")
    assert wishes_of("accuracy") is wishes_of(metric_of("accuracy")) is None


def test_wishes_choose_as_the_arguments_do():
    y, outputs = labels_of(5, 5, 5), torch.randn(1, 15, 3, generator=torch.Generator().manual_seed(0))
    found = measure("classes", outputs, y, names=["auto(ordinal=yes)"])
    assert [one.name for one in found] == names("classes", y, ordinal=True)
    assert found[0].name == "expected-cost(costs=linear)"
    distance = (outputs[0].argmax(-1) - y).abs().double().mean()
    assert found[0].value == pytest.approx(float(distance))


@pytest.mark.parametrize(
    ("text", "task", "words"),
    [
        ("auto(order=yes)", "classes", "no option of auto named 'order'"),
        ("auto(ordinal=perhaps)", "classes", "ordinal of auto is 'perhaps'"),
        ("auto(ordinal=yes)", "positions", "ordinal does not go with the task positions"),
        ("auto(small_structures=yes)", "classes", "small_structures does not go with"),
        ("auto(costs='0 1; 5')", "classes", "costs"),
    ],
)
def test_wishes_that_cannot_be_are_told(text, task, words):
    with pytest.raises(UsageError, match=words):
        wishes_of(text).check(task_of(task))
