"""Confidence against accuracy: kept by the judge without asking the network again, and judged with its uncertainty."""

import numpy as np
import pytest
import torch
from torch import nn

from variate.evaluation.evaluate import evaluate
from variate.evaluation.judge import confidences
from variate.evaluation.processes import merge
from variate.random.randomize import randomize
from variate.records.calibration import calibration
from variate.records.file import Records
from variate.report.page import page_text
from variate.report.reliability import calibration_sheet, reliabilities
from variate.statistics.rates import Deployment

WAYS = [Deployment.parse(word) for word in ("single", "mean-2", "majority-2", "survive-3")]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).eval(), scale=0.3)


@pytest.fixture
def x():
    return torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def test_confidence_is_that_of_one_draw_or_of_the_mean_of_one_group():
    torch.manual_seed(0)
    logits = torch.randn(5, 3, 4)  # draws, examples, classes
    probabilities = logits.softmax(-1)
    found = confidences(WAYS, logits, [7, 8, 9])
    assert found.keys() == {"single", "mean-2"}
    for j, number in enumerate([7, 8, 9]):
        assert found["single"][j] == pytest.approx(float(probabilities[number % 5, j].max()))
        group = probabilities[2 * (number % 2) : 2 * (number % 2) + 2, j]
        assert found["mean-2"][j] == pytest.approx(float(group.mean(0).max()))
    assert confidences(WAYS, logits[:1], [7, 8, 9])["mean-2"].tolist() == pytest.approx(
        probabilities[0].amax(-1).tolist()
    )


def test_the_evaluation_keeps_how_sure_the_network_was_of_the_very_answers(net, x, monkeypatch):
    calls, forward = [], nn.Flatten.forward
    monkeypatch.setattr(nn.Flatten, "forward", lambda self, value: calls.append(len(value)) or forward(self, value))
    y = torch.arange(30) % 3
    store = Records()
    asked = {"budget": "linf:0.1", "draws": 2, "verdict_draws": 32, "records": store}
    evaluate(net, x, y, attacks=["fgsm"], deployments=["single", "mean-16", "majority-16"], **asked)
    assert len(calls) < 32 + 32 + 20  # each claim is judged once; the rest looks at the network, and attacks
    for examples in store.examples.values():
        for line in examples.values():
            assert line.confidences.keys() == {"single", "mean-16"}
            assert all(1 / 3 <= value <= 1 for value in line.confidences.values())
    evaluate(net.mean(), x, y, attacks=[], deployments=["single"], name="mean", **asked)
    (claim,) = [claim for claim in store.claims.values() if claim.network == "mean"]
    sure = net.mean()(x).softmax(-1).amax(-1).tolist()
    assert [store.examples[claim.id][i].confidences["single"] for i in range(30)] == pytest.approx(sure, abs=1e-4)


def test_an_aimed_attack_keeps_no_confidence(net, x):
    store = Records()
    asked = {"budget": "linf:0.1", "draws": 2, "verdict_draws": 32, "records": store}
    evaluate(net, x, torch.arange(30) % 3, attacks=[{"name": "pgd", "steps": 2, "target": "next"}], **asked)
    known = {claim.attack: bool(store.examples[claim.id][0].confidences) for claim in store.claims.values()}
    assert known == {"clean": True, "pgd": False}


def test_the_error_is_the_mean_distance_over_bins_of_equal_numbers():
    sure = np.array([0.2] * 40 + [0.6] * 40 + [0.9] * 40)
    right = np.arange(120) % 40 < np.repeat([16, 24, 20], 40)
    found = calibration(sure, right)
    assert [(b.confidence, b.right, b.examples) for b in found.bins] == [
        (pytest.approx(c), n, 40) for c, n in ((0.2, 16), (0.6, 24), (0.9, 20))
    ]
    assert found.error == pytest.approx((0.2 + 0.0 + 0.4) / 3)
    assert found.brier == pytest.approx(float(np.square(sure - right).mean()))
    assert found.low <= found.error <= found.high
    assert (found.accuracy, found.confidence) == (pytest.approx(0.5), pytest.approx(1.7 / 3))
    assert len(calibration(sure[:79], right[:79]).bins) == 1


@pytest.mark.parametrize(("power", "examples"), [(1.0, 200), (1.6, 400), (3.0, 400)])
def test_the_interval_covers_and_chance_is_told_apart(power, examples):
    generator = np.random.default_rng(1)
    many = generator.beta(4, 1, 500_000)
    truth, trials = float(np.abs(many**power - many).mean()), 200
    covered, above = 0, 0
    for _ in range(trials):
        sure = generator.beta(4, 1, examples)
        found = calibration(sure, generator.random(examples) < sure**power)
        covered += found.low <= truth <= found.high
        above += found.error > found.chance
    assert covered / trials > 0.95 - 5 * (0.95 * 0.05 / trials) ** 0.5
    if power == 1.0:
        assert above / trials < 0.05 + 5 * (0.95 * 0.05 / trials) ** 0.5
    if power == 3.0:
        assert above == trials


def test_the_page_shows_calibration_only_where_confidences_were_kept(net, x, tmp_path):
    path = tmp_path / "records.jsonl"
    y = net.mean()(x).argmax(1)
    asked = {"budget": "linf:0.1", "draws": 2, "verdict_draws": 32}
    evaluate(net, x, y, attacks=["fgsm"], deployments=["single", "mean-16"], records=path, **asked)
    records = Records(path)
    assert [(one.claim.attack, one.deployment) for one in reliabilities(records)] == [
        ("clean", "single"), ("clean", "mean-16"), ("fgsm", "single"), ("fgsm", "mean-16"),
    ]  # fmt: skip
    page = page_text([records])
    assert 'id="calibration"' in page
    assert 'id="reliability-1"' in page
    assert "guo2017-170604599" in page
    assert 'id="coverage-1"' in page
    assert "geifman2017-170508500" in page
    areas = [one.selective.area for one in reliabilities(records)]
    assert all(f"{100 * area:.1f}<small>" in page for area in areas)
    assert f"{100 * reliabilities(records)[0].calibration.error:.1f}<small>" in page
    old = Records()
    old.add([*records.claims.values()])
    old.add(
        [line.model_copy(update={"confidences": {}}) for lines in records.examples.values() for line in lines.values()]
    )
    assert calibration_sheet(old) is None
    page = page_text([old])
    assert 'id="calibration"' not in page
    assert 'id="reliability-1"' not in page
    assert 'id="selective"' not in page
    assert 'id="coverage-1"' not in page
    assert "guo2017" not in page
    assert "these records hold no confidences" in page
    assert "do not say how long the attacks took" in page


def test_seconds_are_kept_by_batch_and_summed_by_claim_whoever_did_the_work(net, x, tmp_path):
    path = tmp_path / "records.jsonl"
    asked = {"budget": "linf:0.1", "attacks": ["fgsm"], "draws": 2, "verdict_draws": 32, "batch_size": 8}
    for number in range(2):
        evaluate(net, x, torch.arange(30) % 3, records=Records(path, shard=number), shard=(number, 2), **asked)
    whole = merge(path, 2)
    for timings in whole.timings.values():
        assert [(line.first, line.examples) for line in timings.values()] == [(0, 8), (8, 8), (16, 8), (24, 6)]
        assert all(line.verdict > 0 for line in timings.values())
    before = path.read_text()
    evaluate(net, x, torch.arange(30) % 3, records=path, **asked)
    assert path.read_text() == before
