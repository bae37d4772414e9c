"""PopSkipJump: the boundary, its width and the share of flipped answers are found; noise costs what theory says."""

import pytest
import torch
from torch import nn

from variate.attacks.hopskipjump import hopskipjump
from variate.attacks.parts.edge import Edge
from variate.attacks.parts.noisy_search import MOST, no_flips, price, search
from variate.attacks.parts.votes import Votes
from variate.attacks.popskipjump import popskipjump
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.random.keys import Stream
from variate.random.seeding import kind_of
from variate.testing.coin import Coin
from variate.testing.linear import LinearModel, smallest_distance
from variate.testing.normal_margins import normal_linear


class Flipping(nn.Module):
    """A two-class network, each of whose answers is flipped with probability ``share``."""

    def __init__(self, network, share):
        super().__init__()
        self.network, self.share = network, share

    def forward(self, x):
        logits = self.network(x)
        return torch.where((torch.rand(len(x)) < self.share)[:, None], logits.flip(1), logits)


class Shaking(nn.Module):
    """Answers 1 where the mean of the input plus normal noise of standard deviation ``width`` is above 1/2."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        above = x.flatten(1).mean(1) - 0.5 + self.width * torch.randn(len(x))
        return torch.stack([-above, above], 1)


def linear(size=16, examples=6):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(2, size, generator=generator, dtype=torch.float64)
    x = 0.45 + 0.1 * torch.rand(examples, 1, size // 4, 4, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def oracle_of(network, x, seed=0):
    return LabelOracle(network, stream=Stream("search", seed), examples=len(x), kind=kind_of(network, x))


def efficiency(perturbed, x, y, weight, norm):
    """Change of a linear margin for the distance gone, relative to the best direction: at most 1; mean of examples."""
    moved, slope = (perturbed - x).flatten(1), (weight[1] - weight[0]).detach()
    change = (moved @ slope) * (1 - 2 * y)
    size, dual = {"l2": (2.0, 2.0), "linf": (float("inf"), 1.0)}[norm]
    return float((change / moved.norm(p=size, dim=1).clamp(min=1e-12) / slope.norm(p=dual)).mean())


@pytest.mark.parametrize(
    ("width", "share", "tolerance"), [(0.0, 0.0, 0.003), (0.0, 0.3, 0.08), (0.1, 0.0, 0.04), (0.1, 0.15, 0.06)]
)
def test_a_search_finds_the_boundary_its_width_and_the_flips(width, share, tolerance):
    """From 0.2 along ones the boundary is at 0.3, and it moves by ``width`` from draw to draw."""
    x, y = 0.2 + torch.linspace(0, 1e-3, 150).view(-1, 1), torch.zeros(150, dtype=torch.long)
    oracle = oracle_of(Flipping(Shaking(width), share), x)
    votes = Votes(oracle, x, y, apart=True)
    among = torch.arange(150) < 149
    edge = Edge(votes, x, Budget.parse("linf:1"))
    found = search(votes, edge, torch.ones_like(x), torch.full((150,), 0.6), no_flips(x), among, 0.01)
    assert float((found.radius[among] - 0.3).abs().median()) < tolerance
    assert abs(float(found.radius[among].mean()) - 0.3) < 0.03
    if not share:  # with flips, a few queries cannot tell the two kinds of noise apart
        assert float(found.width[among].median()) == pytest.approx(width, rel=0.5, abs=0.003)
    assert share / 3 < float(found.flips[among].mean()) + 0.001 < share + 0.1
    assert found.queries[-1] == 0
    assert found.queries.tolist() == oracle.queries.points.tolist()
    assert int(found.queries.max()) <= MOST
    assert oracle.stream.index == MOST  # the keys of what follows do not depend on when the search ends
    if not width + share:
        assert int(found.queries.max()) <= 25  # little more than a bisection to the same precision


def test_a_far_boundary_is_not_found_in_the_window():
    x, y = torch.full((20, 1), 0.1), torch.zeros(20, dtype=torch.long)
    votes = Votes(oracle_of(Shaking(0.0), x), x, y)
    edge = Edge(votes, x, Budget.parse("linf:1"))
    everyone = torch.ones(20, dtype=torch.bool)
    found = search(votes, edge, torch.ones_like(x), torch.full((20,), 0.2), no_flips(x), everyone, 0.01)
    assert float(found.radius.min()) > 0.15  # it ends at the end of the window


@pytest.mark.parametrize(("width", "share"), [(0.5, 0.0), (3.0, 0.0), (1.0, 0.2), (0.0, 0.4)])
def test_the_price_of_noise_is_the_ratio_of_squared_correlations(width, share):
    generator = torch.Generator().manual_seed(0)
    along, other = torch.randn(2, 400_000, generator=generator, dtype=torch.float64)
    flipped = torch.rand(400_000, generator=generator) < share
    exact, noisy = along > 0, (along + width * other > 0) != flipped
    squared = [torch.corrcoef(torch.stack([along, wrong.double()]))[0, 1].square() for wrong in (exact, noisy)]
    assert float(price(torch.tensor(width), torch.tensor(share))) == pytest.approx(
        float(squared[0] / squared[1]), rel=0.1
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_on_a_deterministic_network_it_is_as_strong_as_hopskipjump(norm):
    model, x, y = linear()
    nearest = smallest_distance(model, x, y, norm)
    budget = Budget.parse(f"{norm}:4")
    ratios, points = {}, {}
    for attack in (hopskipjump, popskipjump):
        oracle = oracle_of(model, x)
        found = attack(oracle, x, y, budget=budget, queries=2000, minimal=True)
        assert bool((model(found).argmax(1) != y).all())
        ratios[attack], points[attack] = budget.distance(found, x) / nearest, oracle.queries.points
    assert points[popskipjump].max() <= 2000
    assert float(ratios[popskipjump].max()) < 1.1
    assert float(ratios[popskipjump].mean()) < float(ratios[hopskipjump].mean()) + 0.02


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_where_answers_are_flipped_it_is_stronger_than_hopskipjump_with_one_draw(norm):
    model, x, y = linear(64, examples=12)
    network, options = Flipping(model, 0.3), {"budget": Budget.parse(f"{norm}:4"), "queries": 2000, "minimal": True}
    hop, pop = (
        efficiency(attack(oracle_of(network, x), x, y, **options), x, y, model.weight, norm)
        for attack in (hopskipjump, popskipjump)
    )
    assert pop > hop + 0.05


def test_where_the_boundary_moves_it_is_stronger_than_hopskipjump_with_one_draw():
    network, x, y = normal_linear(0.1, examples=16, values=64)
    options = {"budget": Budget.parse("l2:1"), "queries": 1500, "minimal": True}
    hop, pop = (
        efficiency(attack(oracle_of(network, x), x, y, **options), x, y, network.mean, "l2")
        for attack in (hopskipjump, popskipjump)
    )
    assert pop > hop + 0.05


def test_every_query_of_a_random_network_has_a_draw_of_its_own():
    network, x, y = normal_linear(0.1, examples=3)
    oracle = oracle_of(network, x)
    popskipjump(oracle, x, y, budget=Budget.parse("l2:1"), queries=500)
    assert oracle.queries.draws.tolist() == oracle.queries.points.tolist()
    assert oracle.queries.points.max() <= 500


def test_a_coin_is_not_beaten():
    x, y = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(5, dtype=torch.long)
    for error in (0.1, 0.5, 0.6):
        found = popskipjump(oracle_of(Coin(error), x), x, y, budget=Budget.parse("l2:0.5"), queries=500)
        assert bool(Budget.parse("l2:0.5").contains(found, x).all())


@pytest.mark.parametrize("option", [{"queries": 499}, {"probes": 0}, {"momentum": 1.0}])
def test_impossible_options_are_named(option):
    model, x, y = linear()
    with pytest.raises(UsageError, match=next(iter(option))):
        popskipjump(oracle_of(model, x), x, y, budget=Budget.parse("l2:1"), **option)
