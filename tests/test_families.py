import math

import pytest
import torch

from variate import registry
from variate.distribution import family_named
from variate.families.normal import Normal
from variate.samplers import counter
from variate.testing import families
from variate.testing.families import check_family

NAMES = list(registry.entries("families"))


@pytest.mark.parametrize("name", NAMES)
def test_conformance(name):
    check_family(name)


def test_normal_is_mean_plus_softplus_rho_times_the_counter():
    law = family_named("normal")
    mean, rho = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([-1.0, 0.0, 3.0])
    noise = law.noise(5, 6, mean)
    assert torch.equal(noise, counter.normal(5, 6, (3,)))
    expected = mean + torch.log1p(rho.exp()) * noise
    assert torch.allclose(law.sample(noise, mean, rho), expected, atol=1e-6)


@pytest.mark.parametrize(("mean", "std", "prior"), [(0.0, 1.0, 1.0), (0.3, 0.1, 0.5), (-2.0, 3.0, 1.5)])
def test_normal_kl_and_entropy_equal_torch_summed_over_elements(mean, std, prior):
    law = family_named("normal")
    means = torch.full((3, 4), mean, dtype=torch.float64)
    learned = law.initialize(means, std)
    q = torch.distributions.Normal(means, torch.full_like(means, std), validate_args=False)
    p = torch.distributions.Normal(torch.zeros_like(means), torch.full_like(means, prior), validate_args=False)
    kl = torch.distributions.kl_divergence(q, p).sum()
    assert float(law.kl(means, *learned, prior_std=prior)) == pytest.approx(float(kl), rel=1e-9, abs=1e-9)
    assert float(law.entropy(means, *learned)) == pytest.approx(float(q.entropy().sum()), rel=1e-9)


@pytest.mark.parametrize("std", [1e-8, 1e-3, 1.0, 50.0, 1e4])
def test_normal_starts_at_any_scale(std):
    law = family_named("normal")
    (rho,) = law.initialize(torch.zeros(2, dtype=torch.float64), std)
    assert float(law.std(rho, rho)[0]) == pytest.approx(std, rel=1e-9)
    assert math.isfinite(float(rho[0]))


class OneNoiseForAllTensors(Normal):
    def noise(self, key, uid, like):
        return super().noise(key, 0, like)


class NoiseFromTheGlobalGenerator(Normal):
    def noise(self, key, uid, like):
        return torch.randn_like(like)


class OneNoiseForAllKeys(Normal):
    def noise(self, key, uid, like):
        return super().noise(0, uid, like)


class ShortKl(Normal):
    def kl(self, mean, *learned, prior_std):
        return super().kl(mean, *learned, prior_std=prior_std) * 0.98


class ShiftedEntropy(Normal):
    def entropy(self, mean, *learned):
        return super().entropy(mean, *learned) + 0.05 * mean.numel()


class WrongStd(Normal):
    def std(self, mean, *learned):
        return super().std(mean, *learned) * 1.03


class WrongVariance(Normal):
    def sample(self, noise, mean, *learned):
        return super().sample(noise * 1.03, mean, *learned)


class CutGradient(Normal):
    def sample(self, noise, mean, *learned):
        return super().sample(noise, mean, learned[0].detach())


class DefaultPrecision(Normal):
    def noise(self, key, uid, like):
        return counter.normal(key, uid, like.shape)


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        (OneNoiseForAllTensors, "next uid is correlated"),
        (OneNoiseForAllKeys, "next key is correlated"),
        (NoiseFromTheGlobalGenerator, "different noise"),
        (ShortKl, "kl is"),
        (ShiftedEntropy, "entropy is"),
        (WrongStd, "gives std"),
        (WrongVariance, "the variance of a draw"),
        (CutGradient, "gradient of sample is wrong"),
        (DefaultPrecision, "noise of torch.bfloat16"),
    ],
)
def test_the_conformance_suite_finds_what_is_broken(broken, finding, monkeypatch):
    monkeypatch.setattr(families, "family_named", lambda name: broken())
    with pytest.raises(AssertionError, match=finding):
        check_family("normal")


def test_a_fixed_family_must_not_move(monkeypatch):
    monkeypatch.setattr(families, "family_named", lambda name: Normal())
    with pytest.raises(AssertionError, match="registered as not random"):
        check_family("fixed")
