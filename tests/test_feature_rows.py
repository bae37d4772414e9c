"""Examples of tables in a report: values in their own units, and exactly what changed is marked."""

import pytest
import torch

from variate.budget import Budget
from variate.facts import about
from variate.features import columns_of
from variate.reading import labelled
from variate.report.feature_rows import FeatureRow, feature_rows

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
