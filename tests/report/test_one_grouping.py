"""A file may hold several sets of examples and several networks of one name: every place of a report shows the same."""

import csv
import io

import numpy as np
import pytest
from claims import answers, claim, network

from variate.flags.evidence import Evidence
from variate.records.file import Records
from variate.records.groups import notes, shown
from variate.records.rows import CLEAN
from variate.report import formats, single
from variate.report.page import page_text
from variate.report.paired import averaging, twins
from variate.report.sentences import verdict
from variate.report.series import draws, series
from variate.report.summary import summary
from variate.report.table import markdown, study_rows


def ten_then_sixty():
    """A network judged on 10 examples, on which it does badly, and then on 60."""
    store = Records()
    claim(store, "net", answers(0.1)[:, :10], inputs="few", date="2026-01-01")
    claim(store, "net", answers(0.2)[:, :10], inputs="few", attack="fgsm", date="2026-01-01")
    claim(store, "net", answers(0.9), inputs="many", date="2026-01-02")
    return store


def two_of_one_name():
    store = Records()
    claim(store, "net", answers(0.2), fingerprint="first", attack="fgsm")
    claim(store, "net", answers(0.9), fingerprint="second")
    return store


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (ten_then_sixty(), "table: 10 examples, inputs few, image a, 2026-01-01"),
        (two_of_one_name(), "another network of this name, first (table: 60 examples"),
    ],
)
def test_the_newest_is_shown_everywhere_and_the_others_are_named_everywhere(store, said):
    (row,) = study_rows(store, "table")
    assert row.examples == 60
    assert row.rate > 0.8
    (sentence,) = verdict(store)
    (rate,) = formats.rates([store])
    assert rate["rate"] == row.rate
    (note,) = notes(store)
    assert said in note
    for text in (markdown(store), summary(store), formats.as_markdown([store]), page_text([store])):
        assert said in text
    assert row.percent in sentence
    assert row.percent in summary(store)
    assert formats.escaped(said) in formats.as_latex([store])


def test_records_of_one_set_have_no_notes():
    store = Records()
    claim(store, "net", answers(0.5))
    claim(store, "net", answers(0.9), attack="clean")
    claim(store, "net", answers(0.5)[:, :20], inputs="few", part="doubts")  # another part has its own examples
    assert notes(store) == []
    assert len(shown(store)) == 3


def test_of_two_seeds_the_last_is_shown_and_the_first_is_named():
    store = Records()
    claim(store, "net", answers(0.2), seed=0)
    claim(store, "net", answers(0.7), seed=1)
    (row,) = study_rows(store, "table")
    assert row.percent in verdict(store)[0]
    assert row.rate > 0.6
    assert "earlier answers to single under pgd at linf:0.1 (seed 0, 32 verdict draws)" in notes(store)[0]


def test_a_name_makes_no_twin_and_no_seed():
    store = Records()
    store.add([network(name, random=draws > 1) for name, draws in (("random", 32), ("random, then distilled", 1))])
    claim(store, "random", answers(0.5))
    claim(store, "random, then distilled", answers(0.9, draws=1), part="twins")
    claim(store, "random, mean network", answers(0.4, draws=1), part="twins", twin_of="random")
    claim(store, "random, of old", answers(0.4, draws=1), part="twins", twin_of="another")
    names = [line[1].text for line in twins(store).lines]
    assert names == ["random, mean network", "random, then distilled"]  # the second is only alike, not made of it
    for seed in (1, 2):
        claim(store, f"other, seed {seed}", answers(0.5, seed=seed))
        claim(store, f"same, seed {seed}", answers(0.5, seed=seed), group="same")
    assert "same, 2 seeds" in markdown(store)
    assert "other, 2 seeds" not in markdown(store)


def random_records(seed):
    """Some networks under a few names, each judged now and then on some inputs by some attacks."""
    chance, store = np.random.default_rng(seed), Records()
    names = ["a", "a, mean network", "b, seed 1"]
    for name in names:
        store.add([network(name, random=name == "a")])
    for number in range(14):
        name = names[chance.integers(3)]
        draws = 8 if name == "a" else 1
        right = chance.random((draws, [8, 20][chance.integers(2)])) < chance.random()
        attack = ["clean", "pgd", "fgsm"][chance.integers(3)]
        claim(
            store, name, right, attack=attack, budget=["linf:0.1", "l2:1"][chance.integers(2)],
            draws=int(chance.integers(1, 3)) if draws > 1 else 1, inputs=f"i{right.shape[1]}",
            fingerprint=f"{name} {chance.integers(2)}", seed=int(chance.integers(2)), date=f"day {number}",
        )  # fmt: skip
    return store


def key(network_, attack, budget, attack_draws, verdict_draws):
    """What stands beside a rate: a deterministic network has one number of draws."""
    return network_, attack, budget, attack_draws if verdict_draws > 1 else 0


@pytest.mark.parametrize("seed", range(12))
def test_every_place_that_prints_a_rate_prints_the_same(seed):
    store = random_records(seed)
    table = {}
    for row in study_rows(store, "table"):
        place = key(row.network, row.attack, row.budget, row.draws, 2 if row.deployment == "single" else 1)
        assert table.setdefault(place, row.percent) == row.percent
    told = {}
    for one in csv.DictReader(io.StringIO(formats.as_csv([store]))):
        place = key(one["network"], one["attack"], one["budget"] or None, int(one["draws"]), int(one["verdict_draws"]))
        percent = f"{100 * float(one['rate']):.1f} [{100 * float(one['low']):.1f}, {100 * float(one['high']):.1f}]"
        assert told.setdefault(place, percent) == percent
    assert told == table
    for line in single.judged(store, "table"):
        place = key(line.network, line.attack, line.budget, line.draws, line.verdict_draws)
        assert single.row(store, line).percent == table[place]
        evidence = Evidence(store, line.network)
        assert line in evidence.claims
        assert f"{100 * evidence.rate(line).rate:.1f}" == table[place].split()[0]
    for one in series(store, draws, fewest=1):
        for row in one.rows.values():
            assert row.percent == table[key(row.network, row.attack, row.budget, row.draws, 2)]
    for line in (averaging(store) or formats.ReportTable([], [])).lines:
        naive = table[line[0].text, line[1].text, line[2].text, 1]
        assert line[4].text == naive.split()[0]
    for name in {place[0] for place in table}:
        for budget in single.budgets(store, name):
            rates = [text for (who, what, where, _), text in table.items() if (who, where) == (name, budget)]
            least = min(rates, key=lambda text: float(text.split()[0]))
            worst = single.row(store, single.strongest(store, name, budget)).percent
            assert worst.split()[0] == least.split()[0]
            (line,) = [line for line in summary(store).splitlines() if line.startswith(f"| {name} |")]
            assert worst.split()[0] in line
            if name == "a":
                assert any(worst in sentence and budget in sentence for sentence in verdict(store))
    hidden = len(store.claims) - len(shown(store))
    assert bool(notes(store)) == (hidden > 0)
    assert {CLEAN} >= {place[1] for place in table if place[2] is None}


def test_twins_are_of_the_network_that_is_shown():
    store = Records()
    for fingerprint in ("old", "new"):
        claim(store, "a", answers(0.5), fingerprint=fingerprint)
    claim(store, "a, mean network", answers(0.5, draws=1), part="twins", twin_of="old")
    assert twins(store) is None
