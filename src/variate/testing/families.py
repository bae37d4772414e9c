"""Conformance of a family: its noise, its moments, its densities, its gradients, its sharing, and what a key means."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from scipy import stats
from torch import Tensor, nn

from variate import registry
from variate.options import parse, written
from variate.random import measures
from variate.random.distribution import Family, family_named
from variate.random.fixing import fixed
from variate.random.randomize import randomize
from variate.random.scale import Share
from variate.testing.findings import FALSE_ALARM, Z, conform
from variate.testing.slow import slow_forward

COUNT = 2**16
MEAN, SCALE, PRIOR = 0.5, 0.3, 0.8
KEY, UID = 11, 12
SMALL = (4, 3)  # a tensor whose covariance is looked at whole
KEYS = 2**13
SPACING_BIAS = 0.005  # nats; of the spacing estimate of entropy (Ebrahimi et al. 1994) at this many samples


def check_family(text: str) -> None:
    """Whether a registered family keeps its promises. Raises ``AssertionError`` with everything it does not keep.

    A statistical check finds fault with a correct family with probability 1e-6 each.

    Args:
        text: the family, with options if wished: ``student-t(df=4)``. What it says of itself (its ``form``, whether it
            is ``random``, whether its gradient is ``pathwise``) decides what is expected.

    Example:
        >>> check_family("normal")
    """
    law = family_named(text)[0]
    checks: list[Callable[[Family], Iterator[str]]] = [_forms, _vanishes, _gradients, _repeats]
    if not registry.get("families", parse(text, "a family")[0]).facts["random"]:
        checks += [_deterministic]
    else:
        checks += [_linear, _independence]
        checks += {
            "independent": [_moments, _spacings, _divergence],
            "correlated": [_covariance, _covariance_of_draws],
            "discrete": [_moments, _frequencies],
        }[law.form]
    findings = [finding for check in checks for finding in check(law)]
    if registry.get("families", parse(text, "a family")[0]).facts["random"]:
        findings += [finding for share in law.shares for finding in _network(text, share)]
    conform(f"family {text}", findings)


def _mean(count: int = COUNT) -> Tensor:
    return torch.full((count,), MEAN, dtype=torch.float64)


def _scale(mean: Tensor, scale: float = SCALE) -> Tensor:
    return mean.new_full((), scale)


def _learned(law: Family, mean: Tensor) -> tuple[Tensor, ...]:
    """The learned tensors beside the scale, away from their start, where some of them are 0."""
    start = law.initialize(mean)
    return tuple(t + 0.2 * torch.linspace(-1, 1, t.numel()).sin().view_as(t).to(t) for t in start)


def _draw(law: Family, key: int = KEY, uid: int = UID, scale: float = SCALE) -> Tensor:
    """One draw of equal elements: shape (COUNT,)."""
    mean = _mean()
    return law.sample(law.noise(key, uid, mean), mean, _scale(mean, scale), *law.initialize(mean))


def _forms(law: Family) -> Iterator[str]:
    """Shapes and types for a scalar, a vector, a matrix and a kernel, in single and half precision."""
    for shape in ((), (5,), (3, 4), (2, 3, 2, 2)):
        for dtype in (torch.float32, torch.bfloat16):
            mean = torch.ones(shape, dtype=dtype)
            learned = law.initialize(mean)
            if len(learned) != len(law.learned):
                yield f"initialize returns {len(learned)} tensors for the names {law.learned}"
                return
            scale = _scale(mean)
            tensors = {
                "std": law.std(mean, scale, *learned),
                "sample": law.sample(law.noise(KEY, UID, mean), mean, scale, *learned),
            }
            for what, tensor in tensors.items():
                if tensor.shape != mean.shape or tensor.dtype != dtype:
                    yield f"{what} of {dtype} {shape} is {tensor.dtype} {tuple(tensor.shape)}"
            for name, tensor in zip(law.learned, learned, strict=True):
                if tensor.dtype != dtype:
                    yield f"{name} of {dtype} is {tensor.dtype}"
            for what, total in (
                ("kl", law.kl(mean, scale, *learned, prior_std=PRIOR)),
                ("entropy", law.entropy(mean, scale, *learned)),
            ):
                if total.shape != ():
                    yield f"{what} has shape {tuple(total.shape)}, not that of a scalar"


def _vanishes(law: Family) -> Iterator[str]:
    """A scale of nearly zero gives the mean."""
    farthest = float((_draw(law, scale=1e-12) - MEAN).abs().max())
    if not farthest < 1e-8:
        yield f"with a scale of 1e-12 a draw is {farthest:.3g} away from its mean"


def _gradients(law: Family) -> Iterator[str]:
    """The sample is differentiable in the mean, the scale and the learned tensors."""
    mean = torch.linspace(0.3, 1.5, 12, dtype=torch.float64).view(SMALL)
    noise = law.noise(KEY, UID, mean)
    rest = [torch.full_like(mean, SCALE), *_learned(law, mean)]
    inputs = [mean.requires_grad_(), *(tensor.detach().requires_grad_(law.pathwise) for tensor in rest)]
    try:
        torch.autograd.gradcheck(lambda *tensors: law.sample(noise, *tensors), inputs)
    except (RuntimeError, ValueError) as error:  # GradcheckError is a RuntimeError
        yield f"the gradient of sample is wrong: {str(error).splitlines()[0]}"
    for what in ("entropy", "kl"):
        tensors = [tensor.detach().requires_grad_() for tensor in inputs]
        options = {"prior_std": PRIOR} if what == "kl" else {}
        value = getattr(law, what)(*tensors, **options)
        if value.requires_grad and not torch.autograd.gradcheck(
            lambda *t, what=what, options=options: getattr(law, what)(*t, **options), tensors, raise_exception=False
        ):
            yield f"the gradient of {what} is wrong"


def _repeats(law: Family) -> Iterator[str]:
    """The noise is a pure function of key and uid, and asks nothing of the global generator."""
    state = torch.get_rng_state()
    pairs = zip(law.noise(KEY, UID, _mean()), law.noise(KEY, UID, _mean()), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        yield "the same key and uid give different noise"
    if not torch.equal(state, torch.get_rng_state()):
        yield "noise changes torch's global random state"


def _deterministic(law: Family) -> Iterator[str]:
    """A family without randomness returns the mean and has no spread."""
    if not torch.equal(_draw(law), _mean()):
        yield "it is registered as not random, and a draw is not its mean"
    if float(law.std(_mean(), _scale(_mean())).abs().max()) != 0:
        yield "it is registered as not random, and its std is not zero"


def _linear(law: Family) -> Iterator[str]:
    """``std`` is linear in the scale, over many orders of magnitude."""
    mean = torch.linspace(0.3, 1.5, 12, dtype=torch.float64).view(SMALL)
    learned = _learned(law, mean)
    one = law.std(mean, _scale(mean, 1.0), *learned)
    for scale in (1e-6, 1e-2, 30.0):
        found = law.std(mean, _scale(mean, scale), *learned)
        if not torch.allclose(found, scale * one, rtol=1e-6, atol=0):
            yield f"std is not linear in the scale: at {scale} it is {float((found / one).mean())} of that at 1"


def _moments(law: Family) -> Iterator[str]:
    """The mean and the variance of a draw are those that the family states."""
    std = law.std(_mean(), _scale(_mean()), *law.initialize(_mean()))
    units = (_draw(law) - MEAN) / std
    for what, values in (("mean", units), ("variance", units**2 - 1)):
        z = float(values.mean() / values.std() * math.sqrt(COUNT))
        if not abs(z) < Z:
            yield f"the {what} of a draw is {z:.1f} standard errors away from what it should be"


def _spacings(law: Family) -> Iterator[str]:
    """Entropy against spacings of samples."""
    mean = _mean()
    entropy = float(law.entropy(mean, _scale(mean), *law.initialize(mean))) / COUNT
    estimate = float(stats.differential_entropy(_draw(law).numpy(), method="ebrahimi"))
    if not abs(entropy - estimate) < Z / math.sqrt(COUNT) + SPACING_BIAS:  # log-densities vary by about one nat
        yield f"entropy is {entropy:.4f} nats an element, and its samples say {estimate:.4f}"


def _divergence(law: Family) -> Iterator[str]:
    """KL against -entropy - E log prior, the expectation by Monte Carlo."""
    mean = _mean()
    learned = law.initialize(mean)
    draw = _draw(law)
    prior = -((draw / PRIOR) ** 2) / 2 - math.log(PRIOR * math.sqrt(2 * math.pi))  # log N(0, PRIOR^2)
    entropy = float(law.entropy(mean, _scale(mean), *learned)) / COUNT
    kl = float(law.kl(mean, _scale(mean), *learned, prior_std=PRIOR)) / COUNT
    z = (kl + entropy + float(prior.mean())) / float(prior.std()) * math.sqrt(COUNT)
    if not abs(z) < Z:
        yield f"kl is {z:.1f} standard errors away from its Monte Carlo estimate"


def _frequencies(law: Family) -> Iterator[str]:
    """Entropy of a law with few values against the frequencies of those values."""
    mean = _mean()
    _, counts = _draw(law).unique(return_counts=True)  # type: ignore[no-untyped-call]
    if len(counts) > 16:
        return  # relaxed: its entropy is that of the law it relaxes
    shares = counts.double() / COUNT
    estimate = float(-(shares * shares.log()).sum())
    spread = float((shares * (shares.log() + estimate) ** 2).sum().sqrt())
    entropy = float(law.entropy(mean, _scale(mean), *law.initialize(mean))) / COUNT
    if not abs(entropy - estimate) < Z * spread / math.sqrt(COUNT) + 1 / COUNT:
        yield f"entropy is {entropy:.4f} nats an element, and its samples say {estimate:.4f}"


def _small(law: Family) -> tuple[Tensor, ...]:
    """Mean, scale and learned tensors of a small tensor whose elements are all different."""
    mean = torch.linspace(0.3, 1.5, 12, dtype=torch.float64).view(SMALL)
    return mean, _scale(mean), *_learned(law, mean)


def _covariance(law: Family) -> Iterator[str]:
    """Std, entropy and KL of a law that is linear in Gaussian noise against its whole covariance matrix."""
    mean, scale, *learned = _small(law)
    noise = law.noise(KEY, UID, mean)
    jacobian: Any = torch.autograd.functional.jacobian
    jacobians = jacobian(lambda *n: law.sample(n, mean, scale, *learned), noise)
    root = torch.cat([j.reshape(mean.numel(), -1) for j in jacobians], 1)  # (D, number of noises)
    covariance = root @ root.T  # (D, D)
    if not torch.allclose(law.std(mean, scale, *learned).flatten() ** 2, covariance.diagonal(), rtol=1e-9):
        yield "std is not the root of the covariance's diagonal"
    size = mean.numel()
    entropy = float(covariance.logdet()) / 2 + size * math.log(2 * math.pi * math.e) / 2
    if not math.isclose(float(law.entropy(mean, scale, *learned)), entropy, rel_tol=1e-9):
        yield f"entropy is {float(law.entropy(mean, scale, *learned))}, and its covariance says {entropy}"
    trace = float(covariance.trace() + mean.square().sum())
    kl = trace / (2 * PRIOR**2) + size * math.log(PRIOR * math.sqrt(2 * math.pi)) - entropy
    found = float(law.kl(mean, scale, *learned, prior_std=PRIOR))
    if not math.isclose(found, kl, rel_tol=1e-9):
        yield f"kl is {found}, and its covariance says {kl}"


def _covariance_of_draws(law: Family) -> Iterator[str]:
    """The mean and the variance of every element over keys."""
    mean, scale, *learned = _small(law)
    std = law.std(mean, scale, *learned)
    draws = torch.stack([law.sample(law.noise(key, UID, mean), mean, scale, *learned) for key in range(KEYS)])
    units = (draws - mean) / std  # (S, ...)
    for what, values in (("mean", units), ("variance", units**2 - 1)):
        z = float((values.mean(0) / values.std(0) * math.sqrt(KEYS)).abs().max())
        if not z < Z:
            yield f"the {what} over keys is {z:.1f} standard errors away from what it should be"


def _independence(law: Family) -> Iterator[str]:
    """Other keys and other uids give other, independent noise of the same distribution."""
    first = _draw(law)
    others = {"the next key": (KEY + 1, UID), "the next uid": (KEY, UID + 1), "key and uid exchanged": (UID, KEY)}
    for what, (key, uid) in others.items():
        other = _draw(law, key, uid)
        z = float(torch.corrcoef(torch.stack([first, other]))[0, 1]) * math.sqrt(COUNT)
        if not abs(z) < Z:
            yield f"noise under {what} is correlated: {z:.1f} standard errors"
        if not stats.ks_2samp(first.numpy(), other.numpy()).pvalue > FALSE_ALARM:
            yield f"noise under {what} has another distribution"


def _network(text: str, share: Share) -> Iterator[str]:
    """In a network: drawn as the slow twin says, with and without gradients; saved and loaded; its scales shared."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3))
    name, options = parse(text, "a family")
    net = randomize(module, written(name, {**options, "share": share}), scale=SCALE)
    x = torch.linspace(-1, 1, 10).view(2, 5)
    with fixed(net, KEY):
        found = net(x)
        with torch.no_grad():
            same = net(x)
    expected = slow_forward(net, KEY, x)
    if not torch.allclose(found, expected, atol=1e-4) or not torch.allclose(same, expected, atol=1e-4):
        yield f"shared per {share}, a network's draw is not that of the slow twin"
    gradients = zip(*(torch.autograd.grad(o.sum(), list(net.parameters())) for o in (found, expected)), strict=True)
    if not all(torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in gradients):
        yield f"shared per {share}, a network's gradients are not those of the slow twin"
    other = randomize(nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3)), measures.sites(net)[0].family)
    other.load_state_dict(net.state_dict())
    for copied in (other, copy.deepcopy(net)):
        with fixed(copied, KEY):
            if not torch.equal(copied(x), same):
                yield f"shared per {share}, a network that was saved and loaded, or copied, draws otherwise"
    sizes = {"element": 200, "channel": 40, "tensor": 1, "network": 1}
    rho = measures.scale_parameters(net)[0]
    if rho.numel() != sizes[share]:
        yield f"shared per {share}, a matrix of 40 by 5 has {rho.numel()} scales, not {sizes[share]}"
