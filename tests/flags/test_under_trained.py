"""The flag on a training that was not finished: raised by curves that still rise, and by no others."""

import numpy as np
import pytest
from claims import answers, claim, network

from variate.flags.raise_flags import raised
from variate.records.bits import pack
from variate.records.curve import EpochAccuracy
from variate.records.file import Records
from variate.report.headline import headline

EPOCHS = range(1, 25)


def curve(split, rates, examples=512, seed=0):
    """Each example is right from some epoch on, but for a tenth that change at random."""
    generator = np.random.default_rng(seed)
    thresholds = generator.permutation(examples) / examples
    points = []
    for epoch, rate in zip(EPOCHS, rates, strict=True):
        right = (thresholds < rate) ^ (generator.random(examples) < 0.02)
        points.append(EpochAccuracy(epoch, split, 0.9, pack(right)))
    return points


FLAT = [0.7] * 24
RISING = [0.4 + 0.01 * epoch for epoch in EPOCHS]
FALLING = [0.7 - 0.005 * epoch for epoch in EPOCHS]


def flags(*points):
    store = Records()
    store.add([network("at", defense="at", random=False, curve=[*points])])
    claim(store, "at", answers(0.6, draws=1))
    return {flag.flag: flag for flag in raised(store)}, store


@pytest.mark.parametrize(
    ("validation", "training", "is_raised"),
    [
        (RISING, RISING, True),
        (RISING, FLAT, True),
        (FLAT, FLAT, False),
        (FALLING, RISING, False),  # overfitting: more epochs would not help
        (FLAT, RISING, False),
        (None, RISING, True),
        (None, FLAT, False),
        (FLAT, None, False),
    ],
)
def test_the_flag_follows_the_end_of_the_curve(validation, training, is_raised):
    points = [*(curve("validation", validation) if validation else []), *(curve("train", training) if training else [])]
    assert ("under-trained" in flags(*points)[0]) == is_raised


def test_a_rise_that_few_examples_cannot_show_is_none():
    assert "under-trained" not in flags(*curve("validation", [0.5 + 0.002 * e for e in EPOCHS], examples=40))[0]
    assert "under-trained" in flags(*curve("validation", [0.5 + 0.005 * e for e in EPOCHS], examples=5000))[0]


def test_less_than_a_point_is_none_however_sure():
    assert "under-trained" not in flags(*curve("validation", [0.5 + 0.001 * e for e in EPOCHS], examples=20_000))[0]


def test_the_finding_says_how_much_and_the_verdict_says_what_the_difference_may_be():
    found, store = flags(*curve("validation", RISING))
    (sentence,) = found["under-trained"].findings
    assert "after epoch 24, still rose by" in sentence
    assert "(512 examples)" in sentence
    store.add([network("plain", defense="deterministic", random=False)])
    claim(store, "plain", answers(0.2, draws=1))
    verdict = headline(store)
    assert verdict.tone == "gain"
    assert "still gained when training ended: the difference may only show how long each was trained" in verdict.basis
    assert "weak attack" not in verdict.basis


def test_a_network_without_a_curve_is_not_doubted():
    assert "under-trained" not in flags()[0]
