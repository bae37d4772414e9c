"""Evaluations of other tasks than classes, against truths that are known."""

import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.evaluation.plan import Plan
from variate.evaluation.suites import suite_of
from variate.inputs.budget import Budget
from variate.tasks.task import task_of
from variate.testing.coin import Coin
from variate.testing.task_truths import NumberCoin, PixelClassifier, PositionCoin, fewest_right, worst_error

COUNT = 60
X = 0.3 + 0.4 * torch.rand(COUNT, 8, generator=torch.Generator().manual_seed(0))
IMAGES = 0.2 + 0.6 * torch.rand(COUNT, 1, 5, 5, generator=torch.Generator().manual_seed(1))


def rates(network, x, y, task, **options):
    result = variate.evaluate(network, x, y, task=task, **{"verdict_draws": 200, "draws": 10, **options})
    return {(row.attack, row.deployment): row for row in result.rows}


def linear(seed=0):
    network = nn.Linear(8, 1)
    with torch.no_grad():
        network.weight.copy_(torch.randn(1, 8, generator=torch.Generator().manual_seed(seed)))
    return network


@pytest.mark.parametrize("budget", ["linf:0.05", "l2:0.15"])
def test_the_suite_finds_the_worst_error_of_a_linear_regression(budget):
    network = linear()
    with torch.no_grad():
        y = network(X)[:, 0] + torch.linspace(-0.25, 0.25, COUNT)
        errors = worst_error(network.weight[0], network.bias[0], X, y, Budget.parse(budget))
    tolerance = errors.sort().values[35:37].mean().item()  # between two errors
    expected = (errors <= tolerance).float().mean().item()
    task, suite = f"regression(tolerance={tolerance})", "apgd-ce(steps=50)"
    found = rates(network, X, y, task, budget=budget, attacks=["pgd"], suite=suite)
    assert found["clean", "single"].rate == 1
    assert found["pgd", "single"].rate == pytest.approx(expected, abs=0.06)  # it may push a number the wrong way
    assert found[suite, "single"].rate == pytest.approx(expected, abs=0.5 / COUNT)  # this pushes up, down and both


def test_one_direction_is_lost_upwards_only():
    """An attack that pushes numbers up leaves those alone that could only be pushed down."""
    network = linear()
    with torch.no_grad():
        y = network(X)[:, 0] + torch.where(torch.arange(COUNT) % 2 == 0, 0.25, -0.25)
    reach = 0.02 * network.weight.abs().sum().item()
    tolerance = 0.25 + reach / 2
    attacks = [{"name": "pgd", "climb": climb} for climb in ("up", "down", "error")]
    result = variate.evaluate(network, X, y, task=f"regression(tolerance={tolerance})", budget="linf:0.02",
                              attacks=attacks, deployments=["single"])  # fmt: skip
    clean, up, down, error = (row.rate for row in result.rows)
    assert (clean, up, down, error) == (1, 0.5, 0.5, 0)


def test_a_regression_with_gaussian_weights_is_judged_as_the_normal_law_says():
    net = variate.randomize(linear(), scale=0.2).eval()
    y = net.mean()(X).detach()[:, 0]
    result = rates(net, X, y, "regression(tolerance=0.4)", budget="linf:0.02", attacks=["pgd"],
                   deployments=["single", "mean-4", "majority-4", "survive-3"], verdict_draws=400)  # fmt: skip
    with torch.no_grad():
        draws = torch.stack([net.at(key)(X)[:, 0] for key in range(4000)])
    right = ((draws - y).abs() <= 0.4).double()  # (S, B)
    expected = {
        "single": right.mean(),
        "mean-4": ((draws.view(-1, 4, COUNT).mean(1) - y).abs() <= 0.4).double().mean(),
        "majority-4": ((draws.view(-1, 4, COUNT).quantile(0.5, dim=1) - y).abs() <= 0.4).double().mean(),
        "survive-3": right[:3999].view(-1, 3, COUNT).amin(1).mean(),
    }
    for deployment, truth in expected.items():
        row = result["clean", deployment]
        assert row.low - 0.02 <= truth <= row.high + 0.02, deployment
        assert result["pgd", deployment].rate < row.rate


def test_the_suite_finds_every_pixel_that_can_be_lost():
    network, eps = PixelClassifier(), 0.08
    y = (IMAGES[:, 0] > 0.5).long()
    expected = fewest_right(network, IMAGES, y, eps).mean().item()
    assert 0.1 < expected < 0.9
    found = rates(network, IMAGES, y, "positions(score_by=accuracy)", budget=f"linf:{eps}", suite="quick",
                  attacks=["fgsm", {"name": "apgd-ce", "steps": 20}])  # fmt: skip
    assert found["clean", "single"].rate == 1
    for attack in ("fgsm", "apgd-ce", "quick"):
        assert found[attack, "single"].rate == pytest.approx(expected, abs=0.02), attack


@pytest.mark.parametrize(
    ("network", "y", "task", "truth"),
    [
        (NumberCoin(0.2), torch.zeros(COUNT), "regression(tolerance=0.5)", {"single": 0.8, "survive-3": 0.8**3}),
        (NumberCoin(0.2, 2), torch.zeros(COUNT, 2), "regression(tolerance=0.5)", {"single": 0.8, "survive-3": None}),
        (PositionCoin(0.1), torch.zeros(COUNT, 5, 5).long(), "positions(score_by=accuracy)", {"single": 0.9}),
        (Coin(0.2), torch.zeros(COUNT).long(), "classes", {"single": 0.8, "survive-3": 0.8**3}),
    ],
)
def test_no_attack_changes_the_score_of_a_coin(network, y, task, truth):
    attacks = ["fgsm", {"name": "pgd", "steps": 5}, {"name": "square", "queries": 50}]
    found = rates(network, IMAGES, y, task, budget="linf:0.3", attacks=attacks, deployments=list(truth))
    for (attack, deployment), row in found.items():
        if truth[deployment] is not None:
            assert row.low - 0.01 <= truth[deployment] <= row.high + 0.01, (attack, deployment, row.percent)


def test_the_least_of_several_scores_is_that_of_brute_force():
    """Two coins of one example: the score is 1, 1/2 or 0, and survive-2 the mean of the smaller of two."""
    found = rates(NumberCoin(0.3, 2), IMAGES, torch.zeros(COUNT, 2), "regression(tolerance=0.5)", budget="linf:0.1",
                  attacks=[], deployments=["survive-2"], verdict_draws=400)  # fmt: skip
    chances = {1.0: 0.49, 0.5: 0.42, 0.0: 0.09}
    truth = sum(min(a, b) * p * q for a, p in chances.items() for b, q in chances.items())
    row = found["clean", "survive-2"]
    assert row.low <= truth <= row.high


def test_one_logit_is_attacked_as_two():
    """A network of one logit has the rates of the one with two logits that says the same."""
    one = linear(3)
    y = (one(X)[:, 0] > 0.1).long()

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = one

        def forward(self, x):
            z = self.one(x)
            return torch.cat([torch.zeros_like(z), z], 1)

    options = {"budget": "linf:0.03", "attacks": ["pgd", "fmn"], "deployments": ["single"]}
    binary = variate.evaluate(one, X, y, task="binary", **options)
    classes = variate.evaluate(Two(), X, y, **options)
    assert [row.rate for row in binary.rows] == [row.rate for row in classes.rows]
    with pytest.raises(InputError, match="binary answer"):
        variate.evaluate(one, X, y, **options)


def test_answers_are_kept_and_found_again_by_task(tmp_path):
    """The task is part of a claim: another tolerance is another measurement."""
    network = linear()
    y = network(X).detach()[:, 0] + 0.1
    path = tmp_path / "records.jsonl"

    def clean(task):
        return variate.evaluate(network, X, y, task=task, budget="linf:0.1", attacks=[], records=path).rows[0].rate

    assert [clean("regression(tolerance=0.2)"), clean("regression(tolerance=0.05)")] == [1, 0]
    size = path.stat().st_size
    assert [clean("regression(tolerance=0.2)"), clean("regression(tolerance=0.05)")] == [1, 0]
    assert path.stat().st_size == size, "answers that are there are not computed again"


def test_what_a_task_does_not_have_is_refused():
    network, y = linear(), X[:, 0]
    task = "regression(tolerance=0.1)"
    for attack, expected in [
        ({"name": "apgd-dlr"}, "does not work on the task regression"),
        ({"name": "pgd", "climb": "sideways"}, "sideways"),
        ({"name": "pgd", "target": "next"}, "no target of the task regression"),
    ]:
        with pytest.raises(UsageError, match=expected):
            variate.evaluate(network, X, y, task=task, budget="linf:0.1", attacks=[attack])
    with pytest.raises(UsageError, match="no option climb"):
        variate.evaluate(nn.Linear(8, 2), X, y.long(), budget="linf:0.1", attacks=[{"name": "pgd", "climb": "up"}])
    with pytest.raises(InputError, match="NaN"):
        variate.evaluate(network, X, y * torch.nan, task=task, budget="linf:0.1")


def test_a_suite_climbs_every_margin_of_a_task():
    suite = suite_of("standard", Budget.parse("linf:0.1"), draws=5, transfers=[], task=task_of("positions"))
    climbed = [plan.climb for plan in suite.plans if plan.attack == "apgd-ce"]
    assert climbed == list(task_of("positions").climbs)
    assert "apgd-dlr" not in [plan.attack for plan in suite.plans]
    assert Plan.of({"name": "pgd", "climb": "up"}, 1).label == "pgd by up"
