import functools

import pytest
import torch
from torch import nn

from variate.attacks.boundary import boundary
from variate.attacks.hopskipjump import hopskipjump
from variate.attacks.parts.edge import BEGIN, CHECKS, STARTS, Edge, resized, sizes_of
from variate.attacks.parts.votes import Votes
from variate.attacks.persistent import persistent
from variate.attacks.popskipjump import popskipjump
from variate.attacks.rays import rays
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.testing.coin import Coin, shared_coin
from variate.testing.linear import LinearModel, smallest_distance

ATTACKS = {"hopskipjump": hopskipjump, "boundary": boundary, "rays": rays}
CASES = [(hopskipjump, "l2"), (hopskipjump, "linf"), (boundary, "l2"), (rays, "linf")]
ALL = [*CASES, (popskipjump, "l2"), (popskipjump, "linf")]


class Steep(nn.Module):
    """Answers 1 where the mean of the input plus a random level, N(0, spread), is above 1/2, and 0 elsewhere."""

    def __init__(self, spread):
        super().__init__()
        self.level = nn.Parameter(torch.ones(1))
        self.spread = spread

    def forward(self, x):
        above = x.flatten(1).mean(1) - 0.5 + self.spread * (self.level - 1)
        return torch.stack([-above, above], 1)


def linear(size=16):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(2, size, generator=generator, dtype=torch.float64)
    x = 0.45 + 0.1 * torch.rand(6, 1, size // 4, 4, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def oracle_of(network, x, draws=1):
    return LabelOracle(network, draws=draws, stream=Stream("search", 0), examples=len(x))


def single_error(network, x, y, draws=300):
    """The share of fresh single draws that are wrong, for each example."""
    wrong = []
    for key in Stream("verdict", 0).take(draws):
        with torch.no_grad(), network.fixed(key):
            wrong.append(network(x).argmax(1) != y)
    return torch.stack(wrong).double().mean(0)


@pytest.mark.parametrize(("attack", "norm"), ALL)
def test_the_nearest_wrong_answer_of_a_linear_model(attack, norm):
    model, x, y = linear()
    nearest = smallest_distance(model, x, y, norm)
    budget = Budget.parse(f"{norm}:4")
    distances = []
    for queries in (700, 5000):
        found = attack(oracle_of(model, x), x, y, budget=budget, queries=queries, minimal=True)
        assert bool((model(found).argmax(1) != y).all())
        distances.append(budget.distance(found, x) / nearest)
    assert bool((torch.stack(distances) > 1).all())  # nothing nearer is wrong
    assert float(distances[1].max()) < 1.5
    assert float(distances[1].mean()) < float(distances[0].mean())


@pytest.mark.parametrize(("attack", "norm"), ALL)
def test_the_whole_budget_is_used_unless_the_nearest_is_wanted(attack, norm):
    model, x, y = linear()
    eps = 2 * float(smallest_distance(model, x, y, norm).max())
    budget = Budget.parse(f"{norm}:{eps:.6f}")
    found = attack(oracle_of(model, x), x, y, budget=budget, queries=2500)
    assert bool((model(found).argmax(1) != y).all())
    assert torch.allclose(budget.distance(found, x), torch.full((6,), eps, dtype=x.dtype), rtol=1e-3)


@pytest.mark.parametrize(("attack", "norm"), CASES)
def test_single_draws_of_a_random_network_fail_on_what_is_returned(attack, norm):
    model, x, y = linear()
    network = randomize(model, scale=0.05)
    eps = 4 * float(smallest_distance(model, x, y, norm).max())
    budget = Budget.parse(f"{norm}:{eps:.6f}")
    options = {"budget": budget, "queries": 2500}
    deep = single_error(network, attack(oracle_of(network, x), x, y, **options), y)
    shallow = single_error(network, attack(oracle_of(network, x), x, y, minimal=True, **options), y)
    assert float(single_error(network, x, y).mean()) < 0.5
    assert float(deep.mean()) > 0.9
    assert float(deep.mean()) > float(shallow.mean()) + 0.1


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("queries", [700, 3000])
@pytest.mark.parametrize("draws", [1, 3])
def test_queries_are_a_limit_that_is_nearly_used(name, queries, draws):
    network = randomize(linear()[0], scale=0.05)
    x, y = linear()[1:]
    oracle = oracle_of(network, x, draws)
    norm = "linf" if name == "rays" else "l2"
    ATTACKS[name](oracle, x, y, budget=Budget.parse(f"{norm}:1"), queries=queries)
    points = oracle.queries.points
    assert points.max() <= queries
    assert points.min() > queries - 450  # less than one more iteration
    assert oracle.queries.forwards.tolist() == (points * draws).tolist()


@pytest.mark.parametrize(("attack", "norm"), ALL)
def test_examples_without_a_start_are_left_alone(attack, norm):
    x, y = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(5, dtype=torch.long)
    oracle = oracle_of(Coin(0.0), x)
    assert torch.equal(attack(oracle, x, y, budget=Budget.parse(f"{norm}:0.5"), queries=1000), x)
    assert oracle.queries.points.tolist() == [STARTS * CHECKS] * 5


@pytest.mark.parametrize(("attack", "norm"), CASES)
@pytest.mark.parametrize("error", [0.02, 0.3, 0.6])
def test_lucky_draws_break_no_attack(attack, norm, error):
    x, y = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(8, dtype=torch.long)
    budget = Budget.parse(f"{norm}:0.3")
    for network in (Coin(error), shared_coin(error)):
        found = attack(oracle_of(network, x), x, y, budget=budget, queries=1000)
        assert bool(budget.contains(found, x).all())


def test_settling_finds_where_half_of_the_answers_are_wrong():
    """From the input 0.2 along ones the level is N(0, 0.1), so that half of the draws are wrong at the distance 0.3."""
    x = 0.2 + torch.linspace(0, 1e-3, 400).view(-1, 1)
    y = torch.zeros(400, dtype=torch.long)
    for spread, tolerance in ((1e-6, 0.005), (0.1, 0.05)):
        radii = []
        for seed in range(12):
            network = randomize(Steep(spread), scale=1.0)
            oracle = LabelOracle(network, stream=Stream("search", seed), examples=400)
            edge = Edge(Votes(oracle, x, y), x, Budget.parse("linf:1"))
            radii.append(edge.settle(torch.ones_like(x), torch.full((400,), 0.33)).mean())
        assert abs(float(torch.stack(radii).mean()) - 0.3) < tolerance


def test_perturbations_are_resized_by_scaling_and_in_linf_smaller_by_clipping():
    deltas = torch.tensor([[[0.1, -0.4], [0.1, -0.4]]])
    assert torch.allclose(
        resized(deltas, torch.tensor([[0.2, 0.8]]), "linf"), torch.tensor([[[0.1, -0.2], [0.2, -0.8]]])
    )
    sizes = sizes_of(resized(deltas, torch.tensor([[0.2, 0.8]]), "l2"), "l2")
    assert torch.allclose(sizes, torch.tensor([[0.2, 0.8]]))


def test_the_candidate_that_is_wrong_most_often_wins():
    """With level N(0, 0.1) the candidates are wrong in 2 %, 16 %, 50 % and 84 % of the draws."""
    network = randomize(Steep(0.1), scale=1.0)
    x = torch.linspace(0.1, 0.11, 30).view(-1, 1)
    candidates = torch.tensor([0.3, 0.4, 0.5, 0.6]).view(1, 4, 1).repeat(30, 1, 1)
    oracle = oracle_of(network, x)
    votes = Votes(oracle, x, torch.zeros(30, dtype=torch.long))
    assert bool((votes.best(candidates, 200) == 0.6).all())
    assert oracle.queries.points.max() <= 200
    assert bool((votes.best(candidates.flip(1)[:, 2:], 200) == 0.4).all())
    assert bool((votes.best(torch.zeros(30, 4, 1) + torch.arange(4).view(1, 4, 1) / 1e4, 40) == 0).all())  # of equals


@pytest.mark.parametrize("candidates", [1, 3, 8])
def test_a_persistent_attacker_asks_no_more_than_he_may(candidates, net, x, y):
    for queries in (candidates, 50, 200):
        oracle = oracle_of(net, x)
        persistent(oracle, x, y, budget=Budget.parse("l2:0.2"), queries=queries, candidates=candidates)
        assert set(oracle.queries.points) <= set(range(candidates, queries + 1))
        assert oracle.queries.draws.max() == oracle.stream.index


def test_a_persistent_attacker_keeps_what_fails_most_often():
    network = randomize(Steep(0.1), scale=1.0)
    x, y = torch.linspace(0.39, 0.41, 20).view(-1, 1), torch.zeros(20, dtype=torch.long)
    budget = Budget.parse("linf:0.2")
    for shift, expected in ((0.2, 0.2), (-0.2, 0.0)):  # a source that helps, and one that misleads
        source = functools.partial(moved, shift)
        found = persistent(oracle_of(network, x), x, y, budget=budget, source=source, candidates=2, queries=400)
        assert torch.allclose(found, x + expected)


def test_a_persistent_attacker_may_aim_at_a_label():
    network = randomize(Steep(0.1), scale=1.0)
    x, y = torch.linspace(0.59, 0.61, 20).view(-1, 1), torch.ones(20, dtype=torch.long)
    budget = Budget.parse("linf:0.2")
    source = functools.partial(moved, -0.2)
    options = {"budget": budget, "source": source, "candidates": 2, "queries": 400}
    assert torch.allclose(persistent(oracle_of(network, x), x, y, target=1 - y, **options), x - 0.2)
    assert torch.allclose(persistent(oracle_of(network, x), x, y, target=y, **options), x)


def test_a_persistent_attacker_without_a_source_still_asks(net, x, y):
    oracle = oracle_of(net, x)
    found = persistent(oracle, x, y, budget=Budget.parse("linf:0.1"))
    assert bool(Budget.parse("linf:0.1").contains(found, x).all())
    assert oracle.queries.points.min() > 150


def moved(shift, x, y, *, budget, target=None, steps=40):
    return budget.project(x + shift, x)


@pytest.mark.parametrize(
    ("attack", "options", "what"),
    [
        (hopskipjump, {"queries": 499}, "queries=499"),
        (hopskipjump, {"probes": 0}, "probes=0"),
        (hopskipjump, {"momentum": 1.0}, "momentum=1.0"),
        (rays, {"queries": 499}, "queries=499"),
        (rays, {"repeats": 0}, "repeats=0"),
        (boundary, {"queries": 599}, "queries=599"),
        (boundary, {"repeats": 0}, "repeats=0"),
        (persistent, {"candidates": 0}, "candidates=0"),
        (persistent, {"queries": 7}, "8 candidates with 7 queries"),
    ],
)
def test_impossible_options(attack, options, what, net, x, y):
    budget = Budget.parse("linf:0.1" if attack is rays else "l2:0.1")
    with pytest.raises(UsageError, match=what):
        attack(oracle_of(net, x), x, y, budget=budget, **options)


def test_a_beginning_asks_about_as_many_points_as_it_says():
    model, x, y = linear()
    oracle = oracle_of(model, x)
    edge = Edge(Votes(oracle, x, y), x, Budget.parse("l2:1"))
    uniform = oracle.coins(x).uniform("starts", (STARTS, *x.shape[1:]))
    found, _, radius = edge.begin(uniform.round() - x[:, None])
    assert bool(found.all())
    assert oracle.queries.points.tolist() == [BEGIN] * len(x)
    assert bool((radius >= smallest_distance(model, x, y, "l2") * 0.99).all())
