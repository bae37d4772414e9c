"""Tables whose labels are numbers, several labels, or yes and no: read as declared, and refused with reasons."""

import numpy as np
import pytest
import torch

import variate
from variate import registry
from variate.datasets.load import labelled
from variate.errors import DataError, UsageError
from variate.tasks.task import task_of
from variate.training.saved import build

RNG = np.random.default_rng(0)
A, B = RNG.random(60).round(3), RNG.random(60).round(3)
LINES = [
    [a, b, f"{10 * a - b:.3f}", f"{100 * b:.2f}", int(a > 0.5), "yes" if b > 0.5 else "No"]
    for a, b in zip(A, B, strict=True)
]
FIVES = [[*line[:2], 5, *line[3:]] for line in LINES]
NAMES = ["a", "b", "price", "weight", "red", "green"]


def table(folder, *columns, lines=LINES, toml=""):
    path = folder / "t.csv"
    places = [NAMES.index(name) for name in columns]
    path.write_text("\n".join([",".join(columns), *(",".join(str(line[i]) for i in places) for line in lines)]))
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return path


def changed(column, row, cell):
    lines = [list(line) for line in LINES]
    lines[row][NAMES.index(column)] = cell
    return lines


def test_a_column_of_numbers_is_predicted_in_its_own_unit(tmp_path):
    path = table(tmp_path, "a", "b", "price")
    name = "csv(task=regression(tolerance=0.5))"
    about = variate.about(name, folder=path)
    x, y = variate.data(name, "train", folder=path)
    assert (about.task, about.classes, about.labels, about.shape) == ("regression(tolerance=0.5)", 1, ("price",), (2,))
    assert (y.dtype, y.shape) == (torch.float32, (36,))
    assert about.details["target"] == {"mean": [pytest.approx(float(y.mean()))], "std": [pytest.approx(float(y.std()))]}
    low, high = (torch.tensor([[column[end] for column in about.details["features"]]]) for end in ("low", "high"))
    own = low + x * (high - low)
    assert torch.allclose(10 * own[:, 0] - own[:, 1], y, atol=1e-3)  # rows and numbers belong together
    task_of(about.task).check_labels(y, len(x))


def test_a_declaration_says_what_the_labels_mean_and_an_option_overrides_it(tmp_path):
    path = table(
        tmp_path, "price", "a", "b", "red", toml='label = "price"\ntask = "regression(tolerance=2, until=3)"\n'
    )
    about = variate.about(path)
    assert (about.task, about.labels) == ("regression(tolerance=2, until=3)", ("price",))
    assert len(about.details["features"]) == 3
    assert variate.about("csv(task='regression(tolerance=1, until=2)')", folder=path).task.endswith("until=2)")
    assert variate.data(path)[1].dtype == torch.float32


def test_a_task_that_is_given_beside_the_name_reads_the_labels_too(tmp_path):
    path = table(tmp_path, "a", "b", "price", toml='task = "regression(tolerance=2)"\n')
    about = variate.about(path, task="regression(tolerance=0.5)")
    assert (about.task, "target" in about.details) == ("regression(tolerance=0.5)", True)
    path.with_suffix(".toml").unlink()
    assert labelled(str(path), task="regression(tolerance=1)", cut=True)[1].dtype == torch.float32
    assert variate.about("csv(task=regression(tolerance=3))", folder=path, task="regression(tolerance=1)").classes == 1


def test_numbers_in_arrays_of_one_s_own_have_a_spread(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, x=np.stack([A, B], 1), y=100 * A)
    about = variate.about(path, task="regression(tolerance=5)")
    y = labelled(str(path), split="train", cut=True, task="regression(tolerance=5)")[1]
    assert about.details["target"]["mean"] == pytest.approx([float(y.double().mean())])
    assert "target" not in variate.about("digits").details
    with torch.no_grad():
        assert float((build("mlp", about)(torch.tensor([[0.5, 0.5]])) - y.mean()).abs()) < 2 * float(y.std())


def test_several_numbers_and_several_labels_are_columns(tmp_path):
    path = table(tmp_path, *NAMES, toml='label = ["weight", "price"]\ntask = "regression(tolerance=1)"\n')
    x, y = variate.data(path, "train")
    about = variate.about(path)
    assert (y.shape, about.classes, about.labels) == ((36, 2), 2, ("weight", "price"))
    assert about.details["target"]["mean"] == pytest.approx(y.mean(0).tolist())
    assert build("mlp", about)(x).shape == (36, 2)
    path = table(tmp_path, *NAMES, toml='label = ["red", "green"]\ntask = "labels"\n')
    about, (x, y) = variate.about(path), variate.data(path, "train")
    assert (about.classes, about.labels, about.task, y.dtype) == (2, ("red", "green"), "labels", torch.int64)
    price = next(i for i, feature in enumerate(about.details["features"]) if feature["name"] == "b")
    assert bool(x[:, price][y[:, 1] == 1].min() > x[:, price][y[:, 1] == 0].max())  # green where b is large
    task_of("labels").check_labels(y, len(y))


def test_yes_or_no_is_one_logit(tmp_path):
    path = table(tmp_path, "a", "b", "green")
    about, (x, y) = (
        variate.about("csv(task=binary)", folder=path),
        variate.data("csv(task=binary)", "train", folder=path),
    )
    assert (about.classes, about.labels, about.task) == (2, ("No", "yes"), "binary")
    assert {*y.tolist()} == {0, 1}
    assert build("mlp", about)(x).shape == (len(x), 1)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("1,5", None), ("many", "many"), ("1e99", "1e99"), ("nan", "missing"), ("", "missing"), ("inf", "inf")],
)
def test_a_cell_that_is_no_number_is_named_by_its_line(tmp_path, cell, said):
    lines = changed("price", 7, f'"{cell}"')
    path = table(tmp_path, "a", "b", "price", lines=lines)
    with pytest.raises(DataError, match="line 9") as caught:
        variate.data("csv(task=regression(tolerance=1))", folder=path)
    assert (said or "decimal point") in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "task", "lines", "said"),
    [
        (("a", "b", "price"), "labels", LINES, "labels that are no labels"),
        (("a", "b", "red"), "positions", LINES, "no labels for the task positions"),
        (("a", "b", "red"), "regresion(tolerance=1)", LINES, "no task named 'regresion'"),
        (("a", "b", "red"), "regression", LINES, "needs a tolerance"),
        (("a", "b", "price"), "regression(tolerance=1)", FIVES, "nothing to predict"),
        (("a", "b", "red"), "binary", changed("red", 3, 2), "has 3 classes"),
        (("a", "b", "price"), "classes", LINES, "regression(tolerance="),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_their_task_are_refused(tmp_path, columns, task, lines, said):
    path = table(tmp_path, *columns, lines=[*lines, *lines] if task == "binary" else lines)
    with pytest.raises((DataError, UsageError)) as caught:
        variate.data(f"csv(task={task})", folder=path)
    assert said in str(caught.value)


def test_several_columns_need_a_task_that_takes_them(tmp_path):
    path = table(tmp_path, *NAMES, toml='label = ["red", "green"]\n')
    with pytest.raises(DataError, match="2 columns of labels for the task classes") as caught:
        variate.data(path)
    assert "labels" in caught.value.todo


def test_diabetes_is_predicted_better_than_by_its_median_and_shares_no_patient():
    splits = {split: variate.data("diabetes", split) for split in ("train", "validation", "test")}
    about = variate.about("diabetes")
    task = task_of(about.task)
    assert {split: tuple(x.shape) for split, (x, _) in splits.items()} == {
        "train": (266, 10), "validation": (88, 10), "test": (88, 10),
    }  # fmt: skip
    rows = {split: {row.numpy().tobytes() for row in x} for split, (x, _) in splits.items()}
    assert not rows["train"] & rows["validation"] | rows["train"] & rows["test"]
    x, y = splits["train"]
    assert [feature["name"] for feature in about.details["features"] if not feature.get("mutable", True)] == [
        "age",
        "sex",
    ]
    assert about.budget == registry.get("datasets", "diabetes").facts["budget"]
    ones = torch.ones(len(x), 1)
    weights = torch.linalg.lstsq(torch.cat([x, ones], 1), y[:, None]).solution
    x, labels = splits["validation"]
    linear = task.score(torch.cat([x, torch.ones(len(x), 1)], 1) @ weights, labels).mean()
    constant = task.score(y.median().expand(len(x), 1), labels).mean()
    assert (round(float(linear), 2), round(float(constant), 2)) == (0.76, 0.47)  # as its docstring says


def test_a_network_learns_numbers_in_their_unit_in_a_plain_loop():
    torch.manual_seed(0)
    about = variate.about("diabetes")
    net, task = build("mlp(hidden=32)", about), task_of(about.task)
    x, y = variate.data("diabetes", "train")
    assert 100 < float(net(x).detach().mean()) < 200  # before any training it answers about the mean
    before = float(task.loss(task.read(net(x), x.shape), y).detach().mean())
    optimizer = torch.optim.SGD(net.parameters(), 0.02, momentum=0.9)
    for _ in range(100):
        loss = task.loss(task.read(net(x), x.shape), y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.6 * before
