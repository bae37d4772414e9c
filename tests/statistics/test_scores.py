"""Statistics of scores in [0, 1]: brute force, agreement with bits, and coverage by simulation (seeds fixed)."""

from itertools import combinations

import numpy as np
import pytest

from variate.errors import UsageError
from variate.statistics.comparison import compare
from variate.statistics.crossed import crossed
from variate.statistics.examples import error_rates, verdicts
from variate.statistics.rates import Deployment, rate_of, survive_curve
from variate.statistics.rise import rise_at_end
from variate.statistics.seeds import compare_seeds
from variate.statistics.sequential import evidence, lowest_always, until
from variate.statistics.spread import spread_of
from variate.statistics.survival import least_weights

SINGLE = Deployment.parse("single")


def scores_of(random, draws, examples):
    """Scores of which some are equal, 0 or 1."""
    return (random.beta(2, 1, examples) + 0.3 * random.standard_normal((draws, examples))).clip(0, 1).round(2)


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_survival_equals_the_lowest_score_of_all_subsets(size):
    scores = scores_of(np.random.default_rng(0), 7, 5)
    lowest = [scores[list(chosen)].min(0) for chosen in combinations(range(7), size)]
    assert crossed(scores, [size])[0].per_example == pytest.approx(np.mean(lowest, axis=0))


def test_survival_of_scores_is_unbiased():
    random = np.random.default_rng(1)
    estimates = [rate_of(Deployment.parse("survive-4"), random.random((6, 50))).rate for _ in range(400)]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - 1 / 5) < 4 * error  # the lowest of N uniform numbers: 1 / (N + 1)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_the_spread_of_scores_over_draws_is_that_of_the_jackknife(size):
    scores = scores_of(np.random.default_rng(2), 12, 9)
    found = crossed(scores, [1, size])[1]
    without = [crossed(np.delete(scores, row, axis=0), [size])[0] for row in range(12)]
    values = 12 * found.per_example - 11 * np.stack([left.per_example for left in without])  # pseudo-values, (n, B)
    assert found.per_draw == pytest.approx(values.mean(1))
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    assert found.residual == pytest.approx(np.square(rest).sum() / (11 * 8) / (12 * 9))


@pytest.mark.parametrize("shape", [(1, 30), (2, 1), (20, 40), (200, 30)])
@pytest.mark.parametrize("chance", [0.05, 0.5, 0.97, 1.0])
def test_scores_of_0_and_1_agree_with_bits(shape, chance):
    bits = np.random.default_rng(3).random(shape) < chance
    sizes = [size for size in (1, 2, 10, 19, 150) if size < max(shape[0], 2)]
    for ours, theirs in zip(crossed(bits.astype(float), sizes), crossed(bits, sizes), strict=True):
        assert ours.per_example == pytest.approx(theirs.per_example, abs=1e-12)
        assert ours.per_draw == pytest.approx(theirs.per_draw, abs=1e-9)
        assert ours.residual == pytest.approx(theirs.residual, rel=1e-6, abs=1e-15)
    for way in ["single", *(f"survive-{size}" for size in sizes)]:
        one, other = (rate_of(Deployment.parse(way), answers) for answers in (bits, bits.astype(float)))
        assert (one.rate, one.low, one.high) == pytest.approx((other.rate, other.low, other.high), abs=1e-9)


def test_a_curve_of_scores_falls_and_equals_its_single_rates():
    scores = scores_of(np.random.default_rng(4), 130, 40)
    curve = survive_curve(scores)
    rates = [curve[size].rate for size in range(1, 101)]
    assert rates == sorted(rates, reverse=True)
    assert curve[7] == rate_of(Deployment.parse("survive-7"), scores)
    assert np.exp(-np.log(least_weights(5000, 100)[0])) == pytest.approx(50)  # N / n, and no overflow
    assert all(rate.low <= rate.rate <= rate.high for rate in curve.values())


def test_equal_scores_keep_the_examples_that_may_have_been_missed():
    """Of 100 examples that all score .9, 3.6 % of all examples may be different: they score 0, or 1."""
    share = 1 - 0.025 ** (1 / 100)
    for draws in (1, 100, 300):
        found = rate_of(SINGLE, np.full((draws, 100), 0.9))
        ends = (0.9 * (1 - share), 0.9 + 0.1 * share)
        assert (found.rate, found.low, found.high) == pytest.approx((0.9, *ends))
    nearly = 0.9 + 1e-3 * np.random.default_rng(5).standard_normal((1, 100))
    assert rate_of(SINGLE, nearly).low == pytest.approx(0.9 * (1 - share), abs=2e-3)
    few = rate_of(Deployment.parse("mean-16"), np.full((10, 100), 0.9))
    assert few.low == pytest.approx(0.9 * 0.025 ** (1 / 10))
    for scores in (np.full((1, 1), 0.3), np.array([[0.2, 0.8], [0.8, 0.2]])):
        found = rate_of(SINGLE, scores)
        assert 0 <= found.low < found.rate < found.high <= 1
        assert found.high - found.low > 0.5


@pytest.mark.parametrize(("a", "b", "failures"), [(2, 2, 0), (18, 2, 0), (0.3, 10, 0), (270, 30, 0.01), (3, 0.3, 0)])
@pytest.mark.parametrize(("way", "draws", "examples"), [
    ("single", 1, 20), ("single", 1, 100), ("single", 40, 100), ("mean-16", 10, 100), ("survive-10", 40, 60),
])  # fmt: skip
def test_intervals_of_scores_cover(a, b, failures, way, draws, examples):
    """Of scores near .9 of which 1 % fail, t intervals of 100 examples cover in 61 %: no failure is among them."""
    random, deployment = np.random.default_rng(5), Deployment.parse(way)

    def levels(examples):
        base = random.beta(a, b, examples).clip(1e-9, 1 - 1e-9)
        return np.log(base) - np.log1p(-base)

    def scores(level):
        return (random.random(level.shape[-1]) >= failures) / (1 + np.exp(-level))

    def judged():
        noise = 0.25 * random.standard_normal((draws, 1)) + 0.5 * random.standard_normal((draws, examples))
        return scores(levels(examples) + noise * (draws > 1))

    size = deployment.size if deployment.rule == "survive" else 1
    lowest = np.hypot(0.25, 0.5) * random.standard_normal((size, 200_000)).min(0) * (draws > 1)
    truth = (1 - failures) * (1 / (1 + np.exp(-levels(200_000) - lowest))).mean()
    found = [rate_of(deployment, judged()) for _ in range(100)]
    assert sum(rate.low <= truth <= rate.high for rate in found) >= 93 - 3 * 2.6  # three standard errors


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_scores_outside_0_and_1_are_refused(bad):
    scores = np.full((4, 3), 0.5)
    scores[1, 2] = bad
    for call in (lambda: rate_of(SINGLE, scores), lambda: compare(scores, scores), lambda: error_rates(scores)):
        with pytest.raises(UsageError, match=r"1 of 12 scores are not in \[0, 1\]"):
            call()


@pytest.mark.parametrize("draws", [(1, 1), (30, 30), (1, 30)])
def test_intervals_of_differences_of_scores_cover(draws):
    random, covered, truth, simulations = np.random.default_rng(6), 0, 0.08, 200
    for _ in range(simulations):
        base = random.beta(6, 2, (1, 80))
        sides = [
            (base * factor + 0.05 * random.standard_normal((n, 80)) + 0.02 * random.standard_normal((n, 1)) * (n > 1))
            for factor, n in zip((0.8, 0.8 - truth / 0.75), draws, strict=True)
        ]
        found = compare(*(side.clip(0, 1) for side in sides))
        covered += found.low <= truth <= found.high
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high) or abs(found.p - 0.05) < 0.003
    assert 0.9 <= covered / simulations <= 0.99


def test_differences_of_deterministic_scores_are_those_of_their_examples():
    scores = np.random.default_rng(7).random((1, 50))
    found = compare(scores, scores)
    assert (found.difference, found.p) == (0, 1)
    assert found.low < 0 < found.high
    assert compare(scores, 1 - scores).only_first == int((scores > 0.5).sum())
    over_seeds = compare_seeds([(0.9 * scores + 0.1 + seed / 500, 0.9 * scores) for seed in range(3)])
    assert over_seeds.difference == pytest.approx(0.102)
    assert 0.09 < over_seeds.low < 0.102 < over_seeds.high < 0.11


def test_a_verdict_on_scores_is_seldom_wrong():
    random = np.random.default_rng(8)
    found = verdicts(random.beta(1.2, 0.8, (150, 4000)), level=0.99)  # of mean score .6
    assert found.count("wrong") <= 4000 * 0.01
    assert found.count("right") > 200
    rates = error_rates(random.beta(1.2, 0.8, (40, 4000)), level=0.9)
    assert ((rates.low <= 0.4) & (rates.high >= 0.4)).mean() >= 0.9
    assert error_rates(np.array([[0.2, 1.0]])).rate.tolist() == [0.8, 0.0]


def test_the_spread_of_networks_by_scores_is_that_of_all_choices():
    scores = scores_of(np.random.default_rng(9), 5, 30)
    choices = [scores[list(chosen)] for chosen in combinations(range(5), 3)]
    found = spread_of(scores)
    assert found.by_all.rate == pytest.approx(np.mean([choice.min(0) for choice in choices]))
    assert found.by_any.rate == pytest.approx(np.mean([choice.max(0) for choice in choices]))
    assert [rate.rate for rate in found.each] == pytest.approx(scores.mean(1))


def test_scores_may_be_judged_until_the_interval_is_narrow_enough():
    random = np.random.default_rng(10)
    found = until(lambda count: random.beta(2, 2, (count, 400)), width=0.05)
    assert found.reached
    assert found.rate.low < 0.5 < found.rate.high


@pytest.mark.parametrize(("a", "b"), [(2, 2), (0.1, 0.1), (9, 1)])
def test_evidence_from_scores_seldom_speaks_against_their_mean(a, b):
    random, alpha, n = np.random.default_rng(11), 0.05, np.arange(1, 1001)
    sums = random.beta(a, b, (400, 1000)).cumsum(1)
    missed = (evidence(sums, n, a / (a + b)) >= -np.log(alpha)).any(1).mean()
    assert missed <= alpha
    assert 0 < lowest_always(sums[0, -1], 1000, alpha) < a / (a + b)


def test_the_rise_of_a_curve_of_scores_is_that_of_its_examples():
    scores = np.linspace(0.2, 0.6, 9)[:, None] + np.array([[0.0, 0.1, 0.2]])
    found = rise_at_end(range(1, 10), scores)
    assert found.value == pytest.approx(9 * 0.25 * 0.05)
    assert found.differing == 3
