"""The tables of rates on the page: what stands first, what is marked, and what stands apart."""

import numpy as np
import pytest
from claims import EXAMPLES, answers, claim

from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import rows_of
from variate.records.schema import Example
from variate.report import formats
from variate.report.page import page_text
from variate.report.sheet import grid_sheet
from variate.report.table import grid, study_grids, study_rows


def heads(sheet):
    return [head[0] for head in sheet.heads]


def table(store, **options):
    ((_, content),) = study_grids(store)
    return grid_sheet([("", content)], **options)


@pytest.fixture
def store():
    """Two networks under attacks whose order of strength is not that in which they were run."""
    store = Records()
    for name, shift in (("random", 0.0), ("other", 0.1)):
        claim(store, name, answers(0.9), attack="clean")
        for attack, share in (("fgsm", 0.6), ("apgd-ce", 0.2), ("pgd", 0.4)):
            claim(store, name, answers(share + shift, seed=3), attack=attack)
    claim(store, "random", answers(0.3, seed=5), attack="pgd", budget="l2:1")
    return store


def test_the_strongest_attack_stands_first_within_its_budget(store):
    sheet = table(store)
    assert heads(sheet) == ["network", "deployment", "n", "clean", "apgd-ce", "pgd", "fgsm", "pgd"]
    assert [head[-1] for head in sheet.heads[4:]] == ["linf:0.1", "linf:0.1", "linf:0.1", "l2:1"]


def test_the_lowest_of_a_row_is_marked_once_for_each_budget_with_several_attacks(store):
    for line in table(store).lines:
        assert [cell.lowest for cell in line] == [False] * 4 + [True] + [False] * (len(line) - 5)
    assert page_text([store]).count('<span class="unseen"> lowest</span>') == 2


def test_every_rate_has_its_number_of_examples_and_its_bar(store):
    for line in table(store).lines:
        assert (line[2].text, line[2].value) == (str(EXAMPLES), EXAMPLES)
        assert all(cell.share == cell.value for cell in line[3:] if cell.text != "-")
    assert 'style="--share:' in page_text([store])


def judged(store, name, deployments, *, chosen=(), right=None):
    """A claim of a suite with deployments and the winning attack of each example."""
    right = answers(0.6) if right is None else right
    line = claim(Records(), name, right, attack="standard")
    line = Claim(**line.model_dump(exclude={"deployments"}), deployments=deployments)
    counts = {"label": 0, "distance": 0.1, "forwards": 1, "backwards": 1}
    store.add([line])
    for i in range(EXAMPLES):
        winner = chosen[i % len(chosen)] if chosen else None
        store.add([Example(claim=line.id, example=i, answers={"single": pack(right[:, i])}, chosen=winner, **counts)])
    return line


def test_repeated_queries_stand_in_a_table_of_their_own():
    store = Records()
    judged(store, "random", ["single", "survive-5", "survive-10"])
    assert [line[1].text for line in table(store, repeated=False).lines] == ["single"]
    assert [line[1].text for line in table(store, repeated=True).lines] == ["survive-5", "survive-10"]
    assert len(table(store).lines) == 3
    page = page_text([store])
    assert '<h2 id="table-repeated">Accuracy by network, deployment and attack when queries repeat ' in page
    once = Records()
    judged(once, "random", ["single"])
    assert table(once, repeated=True) is None
    assert "table-repeated" not in page_text([once])


def test_a_suite_names_the_attack_that_found_most_of_the_worst_inputs():
    store = Records()
    line = judged(store, "random", ["single"], chosen=["square", "pgd", "pgd", "clean"])
    (row,) = rows_of(store, line)
    assert row.winners == {"pgd": 0.5, "square": 0.25}  # a quarter is wrong without attack
    assert row.winner == "pgd 50 %"
    assert table(store).lines[0][-1].note == "pgd 50 %"
    assert "<small>pgd 50 %</small>" in page_text([store])
    assert '"winners": {\n      "pgd": 0.5' in formats.as_json([store])
    plain = Records()
    (row,) = rows_of(plain, claim(plain, "random", answers(0.5)))
    assert (row.winners, row.winner) == ({}, "")


def test_a_deterministic_network_alone_has_no_number_of_draws():
    store = Records()
    claim(store, "plain", answers(0.5, draws=1))
    assert list(grid(study_rows(store, "table")).columns) == [("pgd", "", "linf:0.1")]
    claim(store, "random", answers(0.5), draws=20)
    claim(store, "plain", answers(0.7, draws=1), attack="fgsm")
    columns = grid(study_rows(store, "table")).columns
    assert set(columns) == {("pgd", "20 draws", "linf:0.1"), ("fgsm", "", "linf:0.1")}


def test_the_names_of_a_network_stand_once_and_in_full_for_readers_that_hear_them(store):
    right = np.ones((1, EXAMPLES), bool)
    claim(store, "at", right)
    page = page_text([store])
    assert '<th scope="row" class="left"><span>at</span></th>' in page
