import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from scipy import integrate, stats
from torch import nn

from variate import registry
from variate.errors import UsageError
from variate.random.distribution import family_named
from variate.random.families.lowrank_normal import LowrankNormal
from variate.random.families.normal import Normal
from variate.random.noise import counter
from variate.random.randomize import randomize
from variate.testing import families
from variate.testing.families import check_family
from variate.testing.findings import FALSE_ALARM

NAMES = list(registry.entries("families"))
OPTIONS = ["student-t(df=8)", "bernoulli(relaxed=0.5)", "bernoulli(relaxed=1)", "lowrank-normal(rank=3)"]
OPTIONS += [f"binomial(bits={bits})" for bits in (1, 2, 8)] + ["binomial(gradient=straight-through)"]
OPTIONS += ["modes(count=1)", "modes(count=3, around=fixed)", "modes(count=3, probabilities=learned, apart=1)"]
N = 2**17
MEAN, SCALE = -0.7, 0.4


@pytest.mark.parametrize("text", [*NAMES, *OPTIONS])
def test_conformance(text):
    check_family(text)


def half_and_half(split):
    between, within = math.sqrt(1 / (1 + math.exp(-split))), math.sqrt(1 / (1 + math.exp(split)))
    return lambda x: sum(stats.norm.cdf((x - MEAN) / SCALE, sign * between, within) for sign in (-1, 1)) / 2


TAU = math.sqrt(math.log1p(SCALE**2))
CDFS = {
    "normal": stats.norm(MEAN, SCALE).cdf,
    "laplace": stats.laplace(MEAN, SCALE / math.sqrt(2)).cdf,
    "uniform": stats.uniform(MEAN - SCALE * math.sqrt(3), 2 * SCALE * math.sqrt(3)).cdf,
    "logistic": stats.logistic(MEAN, SCALE * math.sqrt(3) / math.pi).cdf,
    "student-t": stats.t(5, MEAN, SCALE * math.sqrt(3 / 5)).cdf,
    "student-t(df=3)": stats.t(3, MEAN, SCALE * math.sqrt(1 / 3)).cdf,
    "lognormal": lambda x: stats.lognorm(TAU, scale=-MEAN * math.exp(-(TAU**2) / 2)).sf(-x),
    "mixture": half_and_half(0.0),
    "lowrank-normal": stats.norm(MEAN, SCALE).cdf,
}


def sample(text, key=3, count=N):
    distribution, _ = family_named(text)
    mean = torch.full((count,), MEAN, dtype=torch.float64)
    return distribution.sample(
        distribution.noise(key, 4, mean), mean, mean.new_full((), SCALE), *distribution.initialize(mean)
    ).numpy()


@pytest.mark.parametrize("text", CDFS)
def test_draws_have_the_distribution_that_scipy_says(text):
    draws, cdf = sample(text), CDFS[text]
    assert stats.kstest(draws, cdf).pvalue > FALSE_ALARM
    for far in (2.5, 4.0):  # in standard deviations, on both sides
        expected = cdf(MEAN - far * SCALE) + 1 - cdf(MEAN + far * SCALE)
        found = int((abs(draws - MEAN) > far * SCALE).sum())
        assert stats.binomtest(found, N, min(max(expected, 0), 1)).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("text", "density"),
    [
        ("normal", stats.norm(MEAN, SCALE).pdf),
        ("laplace", stats.laplace(MEAN, SCALE / math.sqrt(2)).pdf),
        ("uniform", stats.uniform(MEAN - SCALE * math.sqrt(3), 2 * SCALE * math.sqrt(3)).pdf),
        ("logistic", stats.logistic(MEAN, SCALE * math.sqrt(3) / math.pi).pdf),
        ("student-t", stats.t(5, MEAN, SCALE * math.sqrt(3 / 5)).pdf),
        ("lognormal", lambda x: stats.lognorm(TAU, scale=-MEAN * math.exp(-(TAU**2) / 2)).pdf(-x)),
        (
            "mixture",
            lambda x: sum(
                stats.norm.pdf(x, MEAN + s * SCALE * math.sqrt(0.5), SCALE * math.sqrt(0.5)) / 2 for s in (-1, 1)
            ),
        ),
    ],
)
@pytest.mark.parametrize("prior", [0.5, 2.0])
def test_entropy_and_kl_equal_quadrature(text, density, prior):
    def nats(x, against):
        q = density(x)
        return q * against(x, q) if q > 0 else 0.0

    edges = sorted(
        [MEAN - SCALE * math.sqrt(3), MEAN, MEAN + SCALE * math.sqrt(3), -1e-9]
    )  # where densities have kinks
    ends = [MEAN - 60 * SCALE, *edges, MEAN + 60 * SCALE]

    def integral(against):
        parts = itertools.pairwise(ends)
        return sum(integrate.quad(nats, a, b, args=(against,), limit=400)[0] for a, b in parts)

    distribution, _ = family_named(text)
    mean = torch.full((2, 3), MEAN, dtype=torch.float64)
    scale, learned = mean.new_full((), SCALE), distribution.initialize(mean)
    entropy = integral(lambda x, q: -math.log(q))
    kl = integral(lambda x, q: math.log(q) - stats.norm.logpdf(x, 0, prior))
    heavy = 1e-3 if text == "student-t" else 1e-6  # the integral is cut off at 60 standard deviations
    assert float(distribution.entropy(mean, scale, *learned)) == pytest.approx(6 * entropy, rel=heavy, abs=heavy)
    assert float(distribution.kl(mean, scale, *learned, prior_std=prior)) == pytest.approx(6 * kl, rel=heavy, abs=heavy)


@pytest.mark.parametrize("split", [-6.0, -1.0, 2.0, 6.0])
def test_the_mixtures_entropy_equals_quadrature_from_one_bell_to_two_spikes(split):
    between, within = math.sqrt(1 / (1 + math.exp(-split))), math.sqrt(1 / (1 + math.exp(split)))

    def nats(x):
        q = (stats.norm.pdf(x, between, within) + stats.norm.pdf(x, -between, within)) / 2
        return -q * math.log(q) if q > 0 else 0.0

    expected = 2 * integrate.quad(nats, 0, 12, points=[between], limit=400)[0]
    distribution, _ = family_named("mixture")
    mean = torch.zeros(1, dtype=torch.float64)
    found = distribution.entropy(mean, mean.new_ones(()), mean.new_full((), split))
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("relaxed", [0.0, 0.4, 1.0])
def test_dropped_weights_keep_mean_and_variance(relaxed, scale):
    distribution, _ = family_named(f"bernoulli(relaxed={relaxed})")
    mean = torch.full((N,), MEAN, dtype=torch.float64)
    draws = distribution.sample(distribution.noise(3, 4, mean), mean, mean.new_full((), scale))
    keep = float(distribution.keep(mean.new_full((), scale)))
    assert 0 < keep < 1
    for values in (draws / MEAN - 1, (draws / MEAN - 1) ** 2 - scale**2):
        assert abs(float(values.mean())) < 4.9 * float(values.std()) / math.sqrt(N) + 1e-12
    if relaxed == 0:
        assert sorted(draws.unique().tolist()) == pytest.approx([MEAN / keep, 0.0])
        prior, kept = 0.8, mean[:5]
        mask = math.log(2) + keep * math.log(keep) + (1 - keep) * math.log(1 - keep)  # KL from a fair coin
        expected = 5 * (mask + (keep * (MEAN / keep) ** 2) / (2 * prior**2))
        assert float(distribution.kl(kept, kept.new_full((), scale), prior_std=prior)) == pytest.approx(expected)


def test_a_straight_through_gradient_reaches_the_scale():
    distribution, _ = family_named("bernoulli")
    mean, scale = torch.ones(100), torch.tensor(0.5, requires_grad=True)
    distribution.sample(distribution.noise(1, 2, mean), mean, scale).sum().backward()
    assert bool(scale.grad.isfinite())
    assert float(scale.grad) != 0


def test_normal_is_mean_plus_scale_times_the_counter():
    distribution, _ = family_named("normal")
    mean, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 0.1, 3.0])
    noise = distribution.noise(5, 6, mean)
    assert torch.equal(noise[0], counter.noise("normal", 5, 6, (3,)))
    assert torch.allclose(distribution.sample(noise, mean, scale), mean + scale * noise[0], atol=1e-6)


def net_of(text, **options):
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)), text, **options)


def rms(tensor):
    return float(tensor.detach().double().square().mean().sqrt())


@pytest.mark.parametrize("text", [name for name in NAMES if name != "fixed"])
def test_every_tensor_starts_at_the_scale_that_was_asked(text):
    net = net_of(text, scale=0.2)
    sizes = net.sizes()
    for name, std in net.stds().items():
        if family_named(text)[0].on_grid:  # a grid of few values has noise of its own
            assert rms(std) > 0.2 * float(sizes[name])
        else:
            assert rms(std) == pytest.approx(0.2 * float(sizes[name]), rel=2e-2 if "matrix" in text else 1e-4)


@pytest.mark.parametrize("share", ["element", "channel", "tensor", "network"])
def test_a_held_ratio_holds_whatever_is_learned(share):
    net = net_of("normal", share=share, snr=4.0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.linspace(-1, 2, parameter.numel()).view_as(parameter))
    sizes = net.sizes()
    for name, std in net.stds().items():
        assert rms(std) == pytest.approx(float(sizes[name]) / 4, rel=1e-4)


@pytest.mark.parametrize("share", ["element", "channel", "tensor", "network"])
def test_a_floor_stands_when_the_scales_collapse(share):
    net = net_of("laplace", share=share, floor=0.05)
    with torch.no_grad():
        for scale in net.scale_parameters():
            scale.fill_(-100.0)
    sizes = net.sizes()
    for name, std in net.stds().items():
        assert torch.allclose(std, torch.full_like(std, 0.05 * float(sizes[name])), rtol=1e-4)


def test_one_scale_for_the_network_is_one_parameter_in_units_of_each_tensor():
    net = net_of("normal", share="network", scale=0.2)
    assert [tuple(parameter.shape) for parameter in net.scale_parameters()] == [()]
    assert "network_rho" in net.state_dict()
    with torch.no_grad():
        net.scale_parameters()[0].add_(1.0)
    stds, sizes = net.stds(), net.sizes()
    ratios = [rms(stds[name]) / float(sizes[name]) for name in stds]
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-5)
    assert ratios[0] > 0.25


def test_channels_of_a_transposed_convolution_are_its_second_dimension():
    net = randomize(nn.ConvTranspose2d(2, 3, 3), share="channel")
    assert tuple(net.weight_rho.shape) == (1, 3, 1, 1)
    assert tuple(randomize(nn.Conv2d(2, 3, 3), share="channel").weight_rho.shape) == (3, 1, 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("student-t(df=2)", "has no variance"),
        ("student-t(df=heavy)", "has no variance"),
        ("bernoulli(relaxed=2)", "relaxed is 2.0"),
        ("lowrank-normal(rank=0)", "rank"),
        ("normal(share=layer)", "shared per 'layer'"),
        ("normal(floor=-1)", "floor is -1.0"),
        ("normal(snr=nan)", "snr is nan"),
        ("matrix-normal(share=element)", "cannot share its scale per element"),
        ("normal(flor=1)", "did you mean 'floor'"),
        ("fixed(share=tensor)", "no option of fixed named 'share'"),
        ("normal(0.5)", "has no value"),
        ("nor mal", "not a family"),
    ],
)
def test_options_that_make_no_sense(text, message):
    with pytest.raises(UsageError, match=message):
        randomize(nn.Linear(2, 2), text)


def test_all_that_is_wrong_is_said_at_once():
    module = nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(2))
    with pytest.raises(Exception, match="cannot be made random") as caught:
        randomize(module, {"0.*": "student-t(df=1)", "2.*": "fixed"}, scale=-1, floor=-2)
    for part in ("df=1", "scale of -1", "floor is -2", "1.weight is not initialized", "'2.*' matches no parameter"):
        assert any(part in finding for finding in caught.value.findings), part


def test_options_of_a_pattern_come_before_those_of_all():
    net = randomize(nn.Linear(6, 8), {"weight": "laplace(share=tensor, scale=0.5)"}, share="channel", scale=0.1)
    families = {site.name: site.family for site in net.sites}
    assert families == {"weight": "laplace(share=tensor, scale=0.5)", "bias": "normal(share=channel)"}
    assert rms(net.stds()["weight"]) == pytest.approx(0.5 * float(net.sizes()["weight"]), rel=1e-4)


@dataclass(frozen=True)
class OneNoiseForAllTensors(Normal):
    def noise(self, key, uid, like):
        return super().noise(key, 0, like)


@dataclass(frozen=True)
class NoiseFromTheGlobalGenerator(Normal):
    def noise(self, key, uid, like):
        return (torch.randn_like(like),)


@dataclass(frozen=True)
class OneNoiseForAllKeys(Normal):
    def noise(self, key, uid, like):
        return super().noise(0, uid, like)


@dataclass(frozen=True)
class ShortKl(Normal):
    def kl(self, mean, scale, *learned, prior_std):
        return super().kl(mean, scale, *learned, prior_std=prior_std) * 0.98


@dataclass(frozen=True)
class ShiftedEntropy(Normal):
    def entropy(self, mean, scale, *learned):
        return super().entropy(mean, scale, *learned) + 0.05 * mean.numel()


@dataclass(frozen=True)
class CurvedStd(Normal):
    def std(self, mean, scale, *learned):
        return super().std(mean, scale, *learned) ** 1.01


@dataclass(frozen=True)
class WrongVariance(Normal):
    def sample(self, noise, mean, scale, *learned):
        return super().sample((noise[0] * 1.03,), mean, scale, *learned)


@dataclass(frozen=True)
class CutGradient(Normal):
    def sample(self, noise, mean, scale, *learned):
        return super().sample(noise, mean, scale.detach(), *learned)


@dataclass(frozen=True)
class DoublePrecision(Normal):
    def sample(self, noise, mean, scale, *learned):
        return super().sample(noise, mean, scale, *learned).double()


@dataclass(frozen=True)
class ForgottenFactor(LowrankNormal):
    def entropy(self, mean, scale, *learned):
        return super().entropy(mean, scale, torch.zeros_like(learned[0]))


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        (OneNoiseForAllTensors, "next uid is correlated"),
        (OneNoiseForAllKeys, "next key is correlated"),
        (NoiseFromTheGlobalGenerator, "different noise"),
        (ShortKl, "kl is"),
        (ShiftedEntropy, "entropy is"),
        (CurvedStd, "std is not linear"),
        (WrongVariance, "the variance of a draw"),
        (CutGradient, "gradient of sample is wrong"),
        (DoublePrecision, "sample of torch.bfloat16"),
        (ForgottenFactor, "its covariance gives"),
    ],
)
def test_the_conformance_suite_finds_what_is_broken(broken, finding, monkeypatch):
    monkeypatch.setattr(families, "family_named", lambda text: (broken(), None))
    with pytest.raises(AssertionError, match=finding):
        check_family("normal")


def test_a_fixed_family_must_not_move(monkeypatch):
    monkeypatch.setattr(families, "family_named", lambda text: (Normal(), None))
    with pytest.raises(AssertionError, match="registered as not random"):
        check_family("fixed")
