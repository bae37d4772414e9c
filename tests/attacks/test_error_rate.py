"""Each deployment is attacked by its own error rate: the suite reaches the best input where averaged losses do not."""

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.evaluation.cascade import cascade
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, Target, perturb
from variate.evaluation.suites import SUITES, Suite, suite_of
from variate.inputs.budget import Budget
from variate.oracle.error_score import error_score
from variate.random.randomize import randomize
from variate.statistics.rates import Deployment
from variate.testing.normal_margins import growing_noise, least_right_rate, normal_linear, right_rate

BUDGET = Budget.parse("linf:0.1")
SINGLE, MEAN = Deployment.parse("single"), Deployment.parse("mean-16")


def above_best(network, x, y, attack, budget=BUDGET, draws=20):
    """Points by which an attack leaves more right answers than the best one."""
    perturbed, _ = perturb(Target(network, "keyed"), Plan.of(attack, draws), budget, x, y)
    return 100 * float((right_rate(network, perturbed, y) - least_right_rate(network, x, y, budget)).mean())


@pytest.mark.parametrize("growth", [2.0, 20.0])
def test_the_standard_suite_is_within_two_points_of_the_best_attack(growth):
    network, x, y = growing_noise(growth, examples=12)
    suite = suite_of("standard", BUDGET, draws=20, transfers=["mean"], deployments=[SINGLE])
    outcome = cascade(Target(network, "keyed"), suite, BUDGET, x, y, None, lambda *_: None, [SINGLE])
    left = right_rate(network, outcome.perturbed["single"], y) - least_right_rate(network, x, y, BUDGET)
    assert -1e-6 < float(left.mean()) < 0.02


@pytest.mark.parametrize("values", [16, 32])
@pytest.mark.parametrize("growth", [2.0, 20.0])
def test_error_rate_finds_what_averaged_losses_miss(growth, values):
    network, x, y = growing_noise(growth, examples=25, values=values, seed=1)
    assert above_best(network, x, y, "error-rate") < 2
    assert above_best(network, x, y, "apgd-ce") > 5


@pytest.mark.parametrize("budget", ["linf:0.05", "l2:0.2"])
def test_error_rate_finds_the_best_input_of_a_linear_network(budget):
    network, x, y = normal_linear(0.3)
    assert above_best(network, x, y, "error-rate", Budget.parse(budget)) < 0.5


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
@pytest.mark.parametrize("rule", ["single", "majority", "survive"])
def test_the_score_does_not_depend_on_the_scale_of_the_logits(rule, factor):
    logits, y = torch.randn(20, 6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4
    assert torch.allclose(error_score(logits * factor, y, rule), error_score(logits, y, rule), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rule", ["single", "mean", "majority"])
def test_the_score_rises_with_the_share_of_wrong_answers(rule):
    generator = torch.Generator().manual_seed(0)
    lead = torch.linspace(2, -2, 9)  # of the label over the others, by example
    logits = torch.randn(400, 9, 3, generator=generator)
    logits[..., 0] += lead
    scores = error_score(logits, torch.zeros(9, dtype=torch.long), rule)
    assert (scores.diff() > 0).all()
    assert scores[0] < 0 < scores[-1]


@pytest.mark.parametrize("rule", ["single", "mean", "majority"])
def test_one_draw_and_equal_draws_have_a_finite_gradient(rule):
    for draws in (1, 3):
        logits = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0)).repeat(draws, 1, 1)
        logits.requires_grad_(True)
        gradient = torch.autograd.grad(error_score(logits, torch.arange(5) % 4, rule).sum(), logits)[0]
        assert gradient.isfinite().all()
        assert (gradient.abs().sum((0, 2)) > 0).all()


class TwoWays(nn.Module):
    """An input above 1/2 makes 55 % of the draws just wrong, one below makes 40 % of them wrong beyond doubt.

    Single draws are wrong more often above, and the mean probability only below.
    """

    def __init__(self):
        super().__init__()
        self.noise = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        above, below = (10 * (x[:, 0] - 0.5)).clamp(min=0), (10 * (0.5 - x[:, 0])).clamp(min=0)
        just, surely = torch.where(self.noise < 0.126, -0.1, 4.0), torch.where(self.noise < -0.253, -8.0, 0.1)
        margin = (1 - above - below) + above * just + below * surely
        return torch.stack([margin, torch.zeros_like(margin)], 1)


@pytest.fixture
def two_ways():
    return randomize(TwoWays(), scale=1.0), torch.full((3, 2), 0.5), torch.zeros(3, dtype=torch.long)


def test_each_deployment_keeps_its_own_worst_input(two_ways):
    network, x, y = two_ways
    uses = [SINGLE, MEAN]
    plans = tuple(Plan.of(f"error-rate(deployment={use}, restarts=5, steps=20)", 20) for use in uses)
    assert [plan.label for plan in plans] == ["error-rate of single", "error-rate of mean-16"]
    outcome = cascade(Target(network, "keyed"), Suite("s", plans), BUDGET, x, y, None, lambda *_: None, uses)
    assert (outcome.perturbed["single"][:, 0] > 0.5).all()
    assert (outcome.perturbed["mean-16"][:, 0] < 0.5).all()


def test_a_deployment_is_judged_on_its_own_worst_input(two_ways, monkeypatch):
    monkeypatch.setitem(SUITES, "both", [{"name": "error-rate", "restarts": 5, "steps": 20}])
    names = ["single", "mean-16", "survive-10"]
    result = evaluate(*two_ways, budget=BUDGET, attacks=[], suite="both", deployments=names, verdict_draws=320)
    rates = {row.deployment: row.rate for row in result.rows if row.attack == "both"}
    assert rates["single"] == pytest.approx(0.45, abs=0.1)
    assert rates["mean-16"] < 0.3  # above 1/2, where single draws are worst, it is nearly 1
    example = result.records.examples[result.claims[-1].id][0]
    assert example.chosen == "error-rate of single"
    assert example.chosen_for == {"mean-16": "error-rate of mean-16"}


def test_a_suite_attacks_each_rule_once_and_a_deterministic_network_by_none():
    uses = [*map(Deployment.parse, ("survive-10", "single", "mean-16", "mean-4", "majority-16"))]
    suite = suite_of("standard", BUDGET, draws=20, transfers=["mean"], deployments=uses)
    labels = [plan.label for plan in suite.plans if plan.attack == "error-rate"]
    assert labels == ["error-rate of single", "error-rate of mean-4", "error-rate of majority-16"]
    plain = suite_of("standard", BUDGET, draws=20, transfers=["mean"], deployments=[])
    assert "error-rate" not in [plan.attack for plan in plain.plans]


def test_a_target_is_reached():
    network, x, y = growing_noise(2.0, examples=20)
    perturbed, _ = perturb(Target(network, "keyed"), Plan.of("error-rate(target=next)", 20), BUDGET, x, y)
    assert float(right_rate(network, perturbed, y).mean()) < 0.4


def test_an_unknown_deployment_is_named():
    network, x, y = growing_noise(2.0, examples=2)
    with pytest.raises(UsageError, match="median-3"):
        perturb(Target(network, "keyed"), Plan.of("error-rate(deployment=median-3)", 2), BUDGET, x, y)
