"""Disagreement of draws and selective risk as metrics: closed forms, enumeration, and their place in an evaluation."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import variate
from variate.errors import UsageError
from variate.metrics.measure import measure
from variate.metrics.metric import metric_of
from variate.metrics.responses import responses
from variate.random.uncertainty import Uncertainty
from variate.tasks.task import task_of

THREE = ("predictive-entropy", "mutual-information", "expected-pairwise-kl")


def outputs_of(draws=6, examples=40, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (examples,), generator=generator)
    noise = torch.randn(draws, examples, classes, generator=generator, dtype=torch.float64)
    return 2 * torch.nn.functional.one_hot(y, classes) + 1.5 * noise, y


def values(outputs, y, *names, task="classes", **options):
    return [found.value for found in measure(task, outputs, y, names=names, **options)]


def means(logits):
    found = Uncertainty.of(logits)
    return [float(part.mean()) for part in (found.entropy, found.mutual_information, found.pairwise_kl)]


def test_single_draws_take_all_and_groups_their_own():
    outputs, y = outputs_of()
    assert values(outputs, y, *THREE) == pytest.approx(means(outputs))
    groups = np.mean([means(outputs[start : start + 3]) for start in (0, 3)], axis=0)
    assert values(outputs, y, *THREE, rule="mean-3") == pytest.approx(groups)
    assert values(outputs[:1], y, *THREE[1:]) == [0.0, 0.0]  # a deterministic network


def test_two_labels_are_averaged():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4, 30, 2, generator=generator, dtype=torch.float64)
    y = (torch.rand(30, 2, generator=generator) < 0.5).long()
    each = [means(torch.stack([torch.zeros_like(z[..., j]), z[..., j]], -1)) for j in (0, 1)]
    assert values(z, y, *THREE, task="labels") == pytest.approx(np.mean(each, axis=0))


def area(scores, right, weights):
    """The mean over answers of the error rate among those at least as certain, one answer at a time."""
    total = 0.0
    for score, weight in zip(scores, weights, strict=True):
        given = scores >= score
        total += weight * (weights * ~right)[given].sum() / weights[given].sum() if weight else 0.0
    return total / weights.sum()


@pytest.mark.parametrize("by", ["confidence", "entropy", "mutual-information"])
@pytest.mark.parametrize("rule", ["single", "mean-3"])
def test_the_area_is_that_of_enumeration_under_any_weights(by, rule):
    outputs, y = outputs_of()
    given = responses(task_of("classes"), outputs, y, rule)
    if rule == "single":
        members, answers = [outputs[i : i + 1] for i in range(6)], outputs
    else:
        members = [outputs[:3], outputs[3:]]
        answers = torch.stack([Uncertainty.of(group).log_probabilities for group in members])
    found = [Uncertainty.of(group) for group in members]
    scores = {
        "confidence": lambda: torch.stack([each.confidence for each in found]),
        "entropy": lambda: -torch.stack([each.entropy for each in found]),
        "mutual-information": lambda: (
            -torch.stack(
                [each.mutual_information for each in (found if rule != "single" else [Uncertainty.of(outputs)] * 6)]
            )
        ),
    }[by]()
    right = (answers.argmax(-1) == y).numpy()
    weights = np.outer(np.arange(1, len(right) + 1), np.random.default_rng(0).integers(0, 3, len(y))).astype(float)
    expected = area(scores.numpy().round(12).ravel(), right.ravel(), weights.ravel())
    ours = metric_of(f"aurc(by={by})").prepared(given).of(weights[:, :, None])[0]
    assert ours == pytest.approx(expected, rel=1e-9)


def test_the_ends_of_the_area():
    outputs, y = outputs_of(1, 20, 2)
    wrong = outputs.argmax(-1)[0] != y
    errors = float(wrong.double().mean())
    perfect = torch.zeros(1, 20, 2, dtype=torch.float64)
    perfect[0, torch.arange(20), outputs.argmax(-1)[0]] = torch.where(wrong, 0.1, 9.0).double()
    k, n = int(wrong.sum()), 20
    best = k * errors / n  # the k errors share the last threshold, at which all are given
    assert 0 < k < n
    assert values(perfect, y, "aurc") == pytest.approx([best])
    same = 3.0 * torch.nn.functional.one_hot(outputs.argmax(-1), 2).double()
    assert values(same, y, "aurc") == pytest.approx([errors])  # nothing tells errors apart
    assert values(outputs, outputs.argmax(-1)[0], "aurc") == [0.0]
    found = measure("classes", outputs, outputs.argmax(-1)[0], names="aurc")[0]
    assert found.low == 0.0 < found.high < 0.2  # no error among 20 examples


def test_many_thresholds_keep_the_estimate_exact():
    outputs, y = outputs_of(4, 400)
    given = responses(task_of("classes"), outputs, y)
    right = (outputs.argmax(-1) == y).numpy().ravel()
    scores = outputs.softmax(-1).amax(-1).numpy().ravel()
    order = np.argsort(-scores)
    risks = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    assert metric_of("aurc").prepared(given).of(np.ones((4, 400, 1)))[0] == pytest.approx(risks.mean())


def test_mistakes():
    outputs, y = outputs_of()
    with pytest.raises(UsageError, match=r"(?s)score of aurc .*'entropy'"):
        measure("classes", outputs, y, names="aurc(by=entropi)")
    with pytest.raises(UsageError, match="needs probabilities"):
        measure("classes", outputs, y, names="mutual-information", rule="majority-2")
    with pytest.raises(UsageError, match="does not measure the task regression"):
        measure("regression(tolerance=1)", torch.rand(1, 4, 1), torch.rand(4), names="predictive-entropy")


def test_an_evaluation_measures_them_clean_and_under_attack(tmp_path):
    torch.manual_seed(0)
    net = variate.randomize(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), scale=0.5).eval()
    x = torch.rand(16, 1, 2, 2)
    y = net.mean()(x).argmax(1)
    names = [*THREE, "aurc(by=mutual-information)"]
    options = {"budget": "linf:0.3", "attacks": ["fgsm"], "deployments": ["single", "mean-4"], "modality": "image"}
    records = variate.Records(tmp_path / "a.jsonl")
    variate.evaluate(net, x, y, metrics=names, verdict_draws=16, records=records, **options)
    found = list(records.metrics.values())
    attacks = {claim.id: claim.attack for claim in records.claims.values()}
    kept = {(attacks[line.claim], line.rule, line.metric, line.minus): line for line in found}
    assert {(attack, rule) for attack, rule, *_ in kept} == {
        (attack, rule) for attack in ("clean", "fgsm") for rule in ("single", "mean-4")
    }
    for line in found:
        assert line.low <= line.value <= line.high
        assert math.isfinite(line.value)
    own = kept["clean", "single", "mutual-information", ""]
    assert own.better == ""
    assert kept["clean", "single", "mutual-information", "mean network"].value == pytest.approx(own.value)
    assert kept["clean", "mean-4", "mutual-information", ""].value < own.value  # of fewer draws
