"""The flag on accuracy: raised where classes are unequal beyond chance, and nowhere else."""

import numpy as np
import pytest
from claims import JUDGED, answers, claim, network

from variate.flags.raise_flags import raised
from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Example, RunLine


def flag_of(labels, *, names=(), task="classes"):
    store = Records()
    facts = {"data": "digits", "shape": [1, 8, 8], "examples": len(labels), "title": "a"}
    run = {"command": "c", "date": "2026-01-01", "machine": "m", "versions": {}, "seed": 0, "labels": [*names]}
    store.add([RunLine(**run, **facts), network("n", random=False)])
    said = JUDGED | {"network": "n", "fingerprint": "n", "inputs": "i", "seed": 0, "part": "table", "task": task}
    line = Claim(
        attack="clean", budget=None, draws=0, verdict_draws=1, deployments=["single"], options={}, settings={}, **said
    )
    bits = pack(np.ones(1, dtype=bool))
    counts = {"answers": {"single": bits}, "distance": 0.0, "forwards": 0, "backwards": 0}
    store.add([line])
    store.add([Example(claim=line.id, example=i, label=label, **counts) for i, label in enumerate(labels)])
    return next((flag for flag in raised(store) if flag.flag == "accuracy-misleads"), None)


@pytest.mark.parametrize(
    ("counts", "is_raised"),
    [
        ([90, 10], True),
        ([75, 25], True),
        ([70, 30], False),  # unequal, but accuracy still tells
        ([50, 50], False),
        ([4, 1], False),  # five examples show nothing
        ([100, 110, 90, 20], True),  # one rare class
        ([6] * 9 + [1], False),  # rare by chance
        ([100], False),  # one class alone: nothing to compare
    ],
)
def test_the_flag_follows_the_counts(counts, is_raised):
    labels = np.repeat(np.arange(len(counts)), counts).tolist()
    assert (flag_of(labels) is not None) == is_raised


def test_the_finding_names_the_classes_and_what_a_constant_answer_reaches():
    found = flag_of([0] * 433 + [1] * 67, names=["ham", "spam"])
    assert found.level == "note"
    (sentence,) = found.findings
    assert "433 of 500 examples (86.6 %) are of class 0 (ham), and 67 (13.4 %) of class 1 (spam)" in sentence
    assert "always is right for 86.6 %" in sentence


def test_labels_that_are_no_classes_raise_nothing():
    labels = [0] * 90 + [1] * 10
    assert flag_of(labels, task="regression(tolerance=1)") is None
    assert flag_of(labels, task="binary") is not None


def test_records_of_one_class_raise_nothing():
    store = Records()
    store.add([network("n", random=False)])
    claim(store, "n", answers(0.6, draws=1))
    assert not [flag for flag in raised(store) if flag.flag == "accuracy-misleads"]
