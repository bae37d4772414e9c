"""Boundaries and small objects, against their definition spelled out position by position."""

import itertools
import math

import numpy as np
import pytest
import torch

from variate.metrics.measure import measure
from variate.metrics.parts.maps import surface_distances


def outputs_of(answers, classes=3):
    """Outputs (G, N, K P) of masks (G, N, H, W)."""
    logits = torch.nn.functional.one_hot(torch.as_tensor(answers), classes).float()
    return logits.movedim(-1, 2).flatten(2)


def value(name, answers, labels):
    answers, labels = torch.as_tensor(np.array(answers)), torch.as_tensor(np.array(labels))
    return measure("positions", outputs_of(answers), labels, names=name)[0].value


def square(size, top, left, side, k=1):
    mask = np.zeros((size, size), dtype=np.int64)
    mask[top : top + side, left : left + side] = k
    return mask


def boundary(mask):
    """Positions of the mask with a neighbor that is not in it, or that is outside of the image."""
    rows, columns = mask.shape
    inside = lambda i, j: 0 <= i < rows and 0 <= j < columns and mask[i, j]  # noqa: E731
    around = ((0, 1), (1, 0), (0, -1), (-1, 0))
    return [
        (i, j)
        for i, j in itertools.product(range(rows), range(columns))
        if mask[i, j] and not all(inside(i + a, j + b) for a, b in around)
    ]


def test_distances_are_those_of_the_definition():
    generator = np.random.default_rng(0)
    for _ in range(5):
        one, other = (generator.random((9, 7)) < 0.6 for _ in range(2))
        a, b = boundary(one), boundary(other)
        expected = [sorted(min(math.dist(p, q) for q in there) for p in here) for here, there in ((a, b), (b, a))]
        found = surface_distances(one, other)
        for ours, theirs in zip(found, expected, strict=True):
            assert sorted(ours) == pytest.approx(theirs)


def test_a_square_that_is_off_by_two():
    labels, answers = square(20, 4, 4, 8), square(20, 4, 6, 8)
    ours, right = boundary(answers), boundary(labels)
    distances = [min(math.dist(p, q) for q in there) for here, there in ((ours, right), (right, ours)) for p in here]
    assert value("surface-dice(tolerance=2)", [[answers]], [labels]) == 1
    assert value("surface-dice", [[answers]], [labels]) == pytest.approx(np.mean([d <= 1 for d in distances]))
    assert value("boundary-distance", [[answers]], [labels]) == pytest.approx(np.mean(distances))


def test_perfect_and_absent():
    labels = [square(10, 2, 2, 4), square(10, 0, 0, 3, k=2)]
    assert value("surface-dice", [labels], labels) == 1
    assert value("boundary-distance", [labels], labels) == 0
    nothing = [[np.zeros((10, 10), dtype=np.int64)] * 2]
    assert value("surface-dice", nothing, labels) == 0
    assert value("boundary-distance", nothing, labels) == pytest.approx(math.hypot(10, 10))
    assert value("surface-dice", nothing, nothing[0]) == 1  # neither has an object


def test_ignored_positions_do_not_count():
    labels = square(10, 2, 2, 4)
    answers = square(10, 2, 2, 4)
    labels[0, :], answers[0, :] = -1, 1
    assert value("surface-dice", [[answers]], [labels]) == 1
    assert value("mean-iou", [[answers]], [labels]) == 1


def test_small_objects_are_counted_apart():
    """One large and two small objects: one of the small ones is found in half of the draws."""
    labels = square(20, 0, 0, 10)
    labels[15, 15:18] = labels[18, 2:4] = 2
    found = labels.copy()
    found[18, 2:4] = 0
    missed = square(20, 0, 0, 10)
    assert value("small-objects", [[found], [missed]], [labels]) == pytest.approx(0.25)
    assert value("small-objects(share=0.3)", [[found], [missed]], [labels]) == pytest.approx((2 + 1) / 6)
    half = labels.copy()
    half[15, 16:18] = half[18, 3] = 0  # a third of one, half of the other
    assert value("small-objects", [[half]], [labels]) == 0.5
    assert value("mean-iou", [[missed]], [labels]) == pytest.approx((1 + 295 / 300) / 3)


def test_objects_of_a_sequence_are_its_runs():
    labels = torch.tensor([[0, 1, 1, 0, 1, 0, 2, 0] * 4])
    answers = labels.clone()
    answers[0, 1:3] = 0
    outputs = torch.nn.functional.one_hot(answers, 3).float().movedim(-1, 1).flatten(1)[None]
    found = measure("positions", outputs, labels, names="small-objects(share=0.1)")[0]
    assert found.value == pytest.approx(11 / 12)
