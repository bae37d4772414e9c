"""Examples of tables in a report: values in their own units, and exactly what changed is marked."""

import pytest
import torch
from torch import nn

from variate.datasets.info import about
from variate.datasets.load import labelled
from variate.evaluation.evaluate import evaluate
from variate.inputs.budget import Budget
from variate.inputs.columns import columns_of
from variate.records.file import Records
from variate.report.attacked import galleries
from variate.report.page import page_text
from variate.report.shown.tabular import FeatureRow, feature_rows

FEATURES = [
    {"name": "income", "low": 0, "high": 200_000, "unit": "EUR"},
    {"name": "age", "low": 20, "high": 70, "step": 1, "unit": "years"},
    {"name": "tcp", "group": "protocol"},
    {"name": "udp", "group": "protocol"},
    {"name": "rate", "low": -1, "high": 1},
]


def test_every_feature_stands_in_its_own_unit():
    rows = feature_rows(FEATURES, [0.25, 0.5, 1, 0, 0.75], [0.250001, 0.54, 0, 1, 0.75])
    assert rows == [
        FeatureRow("income", "EUR", "50000", "50000.2", True, pytest.approx(1e-6)),
        FeatureRow("age", "years", "45", "47", True, pytest.approx(0.04)),
        FeatureRow("protocol", "", "tcp", "udp", True, 1.0),
        FeatureRow("rate", "", "0.5", "0.5", False, 0.0),
    ]
    assert [row.feature for row in feature_rows([], [0.1, 0.2], [0.1, 0.3]) if row.changed] == ["column 1"]


def test_what_an_attack_cannot_touch_is_never_marked():
    facts, (x, _) = about("breast-cancer"), labelled("breast-cancer")
    features = facts.details["features"]
    reach = facts.modality.reach(x, Budget.parse("features:mean radius=1,worst area=5%"))
    moved = reach.inputs(reach.budget.project(x + 1, x))
    for before, after in zip(x.tolist(), moved.tolist(), strict=True):
        marked = {row.feature for row in feature_rows(features, before, after) if row.changed}
        assert marked <= {"mean radius", "worst area"}
    first = feature_rows(features, x[0].tolist(), moved[0].tolist())[0]
    room = columns_of(features)[0].high - float(first.original)
    assert float(first.adversarial) - float(first.original) == pytest.approx(min(1, room), abs=2e-2)
    assert torch.equal(reach.inputs(x), x)


def test_the_page_shows_rows_with_what_changed(tmp_path):
    facts, (x, y) = about("breast-cancer"), labelled("breast-cancer")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Linear(30, 2)
    budget = "features:mean radius=1,worst area=5%"
    path = tmp_path / "records.jsonl"
    settings = {"budget": budget, "attacks": ["fgsm"], "modality": facts.modality, "pictures": True}
    evaluate(network, x[:4], y[:4], records=path, **settings)
    records = Records(path)
    (gallery,) = galleries(records)
    assert gallery.modality == "tabular"
    shown = gallery.networks["network"]
    assert [row.example for row in shown] == [0, 1, 2]
    for row in shown:
        assert {cell.feature for cell in row.shown.rows if cell.changed} == {"mean radius", "worst area"}
        columns = columns_of(facts.details["features"])
        expected = [column.value(v) for column, v in zip(columns, x[row.example].tolist(), strict=True)]
        assert [float(cell.original) for cell in row.shown.rows] == pytest.approx(expected, rel=1e-3)
    page = page_text([records])
    assert page.count('<tr class="changed">') == page.count("<mark>") == 6
    assert "2 of 30 features changed" in page
    assert page_text([Records(path)]) == page
