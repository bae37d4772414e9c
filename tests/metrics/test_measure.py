"""What is measured: closed forms, rules of deployment, and clear errors."""

import json
import math

import pytest
import torch

from variate.errors import InputError, UsageError
from variate.metrics.measure import kept, measure
from variate.metrics.metric import metric_of, written


def sure(answers, classes=3):
    """Outputs of networks that answer with certainty, from answers (G, N)."""
    return 9 * torch.nn.functional.one_hot(torch.tensor(answers), classes).float()


def values(task, outputs, y, *names, **options):
    return [found.value for found in measure(task, outputs, torch.as_tensor(y), names=names, **options)]


def test_closed_forms():
    y, answers = [0, 0, 0, 1], [[0, 0, 0, 0]]
    names = ("accuracy", "balanced-accuracy", "mcc", "f-beta")
    assert values("classes", sure(answers, 2), y, *names) == pytest.approx([0.75, 0.5, 0.0, 0.0])
    costs = "expected-cost(costs='0 1; 8 0')"
    assert values("classes", sure(answers, 2), y, costs) == pytest.approx([2.0])
    assert values("classes", sure([[2, 0]]), [0, 0], "expected-cost(costs=linear)") == pytest.approx([1.0])


def test_a_draw_that_is_never_right_counts_as_one_of_the_answers():
    y = [0, 1, 1, 0]
    assert values("classes", sure([[0, 1, 1, 0], [1, 0, 0, 1]], 2), y, "accuracy", "mcc") == pytest.approx([0.5, 0.0])


def test_rules():
    y = [0, 0, 1, 1]
    right, wrong = [0, 0, 1, 1], [1, 1, 0, 0]
    outputs = sure([right, right, wrong, right, right, wrong], 2)
    assert values("classes", outputs, y, "mcc") == pytest.approx([1 / 3])
    assert values("classes", outputs, y, "mcc", rule="majority-3") == [1.0]
    assert values("classes", outputs, y, "mcc", rule="mean-3") == [1.0]
    found = measure("classes", outputs, torch.tensor(y), names="mcc", rule="majority-2")[0]
    assert (found.draws, found.examples, found.rule) == (3, 4, "majority-2")
    assert found.value == pytest.approx(-1 / 3)  # a tie is wrong
    single = measure("classes", outputs[:1], torch.tensor(y), names="mcc", rule="mean-16")[0]
    assert (single.value, single.draws) == (1.0, 1)  # a deterministic network answers every rule alike


def test_results_are_json():
    found = measure("classes", sure([[0, 1, 2], [0, 1, 1]]), torch.tensor([0, 1, 2]))
    text = json.dumps([one.as_json() for one in found])
    assert {"name", "value", "low", "high", "better", "why", "rule", "examples", "draws"} == set(json.loads(text)[0])
    assert all(one.why for one in found)
    assert all(math.isfinite(one.low) and one.low <= one.value <= one.high for one in found)


def test_names_with_options_are_written_as_they_are_read():
    for name in ("f-beta", "f-beta(beta=2.0)", "sensitivity(fpr=0.01)", "expected-cost(costs=0 1; 5 0)", "dice"):
        assert written(metric_of(name)) == name
    assert written(metric_of("f-beta(beta=1)")) == "f-beta"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acuracy", "did you mean 'accuracy'"),
        ("f-beta(bta=1)", "no option of f-beta"),
        ("f-beta(beta=0)", "above 0"),
        ("sensitivity(fpr=1)", "between 0 and 1"),
        ("calibration-error(bins=0)", "from 1 to 1000"),
        ("expected-cost(costs='0 1; 5')", "differ in length"),
        ("expected-cost(costs='0 -1; 5 0')", "0 or more"),
        ("expected-cost(costs=high)", "a row for each label"),
        ("dice(background=2)", "true or false"),
        ("surface-dice(tolerance=-1)", "above 0"),
    ],
)
def test_bad_options(name, message):
    with pytest.raises(UsageError, match=message):
        metric_of(name)


NUMBERS = torch.zeros(1, 4, 1), torch.arange(4.0)
THREE = "0 1 1; 1 0 1; 1 1 0"
TWO = sure([[0, 1, 1, 0]], 2), torch.tensor([0, 1, 1, 0])
WRONG = {
    "no probabilities": ("regression(tolerance=1)", *NUMBERS, "brier", UsageError, "needs probabilities of classes"),
    "of another task": ("regression(tolerance=1)", *NUMBERS, "mcc", UsageError, "expected: one of .*r2"),
    "of masks": ("classes", *TWO, "dice", UsageError, "does not measure the task classes"),
    "costs of other classes": ("classes", *TWO, f"expected-cost(costs='{THREE}')", InputError, "of 3 classes"),
    "a class without examples": ("classes", sure([[0, 1]]), torch.tensor([0, 1]), "auroc", InputError, "of class 2"),
    "one class alone": ("classes", TWO[0], torch.ones(4).long(), "average-precision", InputError, "every example is"),
    "a label that is never on": (
        "labels",
        torch.zeros(1, 3, 2),
        torch.tensor([[0, 1], [0, 0], [0, 1]]),
        "auroc",
        InputError,
        "no example is of class 1 of label 0",
    ),
    "constant numbers": ("regression(tolerance=1)", NUMBERS[0], torch.ones(4), "r2", InputError, "the same number"),
    "infinite": ("regression(tolerance=1)", NUMBERS[0] - math.inf, NUMBERS[1], "mae", InputError, "4 of 4 answers"),
    "labels too large": ("classes", TWO[0], torch.tensor([0, 1, 2, 0]), "mcc", InputError, "has the label 2"),
    "labels of floats": ("classes", TWO[0], torch.rand(4), "mcc", InputError, "labels are integers"),
    "no draws": ("classes", TWO[0][0], TWO[1], "mcc", InputError, "floats of shape"),
    "NaN": ("classes", TWO[0] * math.nan, TWO[1], "mcc", InputError, "4 of 4 outputs are NaN.* draw 0"),
    "nothing but background": (
        "positions",
        torch.tensor([9.0, 0.0]).repeat_interleave(4).expand(1, 2, 8),
        torch.zeros(2, 2, 2).long(),
        "dice(background=false)",
        InputError,
        "nothing that it counts occurs",
    ),
    "no small object": (
        "positions",
        torch.zeros(1, 2, 8),
        torch.ones(2, 2, 2).long(),
        "small-objects",
        InputError,
        "no object covers 0.01",
    ),
    "boundaries of words": (
        "positions",
        torch.zeros(1, 2, 8),
        torch.ones(2, 4).long(),
        "surface-dice",
        InputError,
        "boundaries in images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_input(case):
    task, outputs, y, name, error, message = WRONG[case]
    with pytest.raises(error, match=f"(?s){message}"):
        measure(task, outputs, y, names=name)


@pytest.mark.parametrize(
    ("rule", "names", "message"),
    [
        ("survive-10", "mcc", "several answers to one input"),
        ("mean-3", "mcc", "at least 6 draws"),
        ("majority-2", "brier", "votes"),
        ("majority-2", "auroc", "single or mean-2"),
    ],
)
def test_rules_that_do_not_fit(rule, names, message):
    with pytest.raises(UsageError, match=message):
        measure("classes", sure([[0, 1, 2]] * 4), torch.tensor([0, 1, 2]), names=names, rule=rule)


@pytest.mark.parametrize("sign", [1, -1])
def test_infinite_logits_are_certain(sign):
    """A network rules a class out by minus infinity."""
    y, outputs = torch.tensor([0, 1, 1, 0]), sure([[0, 1, 1, 0]], 2)
    outputs[0, 0, 0 if sign > 0 else 1] = sign * math.inf
    found = measure("classes", outputs, y, names=["accuracy", "brier", "auroc", "calibration-error"])
    assert [one.value for one in found] == pytest.approx([1, 0, 1, 0], abs=1e-3)


def test_auto_leaves_out_what_votes_do_not_have():
    outputs, y = sure([[0, 1, 2]] * 4), torch.tensor([0, 1, 2])
    names = [one.name for one in measure("classes", outputs, y, rule="majority-2")]
    assert names == ["accuracy"]
    assert "brier" in [one.name for one in measure("classes", outputs, y)]


def test_auto_is_defined_where_a_class_has_no_example():
    found = measure("classes", sure([[0, 1, 1, 0]]), torch.tensor([0, 1, 1, 0]))  # no example of class 2
    assert "auroc" not in [one.name for one in found]


def test_kept_is_a_difference():
    y = torch.tensor([0, 0, 1, 1])
    found = kept("classes", sure([[0, 0, 1, 0]] * 2, 2), sure([[0, 0, 1, 1]], 2), y, names=["accuracy", "brier"])
    assert [one.value for one in found] == pytest.approx([-0.25, 0.25], abs=1e-3)
    assert [one.better for one in found] == ["high", "low"]
    assert all(one.low <= one.value <= one.high for one in found)
    with pytest.raises(InputError, match=r"y has shape \(4,\)"):
        kept("classes", sure([[0, 0, 1, 0]], 2), sure([[0, 0, 1]], 2), y)
