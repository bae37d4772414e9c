from fractions import Fraction

import pytest
import torch

from variate.errors import UsageError
from variate.inputs.budget import Budget

SHAPES = ((4, 1, 6, 6), (4, 9), (1, 1))


def points(shape, seed, low=0.0, high=1.0):
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("text", "norm", "size"),
    [
        ("linf:8/255", "linf", Fraction(8, 255)),
        ("linf:0.1", "linf", Fraction(1, 10)),
        ("l2:1.5", "l2", Fraction(3, 2)),
        ("l2:0", "l2", Fraction(0)),
        ("linf:1e-6", "linf", Fraction(1, 10**6)),
        ("linf: 8/255 ", "linf", Fraction(8, 255)),
    ],
)
def test_a_budget_is_kept_exactly_as_written(text, norm, size):
    budget = Budget.parse(text)
    assert (str(budget), budget.text, budget.norm, budget.size) == (text, text, norm, size)
    assert budget.eps == float(size)
    assert Budget.parse(budget) is budget
    assert budget.with_size("1/3") == Budget(f"{norm}:1/3", norm, Fraction(1, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8/255", "has no size"),
        ("", "has no size"),
        ("inf:8/255", "did you mean 'linf'"),
        ("linf:", "is not a number"),
        ("linf:x", "is not a number"),
        ("linf:1/0", "is not a number"),
        ("linf:nan", "is not a number"),
        ("linf:inf", "is not a number"),
        ("linf:-1/255", "is negative"),
        ("linf:1e400", "budget 'linf:1e400'"),
        ("linf:1e999999999", "is not a number"),
        ("linf:1e-999999999", "is not a number"),
        ("l0:1e999999999", "is not a number"),
        ("l2:" + "9" * 5000, "is not a number"),
        ("snr:1e999999999dB", "is not a number"),
        ("snr:1e100dB", "is out of range"),
        ("features:a=1e309", "has no size"),
        ("features:a=1; times 1e999999999", "is not a valid factor"),
    ],
)
def test_what_is_not_a_budget(text, message):
    with pytest.raises(UsageError, match=message):
        Budget.parse(text)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", ["linf:8/255", "linf:0.5", "l2:0.3", "l2:3", "linf:0", "l2:0"])
def test_projections_are_inside_and_leave_the_inside_alone(text, shape):
    budget, x = Budget.parse(text), points(shape, 0)
    outside = points(shape, 1, -2, 3)
    projected = budget.project(outside, x)
    assert bool(budget.contains(projected, x).all())
    assert float((budget.project(projected, x) - projected).abs().max()) < 1e-6
    assert torch.equal(budget.project(x, x), x)
    nearby = (x + 0.3 * budget.eps / x[0].numel()).clamp(0, 1)
    assert float((budget.project(nearby, x) - nearby).abs().max()) < 1e-6


@pytest.mark.parametrize("text", ["linf:0.1", "l2:0.3"])
def test_a_projection_is_the_nearest_point_of_the_ball(text):
    budget, x = Budget.parse(text), points((3, 8), 0, 0.4, 0.6)
    outside = points((3, 8), 1, -2, 3)
    nearest = (budget.project(outside, x) - outside).norm(dim=1)
    for seed in range(200):
        other = budget.project(points((3, 8), seed, -1, 2), x)
        assert bool(((other - outside).norm(dim=1) >= nearest - 1e-6).all())


@pytest.mark.parametrize("text", ["linf:0.1", "l2:0.3"])
def test_distances_are_by_example(text):
    budget = Budget.parse(text)
    x = torch.zeros(2, 1, 2, 2)
    moved = torch.tensor([[[[0.3, 0.4], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.1]]]])
    expected = [0.4, 0.1] if budget.norm == "linf" else [0.5, 0.1]
    assert budget.distance(moved, x).tolist() == pytest.approx(expected)
    assert budget.contains(moved, x).tolist() == [False, True]


@pytest.mark.parametrize("value", [-1e-6, 1 + 1e-6, float("nan")])
def test_values_outside_the_range_are_not_contained(value):
    x = torch.full((2, 3), 0.5)
    x[0, 1] = min(max(value, 0.0), 1.0)
    moved = x.clone()
    moved[0, 1] = value
    assert Budget.parse("linf:0.1").contains(moved, x).tolist() == [False, True]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-13, 1e-20, 1e-30, 1e10])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_steepest_step_is_a_unit_step_that_raises_a_linear_function_most(norm, scale, shape):
    budget = Budget.parse(f"{norm}:1")
    gradient = points(shape, 2, -1, 1)
    step = budget.steepest(gradient * scale)
    assert budget.distance(step, torch.zeros_like(step)).tolist() == pytest.approx([1.0] * len(step), rel=1e-5)
    gain = (step * gradient).flatten(1).sum(1)
    dual = gradient.flatten(1).norm(p=1 if norm == "linf" else 2, dim=1)
    assert gain.tolist() == pytest.approx(dual.tolist(), rel=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_gradient_of_zero_has_no_direction(norm):
    assert not bool(Budget.parse(f"{norm}:1").steepest(torch.zeros(2, 3)).any())


def test_sizes_of_features_are_multiplied_as_often_as_wanted():
    budget = Budget.parse("features:age=2,*=1%")
    assert budget.measure == "features:age=2,*=1%" != Budget.parse("features:age=3,*=1%").measure
    for other in (
        budget.scaled(2).scaled(3),
        budget.with_size("1/2").with_size("6"),
        Budget.parse(f"{budget}; times 6"),
    ):
        assert (other.measure, other.features, other.size, other.eps) == (budget.measure, budget.features, 6, 6.0)
        assert Budget.parse(other.text) == other
    assert Budget.parse("linf:8/255").measure == "linf"
    for size in ("often", "-1", "1/0"):
        with pytest.raises(UsageError, match="is not a valid factor of sizes"):
            budget.with_size(size)
