"""Attacks that see scores: exact answers are remembered, random ones are compared under the same draws."""

import math

import pytest
import torch
from torch import nn

from variate.attacks.nattack import _slope, nattack
from variate.attacks.nes import nes
from variate.attacks.noise import noise
from variate.attacks.parts import climbing as _climbing
from variate.attacks.parts import differences as _differences
from variate.attacks.parts.score_queries import probe, probes
from variate.attacks.parts.squares import Corners, Masses, _pyramids, share_of, sides, stripes
from variate.attacks.simba import Directions, simba
from variate.attacks.spsa import spsa
from variate.attacks.square import square
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import margin
from variate.oracle.oracle import ScoreOracle
from variate.oracle.randomness import Coins
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.testing.coin import Coin, shared_coin
from variate.testing.linear import LinearModel, worst_margin
from variate.testing.linear import margin as room

SIZES = {"linf": "linf:0.1", "l2": "l2:0.3", "l1": "l1:0.3", "l0": "l0:3"}
SEARCHES = [square, simba, nes, spsa, nattack]
ALL = [*SEARCHES, noise]
TWINS = pytest.mark.parametrize("random", [False, True], ids=["deterministic", "random"])
FAR = 20.0  # a bias that no budget here overcomes, so that no example is ever adversarial


def model_of(bias=FAR):
    """A linear model of two classes, and 20 inputs in [0.3, 0.7] of the first."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    x = 0.3 + 0.4 * torch.rand(20, 1, 4, 4, generator=generator, dtype=torch.float64)
    return LinearModel(weight, torch.tensor([bias, 0.0], dtype=torch.float64)), x, torch.zeros(20, dtype=torch.long)


def shifted(model, scale=0.2):
    """The model with a random bias: a draw shifts all margins alike, by about 4 where a whole attack gains 1."""
    return randomize(model, {"weight": "fixed", "bias": "normal"}, scale=scale)


def oracle_of(network, draws=1, *, examples=20, **options):
    return ScoreOracle(network, draws=draws, stream=Stream("search", 0), examples=examples, **options)


def taken(model, found, x, y, budget):
    """The share of the reachable loss of margin, example by example."""
    with torch.no_grad():
        start, end = room(model(x), y), room(model(found), y)
    return (start - end) / (start - worst_margin(model, x, y, budget))


@pytest.mark.parametrize(
    ("attack", "norm", "least", "options"),
    [
        (square, "linf", 0.999, {"queries": 1000}),
        (square, "l2", 0.7, {"queries": 600}),
        (square, "l1", 0.4, {"queries": 600}),
        (simba, "linf", 0.999, {"queries": 100}),
        (simba, "l2", 0.9, {"queries": 300}),
        (nes, "linf", 0.9, {"queries": 600, "samples": 20}),
        (nes, "l2", 0.95, {"queries": 600, "samples": 20}),
        (spsa, "linf", 0.85, {"queries": 600, "samples": 20}),
        (spsa, "l2", 0.85, {"queries": 600, "samples": 20}),
        (nattack, "linf", 0.99, {"queries": 600, "samples": 20}),
        (nattack, "l2", 0.9, {"queries": 600, "samples": 20}),
    ],
)
@TWINS
def test_most_of_the_margin_of_a_linear_model_is_taken(attack, norm, least, options, random):
    """On the random twin a draw shifts margins by more than the whole attack: only comparing under one draw sees it."""
    model, x, y = model_of()
    budget = Budget.parse(SIZES[norm])
    found = attack(oracle_of(shifted(model) if random else model), x, y, budget=budget, **options)
    share = taken(model, found, x, y, budget)
    assert bool((share <= 1 + 1e-9).all())
    assert float(share.mean()) > least


@pytest.mark.parametrize("attack", [square, simba])
def test_remembered_values_would_block_the_search_on_a_random_network(attack, monkeypatch):
    """The published rule, taken to a random network: the luckiest draw is never beaten again."""
    model, x, y = model_of()
    budget = Budget.parse("linf:0.1")
    shares = {}
    for rule, exact in (("race", False), ("greedy", True)):
        answers = lambda oracle, x, y, loss, times, exact=exact: (  # noqa: E731
            oracle.loss(x, y, loss),
            torch.full((len(x),), exact),
        )
        monkeypatch.setattr(_climbing, "probe", answers)
        found = attack(oracle_of(shifted(model)), x, y, budget=budget, queries=400)
        shares[rule] = float(taken(model, found, x, y, budget).mean())
    assert shares["greedy"] < 0.5 < 0.9 < shares["race"]


@pytest.mark.parametrize("draws", [1, 5])
def test_square_wins_against_noise_that_no_comparison_cancels(draws):
    """Every weight is random, so that gains are too: a candidate must win more than once."""
    model, x, y = model_of()
    network = randomize(model, {"weight": "normal", "bias": "fixed"}, scale=1.0)
    budget = Budget.parse("linf:0.1")
    found = square(oracle_of(network, draws), x, y, budget=budget, queries=2000)
    assert float(taken(model, found, x, y, budget).mean()) > (0.8 if draws == 1 else 0.95)


def test_square_goes_on_after_a_lucky_success():
    """Half of the draws are wrong about every input from the start, and the attack moves the other half."""
    model, x, y = model_of(bias=1.0)
    network, budget = shifted(model, scale=5.0), Budget.parse("linf:0.1")
    oracle = oracle_of(network)
    found = square(oracle, x, y, budget=budget, queries=1000)
    assert float(taken(model, found, x, y, budget).mean()) > 0.999
    assert set(oracle.queries.points) == {probes(1000) + 106 * 9 + 9 * 4}


@pytest.mark.parametrize("attack", ALL)
@pytest.mark.parametrize("queries", [25, 130, 1000])
@pytest.mark.parametrize("draws", [1, 3])
def test_queries_are_never_exceeded_and_nearly_used_where_answers_are_random(attack, queries, draws):
    model, x, y = model_of(bias=0.0)
    options = {} if attack in (square, simba, noise) else {"samples": 10}
    for network in (model, shifted(model)):
        oracle = oracle_of(network, draws)
        attack(oracle, x, y, budget=Budget.parse("linf:0.2"), queries=queries, **options)
        points = oracle.queries.points
        assert points.max() <= queries
        assert oracle.queries.forwards.tolist() == (points * (1 if network is model else draws)).tolist()
    assert points.min() == points.max() > 0.6 * queries


@pytest.mark.parametrize("attack", SEARCHES)
def test_exact_answers_end_the_search_once_the_margin_is_above_zero(attack):
    """All inputs are answered wrongly from the start: there is nothing to ask but whether the answers repeat."""
    model, x, y = model_of(bias=-FAR)
    oracle = oracle_of(model)
    found = attack(oracle, x, y, budget=Budget.parse("linf:0.1"), queries=1000)
    most = {nes: 51, spsa: 51, nattack: 0}.get(attack, 0)
    assert set(oracle.queries.points) == {probes(1000) + most}
    if attack is not square:  # which begins elsewhere
        assert torch.equal(found, x)


@pytest.mark.parametrize("attack", ALL)
@TWINS
def test_the_sequence_of_queries_does_not_depend_on_the_data(attack, random):
    """Every query takes the next keys, so that an example would meet other draws if another's success were noticed."""
    indices = set()
    for bias in (-FAR, 0.0, FAR):
        model, x, y = model_of(bias)
        oracle = oracle_of(shifted(model) if random else model, 2, kind="keyed" if random else "deterministic")
        attack(oracle, x, y, budget=Budget.parse("linf:0.1"), queries=300)
        indices.add(oracle.stream.index)
    assert len(indices) == 1


def test_an_attack_finds_out_by_asking_which_examples_are_answered_at_random():
    """The first example alone meets a random bias; a coin that is wrong in 3 of 10 draws is found out in 97 of 100."""

    class Half(nn.Module):
        def forward(self, x):
            noise = torch.randn(()) * (torch.arange(len(x)) == 0)
            return torch.stack([x.flatten(1).sum(1) + noise, x.flatten(1).sum(1)], 1)

    x, y = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(4, dtype=torch.long)
    assert probe(oracle_of(Half(), examples=4), x, y, margin, 3)[1].tolist() == [False, True, True, True]
    x, y = torch.rand(1000, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(1000, dtype=torch.long)
    exact = probe(oracle_of(Coin(0.3), examples=1000), x, y, margin, 10)[1].double().mean()
    expected = 0.7**10 + 0.3**10
    assert abs(float(exact) - expected) < 5 * math.sqrt(expected * (1 - expected) / 1000)


@pytest.mark.parametrize(("queries", "times"), [(4, 2), (250, 2), (500, 5), (5000, 10)])
def test_one_query_in_a_hundred_finds_out(queries, times):
    assert probes(queries) == times


@pytest.mark.parametrize("attack", ALL)
@TWINS
def test_a_target_is_reached(attack, random):
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(4, 16, generator=generator, dtype=torch.float64)
    x = 0.4 + 0.2 * torch.rand(20, 1, 4, 4, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))  # the boundaries pass between the inputs
    with torch.no_grad():
        y = model(x).argmax(1)
    target = (y + 1) % 4
    network = randomize(model, scale=0.05) if random else model
    found = attack(oracle_of(network), x, y, budget=Budget.parse("linf:0.3"), target=target, queries=600)
    with torch.no_grad():
        away = margin(model(found), target)
        assert float((away - margin(model(x), target)).mean()) < 0
    assert bool((away < 0).all()) or attack is noise


@pytest.mark.parametrize("shape", [(7,), (3, 5), (3, 6, 5), (2, 3, 4, 4)])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_any_shape_can_be_attacked_by_squares(shape, norm):
    """Inputs that are no pictures: rows of values, sequences, videos."""
    values = math.prod(shape)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(values, 3)).double()
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        y = network(x).argmax(1)
    budget = Budget.parse(f"{norm}:0.3")
    oracle = oracle_of(network)
    found = square(oracle, x, y, budget=budget, queries=60)
    assert found.shape == x.shape
    assert bool(budget.contains(found, x).all())
    with torch.no_grad():
        assert float((margin(network(found), y) - margin(network(x), y)).mean()) > 0


@pytest.mark.parametrize("plane", [(28, 28), (1, 100), (100, 1), (8, 32), (3, 3)])
def test_windows_have_the_area_that_their_share_says(plane):
    height, width = plane
    for share in (1.0, 0.8, 0.3, 0.1, 0.01, 1e-6):
        tall, wide = sides(share, height, width)
        assert 1 <= tall <= height
        assert 1 <= wide <= width
        side = math.sqrt(share * height * width)
        if side < min(plane):
            assert tall == wide == max(round(side), 1)
        elif tall < height or wide < width:
            assert abs(tall * wide - share * height * width) <= min(plane) / 2 or tall == wide == min(plane)
    assert sides(0.01, 28, 28, least=3) == (3, 3)
    assert sides(1.0, *plane) == plane


def test_the_share_is_halved_nine_times():
    """Andriushchenko et al. 2020, section 3: at 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10000 queries."""
    found = [share_of(0.8, query / 10_000) for query in range(10_001)]
    changes = [query for query in range(10_000) if found[query + 1] < found[query]]
    assert changes == [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    assert (found[0], found[-1]) == (0.8, 0.8 / 512)


def test_stripes_put_whole_columns_at_an_end():
    x = 0.5 + torch.rand(200, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 100
    sides_of = (stripes(Coins(0, x), x, Budget.parse("linf:0.1")) - x) / 0.1
    assert torch.allclose(sides_of.abs(), torch.ones_like(x))
    assert torch.equal(sides_of.sign(), sides_of.sign()[:, :, :1].expand_as(x))
    share = float((sides_of[:, :, 0] > 0).double().mean())
    assert abs(share - 0.5) < 5 * math.sqrt(0.25 / (200 * 3 * 4))


def test_a_move_in_linf_sets_one_square_of_each_channel_to_an_end_and_always_changes_something():
    x = 0.3 + 0.4 * torch.rand(50, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    budget, rows = Budget.parse("linf:0.1"), torch.arange(50)
    moves = Corners(Coins(0, x), x, budget, 0.25, 40)
    points = stripes(Coins(0, x), x, budget)
    for progress in (0.0, 1.0):  # sides of 3 and of 1
        drawn = moves.propose(points, rows, torch.arange(40).expand(50, 40), progress)  # (50, 40, 6)
        places = drawn[..., :2].flatten(0, 1).double()
        assert abs(float(places.mean()) - (6 - drawn[0, 0, 2]) / 2) < 5 * 1.71 / math.sqrt(4000)
        for number in range(40):
            moved = moves.make(points, rows, drawn[:, number])
            changed = moved != points
            assert bool(changed.flatten(1).any(1).all())
            for i, (top, left, tall, wide, *_) in enumerate(drawn[:, number].tolist()):
                window = torch.zeros(6, 6, dtype=torch.bool)
                window[top : top + tall, left : left + wide] = True
                assert not bool((changed[i] & ~window).any())
                inside = ((moved - x)[i][:, window] / 0.1).round(decimals=6)  # (2, values of the window)
                assert bool((inside.abs() == 1).all())
                assert bool((inside == inside[:, :1]).all())


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_move_in_l2_and_l1_empties_one_window_for_another_and_keeps_the_size(norm):
    x = 0.5 + torch.rand(30, 2, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 100
    budget, rows = Budget.parse(f"{norm}:0.5"), torch.arange(30)
    moves = Masses(Coins(0, x), x, budget, 0.2, 20)
    points = budget.project(x + torch.rand(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype), x)
    drawn = moves.propose(points, rows, torch.arange(20).expand(30, 20), 0.0)
    for number in range(20):
        moved = moves.make(points, rows, drawn[:, number])
        assert torch.allclose(budget.distance(moved, x), x.new_full((30,), 0.5))
        for i, (tall, wide, top, left, other_top, other_left, *_) in enumerate(drawn[:, number].tolist()):
            taking, giving = torch.zeros(9, 8, dtype=torch.bool), torch.zeros(9, 8, dtype=torch.bool)
            taking[top : top + tall, left : left + wide] = True
            giving[other_top : other_top + tall, other_left : other_left + wide] = True
            before, after = (points - x)[i], (moved - x)[i]
            assert float(after[:, giving & ~taking].abs().max() if bool((giving & ~taking).any()) else 0.0) == 0.0
            assert torch.allclose(before[:, ~giving & ~taking], after[:, ~giving & ~taking])


def pyramid(tall, wide):
    """Equation 2 of the paper, literally: eta(r, s) = sum over k from 0 to M of 1 / (n + 1 - k)^2."""
    n = max(tall, wide) // 2
    found = torch.zeros(tall, wide, dtype=torch.float64)
    for r in range(1, tall + 1):
        for s in range(1, wide + 1):
            last = n - max(abs(r - tall // 2 - 1), abs(s - wide // 2 - 1))
            found[r - 1, s - 1] = sum(1 / (n + 1 - k) ** 2 for k in range(last + 1))
    return found


@pytest.mark.parametrize(("tall", "wide"), [(7, 7), (6, 6), (3, 3), (1, 9), (9, 1), (1, 1), (2, 5)])
def test_pyramids_are_those_of_the_paper(tall, wide):
    for turned in (0, 1):
        one = torch.ones(1, dtype=torch.long)
        found = _pyramids(torch.arange(tall), torch.arange(wide), tall * one, wide * one, turned * one)[0]
        across = (turned == 0 and wide > 1) or tall < 2
        if across:
            expected = torch.cat([pyramid(tall, wide // 2), -pyramid(tall, wide - wide // 2)], 1)
        else:
            expected = torch.cat([pyramid(tall // 2, wide), -pyramid(tall - tall // 2, wide)], 0)
        assert torch.allclose(found, expected)


@pytest.mark.parametrize("shape", [(6, 5), (2, 4, 4), (9,)])
def test_the_cosines_of_simba_are_an_orthonormal_basis(shape):
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = math.prod(shape)
    moves = Directions(Coins(0, x), x, Budget.parse("l2:9"), 1.0, tries=4 * values, share=1.0)
    basis = moves._direction(torch.arange(values), x)  # (D, D)
    assert torch.allclose(basis @ basis.T, torch.eye(values, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(basis[0], basis[0, :1].where(basis[0] != 0, 0.0))  # the first is constant in its channel


def test_simba_tries_every_direction_once_before_any_again():
    x = torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for share, count in ((None, 32), (0.5, 8)):
        moves = Directions(Coins(0, x), x, Budget.parse("l2:9"), 1.0, tries=4 * count, share=share)
        drawn = moves.propose(x, torch.arange(3), torch.arange(4 * count).expand(3, -1), 0.0)  # (3, 4 count, 2)
        assert drawn[..., 1].tolist() == [[1, -1] * 2 * count] * 3
        for turn in (slice(0, 2 * count), slice(2 * count, 4 * count)):
            assert drawn[:, turn, 0].sort(1).values.tolist() == [sorted([*range(count)] * 2)] * 3
        assert not torch.equal(drawn[0, :, 0], drawn[1, :, 0])


def test_simba_on_exact_answers_takes_one_query_forward_or_two_back():
    """On a linear model in linf one pass is optimal; a direction costs 1 query if it helps forward, else 2."""
    model, x, y = model_of()
    forward = model.weight[1] > model.weight[0]
    needed = int(forward.sum()) + 2 * int((~forward).sum())
    budget, kept = Budget.parse("linf:0.1"), {}
    for queries in (probes(100) + needed - 1, probes(100) + needed):
        found = simba(oracle_of(model), x, y, budget=budget, queries=queries)
        kept[queries] = taken(model, found, x, y, budget)
    short, enough = kept.values()
    assert bool((short < 1 - 1e-6).any())
    assert torch.allclose(enough, torch.ones_like(enough))


@pytest.mark.parametrize(("radius", "signs"), [(0.001, False), (0.01, True)])
def test_differences_of_scores_estimate_the_gradient(radius, signs):
    """On a linear model the estimate is the mean of (w.d) d: w on average; the error of each value has |w|^2 / n."""
    model, x, y = model_of()
    x, y, pairs = x[:5], y[:5], 4000
    coins = Coins(0, x)
    directions = (coins.signs if signs else coins.normal)("directions", (pairs, 1, 4, 4))
    oracle = oracle_of(shifted(model))
    _, found = _differences._estimate(oracle, x, y, margin, radius, directions, torch.arange(5))
    weight = (model.weight[1] - model.weight[0]).detach()
    variance = (weight.square().sum() + (-1 if signs else 1) * weight.square()) / pairs
    z = (found.flatten(1) - weight) / variance.sqrt()
    assert float(z.abs().max()) < 5
    assert abs(float(z.square().mean()) - 1) < 5 * math.sqrt(2 / 80)


class Rounds(nn.Module):
    """The same margin for every input, but for a unit in its last place."""

    def forward(self, x):
        last_place = torch.finfo(x.dtype).eps * (1e6 * x.flatten(1).sum(1)).sin().sign()
        return torch.stack([5 + 5 * last_place, torch.zeros_like(last_place)], 1)


@pytest.mark.parametrize("attack", [nes, spsa])
def test_rounding_moves_no_point(attack):
    _, x, y = model_of()
    assert torch.equal(attack(oracle_of(Rounds()), x, y, budget=Budget.parse("linf:0.1"), queries=500), x)


def test_rounding_earns_no_reward():
    noise = torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = Rounds()(noise.flatten(0, 1))[:, 0].view(3, 10)
    assert len(values.unique()) > 1
    assert not _slope(values, noise).any()
    assert _slope(values + 1e-9 * noise[..., 0], noise).abs().min() > 0.01  # standardized, however small


@pytest.mark.parametrize("norm", list(SIZES))
def test_noise_finds_more_with_more_points_and_stays_in_the_ball(norm):
    model, x, y = model_of()
    budget = Budget.parse(SIZES[norm])
    shares = []
    for queries in (5, 50, 500):
        found = noise(oracle_of(model), x, y, budget=budget, queries=queries)
        assert bool(budget.contains(found, x).all())
        with torch.no_grad():
            shares.append(float((room(model(x), y) - room(model(found), y)).mean()))
    assert shares == sorted(shares)
    assert shares[-1] > 0


@pytest.mark.parametrize("queries", [50, 400])
def test_noise_compares_under_the_same_draws(queries):
    """Draws that shift all margins alike change nothing in its choice: neither in a group nor in the final."""
    model, x, y = model_of()
    budget = Budget.parse("linf:0.1")
    exact = noise(oracle_of(model), x, y, budget=budget, queries=queries)
    random = noise(oracle_of(shifted(model)), x, y, budget=budget, queries=queries)
    assert torch.equal(exact, random)


def test_noise_in_l0_changes_values_uniformly():
    x = torch.full((3000, 1, 1, 4), 0.5) + torch.linspace(-0.01, 0.01, 3000).view(-1, 1, 1, 1)
    oracle, y = oracle_of(Coin(0.0), examples=3000), torch.zeros(3000, dtype=torch.long)
    found = noise(oracle, x, y, budget=Budget.parse("l0:1"), queries=1)
    changed = found != x
    assert set(changed.flatten(1).sum(1).tolist()) == {1}
    assert (changed.flatten(1).double().mean(0) - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 3000)
    assert abs(float(found[changed].double().mean()) - 0.5) < 5 * math.sqrt(1 / 12 / 3000)


def test_no_score_moves_a_coin_that_all_examples_share():
    """Nothing can be gained; what comes back is inside the budget, and every example was asked about to the end."""
    x, y = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(5, dtype=torch.long)
    for attack in SEARCHES:
        oracle, budget = oracle_of(shared_coin(0.4), 3), Budget.parse("linf:0.2")
        found = attack(oracle, x, y, budget=budget, queries=300)
        assert bool(budget.contains(found, x).all())
        assert set(oracle.queries.points) != {probes(300)}


@pytest.mark.parametrize(
    ("attack", "options", "problem"),
    [
        (square, {"queries": 3}, "cannot take queries=3"),
        (square, {"share": 0.0}, "cannot take share=0.0"),
        (simba, {"queries": 0}, "cannot take queries=0"),
        (simba, {"basis": "dtc"}, "dct"),
        (simba, {"basis": "dct", "frequencies": 1.5}, "cannot take frequencies=1.5"),
        (nes, {"samples": 7}, "cannot take samples=7"),
        (nes, {"radius": 0.0}, "cannot take radius=0.0"),
        (nes, {"momentum": 1.0}, "cannot take momentum=1.0"),
        (nes, {"queries": 52}, "at least 53 queries"),
        (spsa, {"samples": 0}, "cannot take samples=0"),
        (spsa, {"radius": -1.0}, "cannot take radius=-1.0"),
        (spsa, {"queries": 1}, "at least 53 queries"),
        (nattack, {"samples": 1}, "cannot take samples=1"),
        (nattack, {"radius": 0.0}, "cannot take radius=0.0"),
        (nattack, {"queries": 51}, "at least 52 queries"),
        (noise, {"queries": 0}, "cannot take queries=0"),
    ],
)
def test_impossible_options_are_refused(attack, options, problem):
    model, x, y = model_of()
    oracle = oracle_of(model)
    with pytest.raises(UsageError, match=problem):
        attack(oracle, x, y, budget=Budget.parse("linf:0.1"), **options)
    assert oracle.queries.points.sum() == 0


@pytest.mark.parametrize("attack", [nes, spsa, nattack])
def test_the_least_queries_that_the_error_names_are_enough(attack):
    model, x, y = model_of()
    least = 52 if attack is nattack else 53
    attack(oracle_of(model), x, y, budget=Budget.parse("linf:0.1"), queries=least)
