"""Targeted attacks on other tasks than classes, against what can be reached at all."""

import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.evaluation.plan import Plan
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.tasks.parts.aimed import Aimed
from variate.tasks.task import task_of

COUNT, EPS = 40, 0.05
X = 0.3 + 0.4 * torch.rand(COUNT, 8, generator=torch.Generator().manual_seed(0))


class Shifted(nn.Module):
    """Each value minus one half: one logit or number for every value."""

    def forward(self, x):
        return x - 0.5


class Pixels(nn.Module):
    """Two classes at every pixel: 1 where it is brighter than one half."""

    def forward(self, x):
        return torch.cat([0.5 - x, x - 0.5], 1)


def missed(network, x, y, task, target, attack="pgd", **options):
    """The mean score of what the goal is missed by, clean and under attack."""
    result = variate.evaluate(network, x, y, task=task, budget=f"linf:{EPS}", verdict_draws=100, draws=5, seed=0,
                              attacks=[{"name": attack, "target": target, "steps": 30}],
                              deployments=["single"], **options)  # fmt: skip
    return [row.rate for row in result.rows]


def test_numbers_are_moved_to_those_that_are_in_reach_and_no_others():
    network = nn.Linear(8, 1)
    with torch.no_grad():
        network.weight.copy_(torch.randn(1, 8, generator=torch.Generator().manual_seed(2)))
        y = network(X)[:, 0]
        far = EPS * network.weight.abs().sum().item()  # what a number can be moved by
    for share, expected in ((0.9, 0.0), (1.2, 1.0)):
        task = f"regression(tolerance={far / 8})"
        assert missed(network, X, y, task, f"by {share * far}") == [1.0, expected]
    spread = (y - y.median()).abs() <= far + far / 8  # one number for all
    found = missed(network, X, y, f"regression(tolerance={far / 8})", f"{y.median().item()}")
    assert found[1] == pytest.approx(1 - spread.float().mean().item(), abs=1.5 / COUNT)


@pytest.mark.parametrize("climb", ["smoothed", "masked", "cross-entropy"])
def test_pixels_reach_the_class_that_their_budget_allows(climb):
    x = 0.3 + 0.4 * torch.rand(COUNT, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] > 0.5).long()
    attack = [{"name": "pgd", "target": "1", "steps": 30, "climb": climb}]
    result = variate.evaluate(Pixels(), x, y, task="positions(score_by=accuracy)", budget=f"linf:{EPS}",
                              attacks=attack, deployments=["single"])  # fmt: skip
    clean, attacked = (row.rate for row in result.rows)
    assert clean == 1  # untargeted: the network is right
    assert attacked == pytest.approx((x + EPS <= 0.5).float().mean().item(), abs=0.02)


@pytest.mark.parametrize(("target", "wanted"), [("opposite", None), ("1", 1), ("0", 0)])
def test_labels_reach_those_that_their_budget_allows(target, wanted):
    y = (X > 0.5).long()
    goal = 1 - y if wanted is None else torch.full_like(y, wanted)
    stuck = torch.where(goal == 1, X + EPS <= 0.5, X - EPS > 0.5)
    found = missed(Shifted(), X, y, "labels", target, "apgd-ce")
    assert found[1] == pytest.approx(stuck.float().mean().item(), abs=0.02)


def test_a_transcript_is_made_to_spell_another():
    """Frames lean to one symbol by less than the budget, except in the last example."""
    x = torch.full((3, 4, 4), 0.5)  # (B, T, K): three symbols and the blank
    x[..., 0] += 0.04
    x[2, :, 0] += 0.3
    y = torch.zeros(3, 1, dtype=torch.long)
    network, task = nn.Identity(), "transcript(symbols=3)"
    for word in ("2 1", "next"):
        assert missed(network, x, y, task, word) == [pytest.approx(1.0), pytest.approx(1 / 3)]


@pytest.mark.parametrize(
    "text",
    ["labels", "labels(exact=true)", "positions", "regression(tolerance=0.4)", "transcript(symbols=2)"],
)
def test_the_approach_is_above_zero_exactly_where_the_goal_is_reached(text):
    torch.manual_seed(0)
    task = task_of(text)
    shapes = {"labels": ((3,), 3), "positions": ((2, 2), 8), "regression": ((2,), 2), "transcript": ((2,), 9)}
    shape, width = shapes[text.partition("(")[0]]
    outputs = 2 * torch.randn(400, width)
    goal = torch.randn(400, *shape) if text.startswith("regression") else torch.randint(2, (400, *shape))
    if text == "transcript(symbols=2)":
        goal[:200, 1] = -1
    aimed = Aimed(task=task)
    for climb in task.approaches:
        reached = aimed.score(outputs, goal) == 0
        assert 0 < reached.sum() < 400
        assert torch.equal(aimed.margin(outputs, goal, climb) > 0, reached)


def test_a_suite_approaches_in_every_way_and_keeps_the_nearest():
    network = variate.randomize(nn.Linear(8, 8), scale=0.02)
    y = (network(X) > 0).long()
    result = variate.evaluate(
        network, X, y, task="labels", budget="linf:0.3", suite="apgd-ce(steps=10)", target="opposite", draws=3,
        verdict_draws=32, deployments=["single", "mean-4"],
    )  # fmt: skip
    suite = {row.deployment: row for row in result.rows if row.attack != "clean"}
    clean = {row.deployment: row for row in result.rows if row.attack == "clean"}
    assert suite["single"].rate < 0.7 < clean["single"].rate
    assert abs(suite["mean-4"].rate - suite["single"].rate) < 0.2


@pytest.mark.parametrize(
    ("task", "target", "message"),
    [
        ("regression(tolerance=1)", "up", "no target of the task regression.*joined by commas"),
        ("regression(tolerance=1)", "nan", "no target of the task regression"),
        ("labels", "next", "no target of the task labels.*opposite"),
        ("positions", "sky", "no target of the task positions.*a class"),
        ("transcript(symbols=3)", "5", "no target of the task transcript.*3 1 4"),
        ("classes", "up", "target.*up.*next"),
    ],
)
def test_targets_that_a_task_does_not_have_are_named(task, target, message):
    plan = Plan.of({"name": "pgd", "target": target}, 1)
    with pytest.raises(UsageError, match=f"(?s){message}"):
        plan.check_fit(Budget.parse("linf:0.1"), Image(), task_of(task))


def test_a_class_and_a_transcript_that_cannot_be_are_refused():
    x, y = torch.rand(2, 1, 2, 2), torch.zeros(2, 1, dtype=torch.long)
    with pytest.raises(UsageError, match="no class 7"):
        missed(Pixels(), x, torch.zeros(2, 2, 2, dtype=torch.long), "positions", "7")
    with pytest.raises(InputError, match="more frames"):
        missed(nn.Identity(), torch.rand(2, 2, 4), y, "transcript(symbols=3)", "1 2 1")


def test_a_margin_that_does_not_approach_is_refused():
    with pytest.raises(UsageError, match="approach a target of positions"):
        variate.evaluate(Pixels(), torch.rand(2, 1, 2, 2), torch.zeros(2, 2, 2, dtype=torch.long), task="positions",
                         budget="linf:0.1", attacks=["pgd(target=1, climb=cosine)"])  # fmt: skip
