"""The forecast of several seeds: known shares, the choice of runs and attacks, and the command."""

import json
from itertools import combinations

import numpy as np
import pytest
from claims import claim, network
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.errors import RecordError, UsageError
from variate.records.file import Records
from variate.report.spread import spread
from variate.statistics.spread import spread_of

EXAMPLES = 400


def seeds_with(by_all, by_any, *, count=3, examples=EXAMPLES):
    """Answers of networks that are all right on a share of the examples, and each alone on its part of the rest."""
    right = np.zeros((count, examples), dtype=bool)
    right[:, : round(by_all * examples)] = True
    between = np.arange(round(by_all * examples), round(by_any * examples))
    right[between % count, between] = True
    return right


def run(name, right, *, path=None, seed=0, **changed):
    """The records of one network that was evaluated under pgd."""
    store = Records(path)
    store.add([network(name, defense="at", random=False, seed=seed, fingerprint=f"{name} {seed}")])
    claim(store, name, np.atleast_2d(right), fingerprint=f"{name} {seed}", **changed)
    return store


def runs(right, **changed):
    return [run("at", row, seed=seed, **changed) for seed, row in enumerate(right)]


def test_the_shares_are_those_of_the_answers():
    found = spread(runs(seeds_with(0.4, 0.7))).spread
    assert (found.by_all.rate, found.by_any.rate) == (0.4, 0.7)
    assert found.gap.rate == pytest.approx(0.3)
    assert [one.rate for one in found.each] == [0.5] * 3
    assert found.gap.low < 0.3 < found.gap.high


def test_more_networks_are_compared_three_at_a_time():
    right = np.random.default_rng(0).random((5, 60)) < np.random.default_rng(1).random(60)
    found = spread_of(right)
    triples = [right[list(three)] for three in combinations(range(5), 3)]
    assert found.by_all.rate == pytest.approx(np.mean([three.all(0).mean() for three in triples]))
    assert found.by_any.rate == pytest.approx(np.mean([three.any(0).mean() for three in triples]))
    assert found.gap.rate == pytest.approx(found.by_any.rate - found.by_all.rate)


@pytest.mark.parametrize(
    ("by_any", "examples", "beginning"),
    [
        (0.45, 1000, "Averaging draws is not worth trying"),
        (0.40, 1000, "Averaging draws is not worth trying"),
        (0.60, 1000, "Averaging draws can pay"),
        (0.47, 100, "Too few inputs to tell whether averaging draws can pay: 7.0 points"),
        (0.53, 100, "Too few inputs to tell whether averaging draws can pay: 13.0 points"),
    ],
)
def test_one_sentence_says_whether_averaging_can_pay(by_any, examples, beginning):
    assert spread(runs(seeds_with(0.4, by_any, examples=examples))).verdict.startswith(beginning)


def test_a_random_network_is_right_where_most_of_its_draws_are():
    rows = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0]], dtype=bool)  # (draws, examples): 1, 1, 0, 0 in most
    stores = [run("random", rows, seed=seed) for seed in range(2)]
    found = spread(stores).spread
    assert [one.rate for one in found.each] == [0.5, 0.5]
    assert found.gap.rate == 0


def test_the_strongest_attack_that_all_have_is_taken():
    right = seeds_with(0.4, 0.7)
    stores = runs(right)
    for store, row in zip(stores, right, strict=True):
        claim(store, "at", row[None] & (np.arange(EXAMPLES) < 100), attack="apgd-ce", fingerprint=_print(store))
    claim(stores[0], "at", right[:1] & False, attack="square", fingerprint=_print(stores[0]))
    assert spread(stores).attack == "apgd-ce"
    assert spread(stores, attack="pgd").spread.by_any.rate == 0.7
    with pytest.raises(UsageError, match="common attack") as error:
        spread(stores, attack="square")
    assert "square at linf:0.1 on 400 inputs" in error.value.findings[0]


def _print(store):
    return next(iter(store.claims.values())).fingerprint


def test_other_inputs_and_budgets_are_not_compared():
    right = seeds_with(0.4, 0.7)
    for changed in ({"inputs": "others"}, {"budget": "linf:0.2"}):
        stores = [*runs(right[:2]), run("at", right[2], seed=2, **changed)]
        with pytest.raises(UsageError, match="common attack on the same inputs"):
            spread(stores)


def test_one_network_twice_or_alone_is_refused():
    right = seeds_with(0.4, 0.7)
    with pytest.raises(UsageError, match="same network has no spread"):
        spread([run("at", right[0]), run("at", right[0])])
    with pytest.raises(UsageError, match="1 network under attack"):
        spread([run("at", right[0])])
    with pytest.raises(RecordError, match="no records"):
        spread(["nowhere", "nowhere else"])


def test_a_study_is_asked_for_one_of_its_groups():
    store = Records()
    for group, by_any in (("at", 0.7), ("random-at", 0.45)):
        for seed, row in enumerate(seeds_with(0.4, by_any)):
            store.add([network(f"{group}, seed {seed}", group=group, seed=seed)])
            claim(store, f"{group}, seed {seed}", row[None], group=group)
    with pytest.raises(UsageError, match="2 different networks") as error:
        spread([store])
    assert error.value.findings == ("at", "random-at")
    assert spread([store], network="random-at").spread.by_any.rate == pytest.approx(0.45)
    with pytest.raises(UsageError, match="did you mean 'at'"):
        spread([store], network="att")


def test_what_makes_the_forecast_less_certain_is_said():
    stores = [run("at", row, seed=seed) for seed, row in enumerate(seeds_with(0.4, 0.7, count=2))]
    assert "Two networks show less of the spread" in str(spread(stores))
    stores[1].add([network("at", defense="trades", random=False, fingerprint="at 1")])
    assert "differ in more than their seed" in str(spread(stores))


def test_the_command_prints_what_python_returns(tmp_path):
    right = seeds_with(0.4, 0.7)
    for seed, row in enumerate(right):
        (tmp_path / str(seed)).mkdir()
        run("at", row, seed=seed, path=tmp_path / str(seed) / "records.jsonl")
    paths = [str(tmp_path / str(seed)) for seed in range(3)]
    expected = variate.spread(paths)
    shown = CliRunner().invoke(app, ["spread", *paths])
    assert shown.output.strip() == str(expected)
    assert "by all three   40.0" in shown.output
    assert "any minus all  30.0" in shown.output
    as_json = json.loads(CliRunner().invoke(app, ["spread", *paths, "--json"]).output)
    assert as_json["spread"]["gap"]["rate"] == pytest.approx(0.3)
    assert as_json["verdict"] == expected.verdict
