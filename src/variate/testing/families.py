"""Conformance suite for families: noise, moments, densities, gradients, shared scales and keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from variate import registry
from variate.options import parse
from variate.random.distribution import Family, family_named
from variate.testing.family_modes import mode_findings
from variate.testing.family_networks import network_findings
from variate.testing.findings import FALSE_ALARM, Z, conform

COUNT = 2**16
MEAN, SCALE, PRIOR = 0.5, 0.3, 0.8
KEY, UID = 11, 12
SMALL = (4, 3)  # shape of a tensor whose full covariance is checked
KEYS = 2**13
SPACING_BIAS = 0.005  # nats; bias of the spacing estimate of entropy (Ebrahimi et al. 1994) at this sample size


def check_family(text: str) -> None:
    """Check that a registered family conforms. Raises ``AssertionError`` with every violation.

    Each statistical check rejects a correct family with probability 1e-6.

    Args:
        text: the family, with options if any: ``student-t(df=4)``. Its ``form``, its fact ``random`` and whether its
            gradient is ``pathwise`` decide what is expected.

    Example:
        >>> check_family("normal")
    """
    family = family_named(text)[0]
    checks: list[Callable[[Family], Iterator[str]]] = [_forms, _vanishes, _repeats]
    checks += [_estimates] if family.on_grid else [_gradients]
    if not registry.get("families", parse(text, "a family")[0]).facts["random"]:
        checks += [_deterministic]
    else:
        checks += [_linear]
        checks += {
            "independent": [_independence, _moments, _spacings, _divergence],
            "correlated": [_independence, _covariance, _covariance_of_draws],
            "discrete": [_independence, _moments, _frequencies],
            "modes": [_covariance_of_draws, lambda family: mode_findings(family, *_small(family), prior=PRIOR)],
        }[family.form]
    findings = [finding for check in checks for finding in check(family)]
    if registry.get("families", parse(text, "a family")[0]).facts["random"]:
        findings += [
            finding for share in family.shares for finding in network_findings(text, share, key=KEY, scale=SCALE)
        ]
    conform(f"family {text}", findings)


def _mean(family: Family, count: int = COUNT) -> Tensor:
    """Equal means; those of a family on a grid are on it."""
    mean = torch.full((count,), MEAN if not family.on_grid else MEAN * SCALE, dtype=torch.float64)
    return family.center(mean, _scale(mean))


def _scale(mean: Tensor, scale: float = SCALE) -> Tensor:
    return mean.new_full((), scale)


def _start(family: Family, mean: Tensor, scale: float = SCALE) -> tuple[Tensor, ...]:
    """The initial values of the learned tensors other than the scale, for a scale."""
    return family.in_units(_scale(mean, scale), *family.initialize(mean))


def _learned(family: Family, mean: Tensor) -> tuple[Tensor, ...]:
    """The learned tensors other than the scale, away from their initial values, some of which are 0."""
    start = family.initialize(mean)
    return tuple(t + 0.2 * torch.linspace(-1, 1, t.numel()).sin().view_as(t).to(t) for t in start)


def _draw(family: Family, key: int = KEY, uid: int = UID, scale: float = SCALE) -> Tensor:
    """One draw of equal elements: shape (COUNT,)."""
    mean = _mean(family)
    return family.sample(family.noise(key, uid, mean), mean, _scale(mean, scale), *_start(family, mean, scale))


def _forms(family: Family) -> Iterator[str]:
    """Shapes and dtypes for a scalar, a vector, a matrix and a kernel, in single and half precision."""
    for shape in ((), (5,), (3, 4), (2, 3, 2, 2)):
        for dtype in (torch.float32, torch.bfloat16):
            mean = torch.ones(shape, dtype=dtype)
            learned = family.initialize(mean)
            if len(learned) != len(family.learned):
                yield f"initialize returns {len(learned)} tensors for the names {family.learned}"
                return
            scale = _scale(mean)
            tensors = {
                "std": family.std(mean, scale, *learned),
                "sample": family.sample(family.noise(KEY, UID, mean), mean, scale, *learned),
            }
            for what, tensor in tensors.items():
                if tensor.shape != mean.shape or tensor.dtype != dtype:
                    yield f"{what} of {dtype} {shape} is {tensor.dtype} {tuple(tensor.shape)}"
            for name, tensor in zip(family.learned, learned, strict=True):
                if tensor.dtype != dtype:
                    yield f"{name} of {dtype} is {tensor.dtype}"
            for what, total in (
                ("kl", family.kl(mean, scale, *learned, prior_std=PRIOR)),
                ("entropy", family.entropy(mean, scale, *learned)),
            ):
                if total.shape != ():
                    yield f"{what} has shape {tuple(total.shape)}, expected a scalar"


def _vanishes(family: Family) -> Iterator[str]:
    """With a scale of almost zero, a draw is the mean; on a grid, no draw is larger than the scale."""
    draw = _draw(family, scale=1e-12)
    farthest = float((draw if family.on_grid else draw - _mean(family)).abs().max())
    if not farthest < 1e-8:
        yield f"with a scale of 1e-12 a draw is {farthest:.3g} away from its mean"


def _gradients(family: Family) -> Iterator[str]:
    """Gradients of sample, entropy and KL with respect to the mean, the scale and the learned tensors are right."""
    mean = torch.linspace(0.3, 1.5, 12, dtype=torch.float64).view(SMALL)
    noise = family.noise(KEY, UID, mean)
    rest = [torch.full_like(mean, SCALE), *_learned(family, mean)]
    inputs = [mean.requires_grad_(), *(tensor.detach().requires_grad_(family.pathwise) for tensor in rest)]
    try:
        torch.autograd.gradcheck(lambda *tensors: family.sample(noise, *tensors), inputs)
    except (RuntimeError, ValueError) as error:  # GradcheckError is a RuntimeError
        yield f"the gradient of sample is wrong: {str(error).splitlines()[0]}"
    for what in ("entropy", "kl"):
        tensors = [tensor.detach().requires_grad_() for tensor in inputs]
        options = {"prior_std": PRIOR} if what == "kl" else {}
        value = getattr(family, what)(*tensors, **options)
        if value.requires_grad and not torch.autograd.gradcheck(
            lambda *t, what=what, options=options: getattr(family, what)(*t, **options), tensors, raise_exception=False
        ):
            yield f"the gradient of {what} is wrong"


def _estimates(family: Family) -> Iterator[str]:
    """Gradients of a draw on a grid are, on average over the noise, those of its mean; and differ from draw to draw."""
    mean, draws = _mean(family).requires_grad_(), family.noise(KEY, UID, _mean(family))
    scale = _scale(mean).expand(COUNT).clone().requires_grad_()
    found = torch.autograd.grad(family.sample(draws, mean, scale).sum(), (mean, scale))
    expected = torch.autograd.grad(family.center(mean, scale).sum(), (mean, scale))
    for what, own, true in zip(("mean", "scale"), found, expected, strict=True):
        off, error = float((own - true).mean()), float(own.std()) / math.sqrt(COUNT)
        if not abs(off) <= Z * error + 1e-9:
            yield f"the gradient of a draw with respect to the {what} is {off / error:.1f} standard errors off"
    if not float(found[1].std()) > 0:
        yield "the gradient of a draw with respect to the scale does not depend on the draw"


def _repeats(family: Family) -> Iterator[str]:
    """The noise is a pure function of key and uid, and does not use the global generator."""
    state = torch.get_rng_state()
    mean = _mean(family)
    pairs = zip(family.noise(KEY, UID, mean), family.noise(KEY, UID, mean), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        yield "the same key and uid give different noise"
    if not torch.equal(state, torch.get_rng_state()):
        yield "noise changes torch's global random state"


def _deterministic(family: Family) -> Iterator[str]:
    """A family without randomness returns the mean and has no spread."""
    mean = _mean(family)
    if not torch.equal(_draw(family), mean):
        yield "it is registered as not random, but a draw differs from its mean"
    if float(family.std(mean, _scale(mean)).abs().max()) != 0:
        yield "it is registered as not random, but its std is not zero"


def _linear(family: Family) -> Iterator[str]:
    """``std`` is linear in the scale and what is in its units, over many orders of magnitude.

    On a grid, the mean is in its units too.
    """
    mean = torch.linspace(0.3, 1.5, 12, dtype=torch.float64).view(SMALL)
    learned = _learned(family, mean)
    unit_std = family.std(mean, _scale(mean, 1.0), *learned)
    for scale in (1e-6, 1e-2, 30.0):
        means = mean * scale if family.on_grid else mean
        std = family.std(means, _scale(mean, scale), *family.in_units(_scale(mean, scale), *learned))
        if not torch.allclose(std, scale * unit_std, rtol=1e-6, atol=0):
            yield f"std is not linear in the scale: at {scale} it is {float((std / unit_std).mean())} times that at 1"


def _moments(family: Family) -> Iterator[str]:
    """The mean and the variance of a draw agree with the ones the family states."""
    mean = _mean(family)
    std = family.std(mean, _scale(mean), *_start(family, mean))
    units = (_draw(family) - mean) / std
    for what, values in (("mean", units), ("variance", units**2 - 1)):
        z = float(values.mean() / values.std() * math.sqrt(COUNT))
        if not abs(z) < Z:
            yield f"the {what} of a draw is {z:.1f} standard errors away from what it should be"


def _spacings(family: Family) -> Iterator[str]:
    """The entropy agrees with an estimate from the spacings of samples."""
    mean = _mean(family)
    entropy = float(family.entropy(mean, _scale(mean), *_start(family, mean))) / COUNT
    estimate = float(stats.differential_entropy(_draw(family).numpy(), method="ebrahimi"))
    if not abs(entropy - estimate) < Z / math.sqrt(COUNT) + SPACING_BIAS:  # log-densities vary by about one nat
        yield f"entropy is {entropy:.4f} nats per element, but its samples give {estimate:.4f}"


def _divergence(family: Family) -> Iterator[str]:
    """The KL agrees with -entropy - E log prior, with the expectation by Monte Carlo."""
    mean = _mean(family)
    learned = family.initialize(mean)
    draw = _draw(family)
    prior = -((draw / PRIOR) ** 2) / 2 - math.log(PRIOR * math.sqrt(2 * math.pi))  # log N(0, PRIOR^2)
    entropy = float(family.entropy(mean, _scale(mean), *learned)) / COUNT
    kl = float(family.kl(mean, _scale(mean), *learned, prior_std=PRIOR)) / COUNT
    z = (kl + entropy + float(prior.mean())) / float(prior.std()) * math.sqrt(COUNT)
    if not abs(z) < Z:
        yield f"kl is {z:.1f} standard errors away from its Monte Carlo estimate"


def _frequencies(family: Family) -> Iterator[str]:
    """The entropy of a discrete family agrees with the frequencies of its values."""
    mean = _mean(family)
    _, counts = _draw(family).unique(return_counts=True)  # type: ignore[no-untyped-call]
    if len(counts) > 16:
        return  # a relaxation: its entropy is that of the family it relaxes
    shares = counts.double() / COUNT
    estimate = float(-(shares * shares.log()).sum())
    spread = float((shares * (shares.log() + estimate) ** 2).sum().sqrt())
    entropy = float(family.entropy(mean, _scale(mean), *_start(family, mean))) / COUNT
    if not abs(entropy - estimate) < Z * spread / math.sqrt(COUNT) + 1 / COUNT:
        yield f"entropy is {entropy:.4f} nats per element, but its samples give {estimate:.4f}"


def _small(family: Family) -> tuple[Tensor, ...]:
    """Mean, scale and learned tensors of a small tensor whose elements are all different."""
    mean = torch.linspace(0.3, 1.5, 12, dtype=torch.float64).view(SMALL)
    return mean, _scale(mean), *_learned(family, mean)


def _covariance(family: Family) -> Iterator[str]:
    """Std, entropy and KL of a family that is linear in Gaussian noise agree with its full covariance matrix."""
    mean, scale, *learned = _small(family)
    noise = family.noise(KEY, UID, mean)
    jacobian: Any = torch.autograd.functional.jacobian
    jacobians = jacobian(lambda *n: family.sample(n, mean, scale, *learned), noise)
    root = torch.cat([j.reshape(mean.numel(), -1) for j in jacobians], 1)  # (D, number of noises)
    covariance = root @ root.T  # (D, D)
    if not torch.allclose(family.std(mean, scale, *learned).flatten() ** 2, covariance.diagonal(), rtol=1e-9):
        yield "std is not the root of the covariance's diagonal"
    size = mean.numel()
    entropy = float(covariance.logdet()) / 2 + size * math.log(2 * math.pi * math.e) / 2
    if not math.isclose(float(family.entropy(mean, scale, *learned)), entropy, rel_tol=1e-9):
        yield f"entropy is {float(family.entropy(mean, scale, *learned))}, but its covariance gives {entropy}"
    trace = float(covariance.trace() + mean.square().sum())
    kl = trace / (2 * PRIOR**2) + size * math.log(PRIOR * math.sqrt(2 * math.pi)) - entropy
    stated = float(family.kl(mean, scale, *learned, prior_std=PRIOR))
    if not math.isclose(stated, kl, rel_tol=1e-9):
        yield f"kl is {stated}, but its covariance gives {kl}"


def _covariance_of_draws(family: Family) -> Iterator[str]:
    """The mean and the variance of every element over keys agree with the ones the family states."""
    mean, scale, *learned = _small(family)
    std = family.std(mean, scale, *learned)
    draws = family.samples([family.noise(key, UID, mean) for key in range(KEYS)], mean, scale, *learned)  # (S, ...)
    units = (draws - mean) / std  # (S, ...)
    for what, values in (("mean", units), ("variance", units**2 - 1)):
        z = float((values.mean(0) / values.std(0) * math.sqrt(KEYS)).abs().max())
        if not z < Z:
            yield f"the {what} over keys is {z:.1f} standard errors away from what it should be"


def _independence(family: Family) -> Iterator[str]:
    """Different keys and uids give different, independent noise with the same distribution."""
    first = _draw(family)
    others = {"the next key": (KEY + 1, UID), "the next uid": (KEY, UID + 1), "key and uid exchanged": (UID, KEY)}
    for what, (key, uid) in others.items():
        other = _draw(family, key, uid)
        z = float(torch.corrcoef(torch.stack([first, other]))[0, 1]) * math.sqrt(COUNT)
        if not abs(z) < Z:
            yield f"noise under {what} is correlated: {z:.1f} standard errors"
        if not stats.ks_2samp(first.numpy(), other.numpy()).pvalue > FALSE_ALARM:
            yield f"noise under {what} has a different distribution"
