"""Detection at a fixed rate of false alarms: the threshold comes from other examples than those measured."""

import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.evaluation.thresholds import filled
from variate.metrics.measure import measure
from variate.metrics.metric import metric_of, written
from variate.metrics.responses import responses
from variate.tasks.task import task_of


def of_chances(p):
    """Outputs whose probabilities of class 1 are ``p``, shape (draws, examples)."""
    p = torch.as_tensor(p, dtype=torch.float64)
    return torch.stack([torch.zeros_like(p), (p / (1 - p)).log()], -1)


class Scored(nn.Module):
    """The probability of class 1 is the input, (B, 1)."""

    def forward(self, x):
        return torch.cat([torch.zeros_like(x), torch.logit(x.clamp(1e-4, 1 - 1e-4))], 1)


def test_the_threshold_is_the_lowest_with_few_enough_false_alarms():
    benign, malicious = torch.linspace(0.01, 0.8, 100), torch.linspace(0.3, 0.99, 50)
    p, y = torch.cat([benign, malicious])[None], torch.tensor([0] * 100 + [1] * 50)
    given = responses(task_of("classes"), of_chances(p), y)
    for fpr in (0.01, 0.05, 0.1):
        found = metric_of(f"detection(fpr={fpr})").chosen(given)
        assert int((benign > found.threshold + 1e-9).sum()) == round(100 * fpr)
        names = [written(found), f"false-alarms(fpr={fpr}, threshold={found.threshold})"]
        detected, alarms = measure("classes", of_chances(p), y, names=names)
        assert detected.value == pytest.approx(float((malicious > found.threshold).double().mean()))
        assert alarms.value == pytest.approx(fpr, abs=0.011)  # the threshold itself is a score: rounding may add it
        assert detected.low < detected.value < detected.high
        assert (detected.name, alarms.name) == tuple(
            name if fpr != 0.01 else name.partition("(")[0]
            for name in (f"detection(fpr={fpr})", f"false-alarms(fpr={fpr})")
        )
        assert f"{found.threshold:.4g}" in detected.why


def test_draws_count_as_answers():
    p = torch.tensor([[0.1, 0.2, 0.9], [0.1, 0.6, 0.4]])
    found = metric_of("detection(fpr=0.25)").chosen(
        responses(task_of("classes"), of_chances(p), torch.tensor([0, 0, 1]))
    )
    assert found.threshold == pytest.approx(0.2)  # one of four answers to class 0 is above it
    (detected,) = measure("classes", of_chances(p), torch.tensor([0, 0, 1]), names=[written(found)])
    assert (detected.value, detected.draws) == (1.0, 2)


def test_what_is_measured_is_not_what_the_threshold_was_chosen_on():
    validation = torch.cat([torch.linspace(0.01, 0.6, 200), torch.full((50,), 0.9)])[:, None]
    test = torch.cat([torch.linspace(0.01, 0.98, 100), torch.linspace(0.5, 0.95, 100)])[:, None]
    metrics = variate.with_thresholds(
        ["accuracy", "detection", "false-alarms"], Scored(), validation, torch.tensor([0] * 200 + [1] * 50)
    )
    assert metrics[0] == "accuracy"
    threshold = metric_of(metrics[1]).threshold
    assert threshold == pytest.approx(0.594, abs=1e-3) == metric_of(metrics[2]).threshold
    result = variate.evaluate(
        Scored(), test, torch.tensor([0] * 100 + [1] * 100), budget="linf:0.1", attacks=["pgd"],
        deployments=["single"], metrics=metrics, modality="tabular",
    )  # fmt: skip
    found = {(line.metric, index): line.value for index, line in enumerate(result.metrics)}
    detected = [value for (name, _), value in found.items() if name == "detection"]
    alarms = [value for (name, _), value in found.items() if name == "false-alarms"]
    assert detected[0] == pytest.approx(float((test[100:] > threshold).double().mean()))
    assert alarms[0] == pytest.approx(float((test[:100] > threshold).double().mean()))
    assert alarms[0] > 0.3  # other examples than the validation's: the rate does not hold, and is shown
    assert detected[1] < detected[0]


def test_what_has_no_threshold_is_not_measured():
    y = torch.tensor([0, 1])
    with pytest.raises(UsageError, match="validation data"):
        measure("classes", of_chances([[0.2, 0.8]]), y, names=["detection"])
    with pytest.raises(UsageError, match="two classes"):
        measure("classes", torch.rand(1, 3, 3), torch.tensor([0, 1, 2]), names=["detection(threshold=0.5)"])
    with pytest.raises(UsageError, match="from 0 to 1"):
        metric_of("detection(threshold=2)")
    with pytest.raises(InputError, match="no example of class 0"):
        variate.with_thresholds(["detection"], Scored(), torch.rand(3, 1), torch.ones(3, dtype=torch.long))


def test_other_metrics_read_no_validation_data():
    names = ("accuracy", "auto", "detection(threshold=0.5)")
    assert filled(names, Scored(), lambda: pytest.fail("the split was read")) == names


def test_a_command_chooses_the_threshold_on_the_validation_split(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from variate.cli.main import app
    from variate.datasets import load as reading
    from variate.records.file import RECORDS, Records

    splits, read = [], reading.labelled
    monkeypatch.setattr(reading, "labelled", lambda *a, **k: splits.append(k.get("split", "test")) or read(*a, **k))
    run = CliRunner().invoke(app, ["train", "--data", "breast-cancer", "--network", "mlp", "--defense", "deterministic",
                                   "--epochs", "1", "--out", str(tmp_path), "-q"])  # fmt: skip
    assert run.exit_code == 0, run.output
    splits.clear()
    run = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--suite", "none", "--attack", "fgsm", "--no-doubts",
                                   "--metric", "detection", "--examples", "40", "-q"])  # fmt: skip
    assert run.exit_code == 0, run.output
    assert splits == ["test", "validation"]
    lines = Records(tmp_path / RECORDS).metrics.values()
    assert {(line.metric, line.rule) for line in lines} == {("detection", "single")}
    assert all(line.why.startswith("class 1 above a probability of") for line in lines)
