"""RanMASK's factor, by enumeration on 8 words: it holds for the words that are changed, and not on average."""

import itertools
from math import comb

import numpy as np
import pytest

from variate.certificates.ablation import Ablation
from variate.inputs.budget import Budget

N, KEEP = 8, 3
MASKS = list(itertools.combinations(range(N), KEEP))
TEXT = (0,) * N


def shows(changed):
    """Whether each mask shows one of the changed positions."""
    return np.array([bool(set(mask) & set(changed)) for mask in MASKS])


def answers(label, words):
    """Whether a network answers the label behind each mask."""
    return np.array([label(tuple(words[i] if i in mask else None for i in range(N))) for mask in MASKS])


def factor(right, changed):
    """Beta: how often the network is right where the mask shows a changed position."""
    return right[shows(changed)].mean()


def replaced(changed, new):
    return [new[changed.index(i)] if i in changed else word for i, word in enumerate(TEXT)]


def by_scores(seed):
    score = np.random.default_rng(seed).normal(0.3, 1, size=(N, 3))
    return lambda seen: sum(score[i, word] for i, word in enumerate(seen) if word is not None) > 0


def by_first_word(seen):
    """Right if it sees the first word and nobody changed it; else by whether it sees the second."""
    return seen[0] == 0 if seen[0] is not None else seen[1] is not None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 2])
def test_with_the_factor_of_the_changed_words_no_more_is_lost(seed, count):
    label = by_scores(seed)
    right = answers(label, TEXT)
    lost = 1 - comb(N - count, KEEP) / comb(N, KEEP)
    assert float(Ablation(N, KEEP, None).seen(count)) == pytest.approx(lost)
    for changed in itertools.combinations(range(N), count):
        least = right.mean() - factor(right, changed) * lost
        assert least >= right.mean() - lost  # so it would be tighter
        for new in itertools.product(range(3), repeat=count):
            assert answers(label, replaced(changed, new)).mean() >= least - 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_the_factor_over_positions_is_the_probability_itself(seed):
    right = answers(by_scores(seed), TEXT)
    assert np.mean([factor(right, (i,)) for i in range(N)]) == pytest.approx(right.mean())


def test_the_mean_of_the_factor_claims_more_than_is_left():
    """Who reads the first word loses it all: beta is 1 there, far above its mean. Without beta the bound holds."""
    right = answers(by_first_word, TEXT)
    mechanism, budget = Ablation(N, KEEP, None), Budget.parse("words:1")
    left = answers(by_first_word, replaced((0,), (1,))).mean()
    claimed = right.mean() - right.mean() * float(mechanism.seen(1))
    assert factor(right, (0,)) == 1
    assert left < claimed - 0.1
    assert left >= float(mechanism.remains(right.mean(), budget)) - 1e-12
