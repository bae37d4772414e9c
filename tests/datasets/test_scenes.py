"""Composed scenes: what is drawn is what the labels say, the pictures are those of the split, and it is fixed."""

import pytest
import torch

import variate
from variate.datasets.digits import digits
from variate.datasets.parts.composing import DRAWN, composed
from variate.errors import InputError, UsageError
from variate.tasks.task import task_of

FEW = "train=60, validation=30, test=40"
ONE = torch.ones(1, 1, 8, 8)


def named(answer="masks", more=""):
    return f"scenes(answer={answer}, {FEW}{more})"


def test_three_questions_about_the_same_scenes():
    x, masks = variate.data(named())
    _, present = variate.data(named("present"))
    _, count = variate.data(named("count"))
    assert (x.shape, masks.shape, present.shape, count.shape) == ((40, 1, 32, 32), (40, 32, 32), (40, 10), (40,))
    assert (masks.dtype, present.dtype, count.dtype) == (torch.int64, torch.int64, torch.float32)
    assert bool(((masks > 0) == (x[:, 0] > 0)).all())  # what is drawn has a class, the rest is background
    assert {*count.tolist()} == {1.0, 2.0, 3.0}
    for mask, there, number in zip(masks, present, count, strict=True):
        seen = {int(label) - 1 for label in mask.unique() if label}
        named_there = {*there.nonzero()[:, 0].tolist()}
        assert named_there <= seen
        assert 1 <= len(named_there) <= number


@pytest.mark.parametrize(("answer", "classes"), [("masks", 11), ("present", 10), ("count", 1)])
def test_labels_are_those_of_the_task(answer, classes):
    about = variate.about(named(answer))
    task = task_of(about.task)
    assert (about.classes, len(about.labels), about.shape) == (classes, classes, (1, 32, 32))
    for split in ("train", "validation", "test"):
        x, y = variate.data(named(answer), split)
        task.check_labels(y, len(x))
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
        with pytest.raises(InputError):
            task.check_labels(y[:-1], len(x))
    x, y = variate.data(named(answer), "train")
    assert (about.mean, about.std) == (
        pytest.approx((float(x.mean()),), abs=1e-5),
        pytest.approx((float(x.std()),), abs=1e-5),
    )
    if answer == "count":
        assert about.details["target"] == {
            "mean": [pytest.approx(float(y.mean()))], "std": [pytest.approx(float(y.std()))],
        }  # fmt: skip
    else:
        assert about.labels[-10:] == tuple("0123456789")
        assert (about.labels[0] == "background") == (answer == "masks")


def test_the_later_object_covers_the_earlier_and_what_is_covered_does_not_count():
    pictures, labels = torch.cat([ONE, 0.5 * ONE]), torch.tensor([0, 1])
    made = composed(pictures, labels, count=300, size=16, objects=6, seed=[1])
    colors = torch.tensor([0.0, 1.0, 0.5])
    assert torch.allclose(made.x[:, 0], colors[made.masks], atol=1e-6)
    assert int((made.classes < 0).sum()) > 300 * 2.5  # fewer objects, or covered ones
    for kind in (0, 1):
        counted = (made.classes == kind).any(1)
        assert bool((made.masks[counted] == kind + 1).flatten(1).any(1).all())


def test_one_square_alone_is_counted_and_lies_inside():
    made = composed(ONE, torch.tensor([4]), count=200, size=32, objects=1, seed=[0])
    areas = (made.masks == 5).sum((1, 2))
    sides = areas.sqrt()
    assert torch.equal(sides, sides.round())
    assert (float(sides.min()), float(sides.max())) == (10, 16)
    assert bool((made.classes == 4).all())
    assert {float(value) for value in made.x.unique()} == {0.0, 1.0}


def test_pictures_of_a_split_are_of_the_same_split_of_the_source(monkeypatch):
    """With sources that are bright in training, dim in validation and dimmer in the test, scenes are as bright."""
    from variate import registry

    shades = {"train": 0.9, "validation": 0.6, "test": 0.3}
    entry = registry.get("datasets", "digits")
    monkeypatch.setattr(type(entry), "load", lambda _: lambda split, folder: (shades[split] * ONE, torch.tensor([0])))
    from variate.datasets import scenes

    scenes._scenes.cache_clear()
    for split, shade in shades.items():
        x = scenes._scenes(split, "digits", None, 20, 32, 3, 0).x
        assert x.unique().tolist() == pytest.approx([0.0, shade])
    scenes._scenes.cache_clear()


def test_scenes_are_fixed_by_their_seed_and_differ_between_splits_and_seeds():
    x, y = variate.data(named())
    made = composed(*digits("test"), count=40, size=32, objects=3, seed=[0, 2])
    assert torch.equal(x, made.x)
    assert torch.equal(y, made.masks)
    assert not torch.equal(x, variate.data(named(more=", seed=1"))[0])
    assert not torch.equal(x[:30], variate.data(named(), "validation")[0])


def test_every_option_counts():
    x, y = variate.data(named("count", ", size=24, objects=5, pictures=digits"), "train")
    assert (x.shape, len(y)) == ((60, 1, 24, 24), 60)
    assert float(y.max()) > 3
    assert float(x[x > 0].min()) > DRAWN


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("answer=mask", "answer of scenes"),
        ("pictures=cifar10", "picture source of scenes"),
        ("size=8", "option size"),
        ("objects=0", "option objects"),
        ("train=2.5", "option train"),
        ("seed=-1", "option seed"),
        ("objects=many", "option objects"),
        ("colour=1", "option of scenes"),
    ],
)
def test_options_that_are_not_valid_are_named(options, what):
    with pytest.raises(UsageError, match=what):
        variate.data(f"scenes({options})", "train")
