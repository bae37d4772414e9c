"""Several runs on one page: the paired difference between them comes first, where their examples are the same."""

import numpy as np
import pytest
from claims import EXAMPLES, answers, claim, network

from variate.records.file import Records
from variate.report import single
from variate.report.page import page_text
from variate.report.runs import compare_runs
from variate.statistics.comparison import compare
from variate.statistics.seeds import compare_seeds


def run(share, *, name="net", **changed):
    store = Records()
    claim(store, name, answers(share), **changed)
    return store


def bits(store):
    (line,) = store.claims.values()
    return single.bits(store, line)


def test_the_best_run_is_compared_with_the_next_on_the_same_examples():
    runs = [run(0.3), run(0.9), run(0.5)]
    both = compare_runs(runs)
    found = compare(bits(runs[1]), bits(runs[2]))
    assert both.headline.claim == f"`2: net` is more robust than `3: net`: {found.points}"
    assert both.headline.difference == found
    assert [one.label for one in both.headline.estimates] == ["2: net", "3: net", "1: net"]
    assert [line[1].text for line in both.differences.lines] == ["3: net", "1: net"]
    assert both.differences.lines[1][6].value == compare(bits(runs[1]), bits(runs[0])).difference
    page = page_text(runs).partition("<main>")[2]
    assert page.index("is more robust than") < page.index("Accuracy by network, deployment and attack")


def test_equal_runs_are_not_ranked():
    runs = [run(0.5), run(0.5)]
    both = compare_runs(runs)
    assert both.headline.claim.startswith("`1: net` is not shown to differ from `2: net`: +0.0 points [")
    assert both.differences is None


def test_runs_on_other_examples_or_budgets_are_not_paired():
    fewer = Records()
    claim(fewer, "net", answers(0.9)[:, : EXAMPLES - 1])
    for other in (run(0.9, inputs="others"), run(0.9, budget="l2:1"), run(0.9, allowed="b"), fewer):
        both = compare_runs([run(0.5), other])
        assert both.headline is None
        assert "no paired difference between them" in page_text([run(0.5), other])
        assert len(both.tables) == 1


def test_a_flagged_run_is_not_compared_calmly():
    weak = run(0.9)
    claim(weak, "net", answers(0.95), attack="apgd-ce")
    claim(weak, "net", answers(0.2, seed=1), attack="square")  # a black-box attack is stronger
    runs = [weak, run(0.1)]
    headline = compare_runs(runs).headline
    assert headline.tone == "flagged"
    assert "black-box-stronger" in headline.claim


def seeded(share, seed, *, defense, **training):
    store = Records()
    facts = {"data": "digits", "seed": seed, **training}
    store.add(
        [network("net", defense=defense, random=False, seed=seed, training=facts, fingerprint=f"{defense}{seed}")]
    )
    right = np.random.default_rng(seed).random((1, EXAMPLES)) < share
    claim(store, "net", right, fingerprint=f"{defense}{seed}")
    return store


def test_runs_that_differ_in_their_seed_alone_are_compared_over_seeds():
    at = [seeded(0.4, seed, defense="at") for seed in range(3)]
    ours = [seeded(0.7, seed, defense="random-at", start=f"at{seed}") for seed in (2, 1, 0)]
    both = compare_runs([*at, *ours])
    (line,) = both.seeds.lines
    assert [cell.text for cell in line[:3]] == ["6, 5, 4: random-at", "1, 2, 3: at", "3"]
    pairs = [(bits(ours[2 - seed]), bits(at[seed])) for seed in range(3)]
    assert line[5].value == pytest.approx(compare_seeds(pairs).difference)
    assert "paired differences over seeds" in page_text([*at, *ours])


def test_runs_of_other_trainings_are_no_seeds_of_one():
    at = [seeded(0.4, seed, defense="at", epochs=1 + seed) for seed in range(2)]
    ours = [seeded(0.7, seed, defense="random-at") for seed in range(2)]
    assert compare_runs([*at, *ours]).seeds is None
