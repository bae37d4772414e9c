"""Budgets of sound are in amplitudes, twice as large as the change of an input: proofs are in the same unit."""

import numpy as np
import pytest
import torch
from torch import nn

from variate.certificates.certify import certify
from variate.certificates.subject import mechanism_of
from variate.evaluation.evaluate import evaluate
from variate.inputs.budget import Budget
from variate.inputs.modalities.audio import Audio
from variate.inputs.modality import modality_of
from variate.random.input_noise import Shift
from variate.random.randomize import randomize

SOUND = Audio(rate=8000)
P = np.array([0.6, 0.9])


def clips(count=8):
    return torch.rand(count, 1, 16, generator=torch.Generator().manual_seed(0))


def noisy(family):
    torch.manual_seed(0)
    plain = nn.Sequential(Shift((1, 16)), nn.Flatten(), nn.Linear(16, 2))
    return randomize(plain, {"0.bias": family, "*": "fixed"})


@pytest.mark.parametrize(("family", "norm"), [("normal(scale=0.25, learn=no)", "l2"), ("uniform(scale=0.25)", "l1")])
def test_noise_proves_twice_the_radius_in_amplitudes(family, norm):
    mechanism = mechanism_of(noisy(family), clips())
    sound, image = (mechanism.on(modality_of(kind)) for kind in (SOUND, "image"))
    np.testing.assert_allclose(sound.radius(P, norm), 2 * image.radius(P, norm))
    one, two = Budget.parse(f"{norm}:0.02"), Budget.parse(f"{norm}:0.01")
    np.testing.assert_allclose(sound.remains(P, one), image.remains(P, two))
    assert sound.probability(one) == pytest.approx(image.probability(two))
    assert "unit of the budgets" in sound.sentence()
    assert "unit" not in image.sentence()
    assert sound.on(SOUND).radius(P, norm) == pytest.approx(sound.radius(P, norm))  # once, however often it is asked


def test_an_interval_proof_within_amplitudes_reaches_as_far_as_an_attack():
    """One value of weight 1 and a gap of 0.1: the answer changes at 0.1 of an input, which is 0.2 of amplitude."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].weight[0, 0] = 1.0
        network[1].bias.copy_(torch.tensor([-0.4, 0.0]))
    x, y = torch.full((2, 1, 16), 0.5), torch.zeros(2, dtype=torch.long)
    proof = certify(network, x, y, radii=[0.19, 0.21], norm="linf", mechanism="interval", modality=SOUND)
    assert [row.rate for row in proof.rows if row.deployment == "vote"] == [1.0, 0.0]
    assert Budget.parse("linf:0.21").eps / SOUND.unit > 0.1


def test_the_unit_is_that_of_an_attack():
    """What a modality says of its unit is what its budgets allow: a change of one value by the budget over it."""
    for kind in (SOUND, modality_of("image"), modality_of("tabular")):
        x = torch.full((1, 1, 16), 0.25) if kind is SOUND else torch.full((1, 16), 0.25)
        moved = x.clone()
        moved.flatten()[3] += 0.1
        for norm in ("linf", "l2"):
            reach = kind.reach(x, Budget.parse(f"{norm}:0.5"))
            assert float(reach.distance(moved)) == pytest.approx(0.1 * kind.unit, rel=1e-5)


def test_the_bound_by_population_is_in_amplitudes_too():
    net, x, y = noisy("normal(scale=0.25, learn=no)"), clips(40), torch.zeros(40, dtype=torch.long)
    options = {"attacks": ["noise"], "draws": 2, "verdict_draws": 32}
    sound = evaluate(net, x, y, budget="l2:0.2", modality=SOUND, **options)
    image = evaluate(net, x, y, budget="l2:0.1", **options)
    assert [row.proved.rate for row in sound.proved] == [row.proved.rate for row in image.proved]
    assert 0 < sound.proved[0].proved.rate < 1
