"""Malicious examples that evade within k queries, counted by hand."""

import numpy as np
import pytest
from claims import JUDGED

from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.evaded import evaded
from variate.records.file import Records
from variate.records.schema import Example, RunLine
from variate.report.evaded import evaded_over_seeds, evaded_sheet
from variate.report.page import page_text
from variate.statistics.rates import Deployment, rate_of

LABELS = [1, 0, 1, 1, 1, 0]  # four are malicious


def add(store, right, *, attack="clean", spent=0, options=None, network="net", group=None, labels=LABELS, **changed):
    """A claim on six examples: whether each draw is right, and the queries spent on each."""
    right = np.array(right, dtype=bool)
    clean = attack == "clean"
    claim = Claim(
        network=network, fingerprint=network, inputs="i", attack=attack, options=options or {}, settings=options or {},
        seed=0, budget=None if clean else "linf:0.1", draws=0 if clean else 1, verdict_draws=len(right),
        deployments=["single"], group=group, **JUDGED, **changed,
    )  # fmt: skip
    spent = np.broadcast_to(spent, len(labels))
    lines = [
        Example(claim=claim.id, example=i, label=label, answers={"single": pack(right[:, i])}, distance=0.1,
                forwards=int(spent[i]), backwards=0, points=int(spent[i]))
        for i, label in enumerate(labels)
    ]  # fmt: skip
    store.add([claim, *lines])


RIGHT, WRONG = [1] * 6, [0] * 6


def test_what_an_attack_cannot_afford_stays_as_it_is():
    store = Records()
    add(store, [[0, 1, 1, 1, 1, 1]])  # one malicious example is missed anyhow
    add(store, [[0, 1, 0, 0, 1, 0]], attack="square", spent=[1, 500, 9, 90, 900, 1], options={"queries": 1000})
    (row,) = evaded(store)
    assert row.missed.rate == 0.25
    assert {k: rate.rate for k, rate in row.within.items()} == {10: 0.5, 100: 0.75, 1000: 0.75}
    assert (row.access, row.examples, row.attack, row.options) == ("scores", 4, "square", {})
    same = rate_of(Deployment("single", 1), np.array([[False, True, False, True]]))  # detected within 10 queries
    assert (row.within[10].low, row.within[10].high) == pytest.approx((1 - same.high, 1 - same.low))


def test_the_largest_allowance_that_k_pays_for_counts():
    store = Records()
    add(store, [RIGHT] * 4)
    add(store, [[0, 1, 1, 1, 1, 1]] * 4, attack="square", spent=10, options={"queries": 10})
    add(store, [[1, 0, 0, 0, 1, 0]] * 3 + [RIGHT], attack="square", spent=100, options={"queries": 100})
    (row,) = evaded(store, (10, 99, 100, 1000))
    assert {k: rate.rate for k, rate in row.within.items()} == {10: 0.25, 99: 0.25, 100: 0.375, 1000: 0.375}
    (row,) = evaded(store, (5,))
    assert row.within[5].rate == 0.0


def test_attackers_are_ranked_by_what_evades_and_white_boxes_are_none():
    store = Records()
    add(store, [RIGHT])
    add(store, [[0, 1, 1, 1, 1, 1]], attack="square", spent=50, options={"queries": 50})
    add(store, [[0, 1, 0, 1, 1, 1]], attack="hopskipjump", spent=900, options={"queries": 900})
    add(store, [WRONG], attack="pgd", spent=1)
    assert [row.attack for row in evaded(store)] == ["hopskipjump", "square"]
    sheet = evaded_sheet(store)
    assert [[cell.text for cell in line[2:]] for line in sheet.lines] == [
        ["hopskipjump", "labels", "0.0", "0.0", "0.0", "50.0"],
        ["square", "scores", "0.0", "0.0", "25.0", "25.0"],
    ]
    assert "Evaded within k queries" in page_text([store])


def test_seeds_are_averaged():
    store = Records()
    for seed, wrong in enumerate(([0, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1])):
        add(store, [RIGHT], network=f"at, seed {seed}", group="at")
        add(store, [wrong], attack="square", spent=5, network=f"at, seed {seed}", group="at")
    (line,) = evaded_over_seeds(store).lines
    assert [cell.text for cell in line] == ["at", "linf:0.1", "square", "scores", "0.0", "50.0", "50.0", "50.0"]
    assert line[5].small == "± 35.4"


@pytest.mark.parametrize("case", ["three classes", "one class", "no clean answers", "three names"])
def test_what_is_not_a_detector_has_no_evasions(case):
    store = Records()
    labels = {"three classes": [0, 1, 2, 1, 1, 0], "one class": [1] * 6}.get(case, LABELS)
    if case == "three names":
        facts = {"command": "", "date": "", "machine": "", "versions": {}, "seed": 0, "data": "d", "shape": [1]}
        store.add([RunLine(examples=6, title="t", labels=["a", "b", "c"], **facts)])
    if case != "no clean answers":
        add(store, [RIGHT], labels=labels)
    add(store, [WRONG], attack="square", spent=1, labels=labels)
    assert evaded(store) == []
    assert evaded_sheet(store) is None
