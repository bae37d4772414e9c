"""Metrics beside the rates of an evaluation: clean, under attack, and minus those of the mean network."""

import pytest
import torch
from torch import nn

import variate
from variate.errors import UsageError
from variate.metrics.measure import measure
from variate.random.keys import Stream
from variate.records.file import Records
from variate.report.metrics import metric_sheet, reasons
from variate.report.page import page_text

X = torch.rand(60, 6, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 3.4).long()


def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = nn.Linear(6, 2)
    return variate.randomize(plain, scale=0.3).eval()


def evaluated(net, **options):
    chosen = {"budget": "linf:0.05", "attacks": [{"name": "pgd", "steps": 3}], "draws": 2, "verdict_draws": 40}
    return variate.evaluate(net, X, Y, **{**chosen, "deployments": ["single", "mean-4"], **options})


def test_metrics_are_those_of_the_draws_of_the_verdict():
    net = network()
    result = evaluated(net, metrics=["mcc", "balanced-accuracy"])
    keys = Stream("verdict", 0).take(40)[:16]
    with torch.no_grad():
        outputs = torch.stack([net.at(key)(X) for key in keys])
    expected = {one.name: one for one in measure("classes", outputs, Y, names=["mcc", "balanced-accuracy"])}
    clean = {line.metric: line for line in result.metrics if line.rule == "single" and not line.minus}
    first = result.claims[0].id
    for name, one in expected.items():
        found = next(
            line
            for line in result.metrics
            if (line.claim, line.metric, line.rule, line.minus) == (first, name, "single", "")
        )
        assert (found.value, found.low, found.high) == pytest.approx((one.value, one.low, one.high))
    assert set(clean) == set(expected)


def test_there_are_rows_for_attacks_rules_and_the_mean_network():
    result = evaluated(network(), metrics=["mcc"])
    kinds = {(line.claim == result.claims[0].id, line.rule, line.minus) for line in result.metrics}
    assert kinds == {
        (True, "single", ""),
        (True, "mean-4", ""),
        (True, "single", "mean network"),
        (True, "mean-4", "mean network"),
        (False, "single", ""),
        (False, "mean-4", ""),
    }
    assert "mcc, single, under pgd" in str(result)
    assert "mcc, mean-4, clean, minus mean network" in str(result)


def test_a_deterministic_network_has_one_row():
    result = evaluated(nn.Linear(6, 2), metrics=["auto"])
    assert {line.rule for line in result.metrics} == {"single"}
    assert not any(line.minus for line in result.metrics)
    assert all(line.why for line in result.metrics)


def test_metrics_are_kept_and_clean_ones_measured_later(tmp_path):
    path = tmp_path / "records.jsonl"
    net = network()
    assert evaluated(net, records=path).metrics == []
    later = evaluated(net, records=path, metrics=["mcc"])
    assert {line.claim for line in later.metrics} == {later.claims[0].id}, "outputs under attack are not kept"
    assert any("no metrics under pgd" in note for note in later.notes)
    fresh = evaluated(net, records=tmp_path / "other.jsonl", metrics=["mcc"])
    again = Records(tmp_path / "other.jsonl")
    assert list(again.metrics.values()) == fresh.metrics
    clean = [line for line in fresh.metrics if line.claim == fresh.claims[0].id]
    assert [line for line in later.metrics if not line.minus] == [line for line in clean if not line.minus]


def test_the_report_shows_them():
    result = evaluated(network(), metrics=["auto"], records=Records())
    sheet = metric_sheet(result.records)
    assert sheet is not None
    assert [head[0] for head in sheet.heads[:4]] == ["network", "deployment", "metric", "clean"]
    assert sheet.heads[4][0] == "minus mean network"
    assert reasons(result.records)
    page = page_text([result.records])
    assert "Metrics of the task" in page
    assert metric_sheet(Records()) is None


def test_metrics_of_other_tasks():
    numbers = X.sum(1)
    result = variate.evaluate(nn.Linear(6, 1), X, numbers, task="regression(tolerance=0.5)", budget="linf:0.05",
                              attacks=["fgsm"], metrics=["auto"])  # fmt: skip
    found = {line.metric: line.value for line in result.metrics if line.claim == result.claims[0].id}
    assert {"within-tolerance", "mae", "r2"} <= set(found)
    worse = {line.metric: line.value for line in result.metrics if line.claim == result.claims[1].id}
    assert worse["mae"] > found["mae"]


def test_what_is_known_of_a_problem_chooses_metrics_too():
    rows = [row.metric for row in evaluated(network(), metrics=["auto(costs='0 1; 5 0')"]).metrics]
    assert rows[0] == "expected-cost(costs=0 1; 5 0)"
    assert "balanced-accuracy" in rows


def test_what_does_not_fit_is_refused_before_any_work():
    with pytest.raises(UsageError, match="small_structures does not go with the task classes"):
        evaluated(network(), metrics=["auto(small_structures=yes)"])
    with pytest.raises(UsageError, match="mccc"):
        evaluated(network(), metrics=["mccc"])
    with pytest.raises(UsageError, match="expected: a list of metrics"):
        evaluated(network(), metrics="mcc")
    with pytest.raises(UsageError, match="does not measure the task classes"):
        evaluated(network(), metrics=["mae"])
