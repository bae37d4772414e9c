"""Several runs on one page: the paired difference between them comes first, where their examples are the same."""

from claims import EXAMPLES, answers, claim

from variate.records.file import Records
from variate.report import single
from variate.report.page import page_text
from variate.report.runs import compare_runs
from variate.statistics.comparison import compare


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
