"""Conformance of a family: its noise, its moments, its densities, its gradients, and what a key means."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from scipy import stats
from torch import Tensor

from variate import registry
from variate.distribution import Family, family_named
from variate.testing.findings import FALSE_ALARM, Z, conform

COUNT = 2**16
MEAN, STD, PRIOR = 0.5, 0.3, 0.8
KEY, UID = 11, 12
SPACING_BIAS = 0.005  # nats; of the spacing estimate of entropy (Ebrahimi et al. 1994) at this many samples


def check_family(name: str) -> None:
    """Whether a registered family keeps its promises. Raises ``AssertionError`` with everything it does not keep.

    A statistical check finds fault with a correct family with probability 1e-6 each.

    Args:
        name: of the family; its fact ``random`` decides what is expected.

    Example:
        >>> check_family("normal")
    """
    law = family_named(name)
    random = registry.get("families", name).facts["random"]
    checks = [_forms, _vanishes, _gradients, _repeats]
    checks += [_moments, _scale, _densities, _independence] if random else [_deterministic]
    conform(f"family {name}", [finding for check in checks for finding in check(law)])


def _mean(count: int = COUNT) -> Tensor:
    return torch.full((count,), MEAN, dtype=torch.float64)


def _draw(law: Family, key: int = KEY, uid: int = UID, std: float = STD) -> Tensor:
    """One draw of equal elements: shape (COUNT,)."""
    mean = _mean()
    return law.sample(law.noise(key, uid, mean), mean, *law.initialize(mean, std))


def _forms(law: Family) -> Iterator[str]:
    """Shapes and types for a scalar, a vector and a matrix, in single and half precision."""
    for shape in ((), (5,), (3, 4)):
        for dtype in (torch.float32, torch.bfloat16):
            mean = torch.ones(shape, dtype=dtype)
            learned = law.initialize(mean, STD)
            if len(learned) != len(law.learned):
                yield f"initialize returns {len(learned)} tensors for the names {law.learned}"
            noise = law.noise(KEY, UID, mean)
            tensors = {"noise": noise, "std": law.std(mean, *learned), "sample": law.sample(noise, mean, *learned)}
            for what, tensor in [*tensors.items(), *zip(law.learned, learned, strict=False)]:
                if tensor.shape != mean.shape or tensor.dtype != dtype:
                    yield f"{what} of {dtype} {shape} is {tensor.dtype} {tuple(tensor.shape)}"
            for what, total in (
                ("kl", law.kl(mean, *learned, prior_std=PRIOR)),
                ("entropy", law.entropy(mean, *learned)),
            ):
                if total.shape != ():
                    yield f"{what} has shape {tuple(total.shape)}, not that of a scalar"


def _vanishes(law: Family) -> Iterator[str]:
    """A scale of nearly zero gives the mean."""
    farthest = float((_draw(law, std=1e-12) - MEAN).abs().max())
    if not farthest < 1e-9:
        yield f"with std 1e-12 a draw is {farthest:.3g} away from its mean"


def _gradients(law: Family) -> Iterator[str]:
    """The sample is differentiable in the mean and the learned tensors."""
    mean = _mean(6).requires_grad_()
    noise = law.noise(KEY, UID, mean)
    learned = [tensor.detach().requires_grad_() for tensor in law.initialize(mean.detach(), STD)]
    try:
        torch.autograd.gradcheck(lambda *tensors: law.sample(noise, *tensors), (mean, *learned))
    except (RuntimeError, ValueError) as error:  # GradcheckError is a RuntimeError
        yield f"the gradient of sample is wrong: {str(error).splitlines()[0]}"


def _repeats(law: Family) -> Iterator[str]:
    """The noise is a pure function of key and uid, and asks nothing of the global generator."""
    state = torch.get_rng_state()
    if not torch.equal(law.noise(KEY, UID, _mean()), law.noise(KEY, UID, _mean())):
        yield "the same key and uid give different noise"
    if not torch.equal(state, torch.get_rng_state()):
        yield "noise changes torch's global random state"


def _deterministic(law: Family) -> Iterator[str]:
    """A family without randomness returns the mean and has no spread."""
    if not torch.equal(_draw(law), _mean()):
        yield "it is registered as not random, and a draw is not its mean"
    if float(law.std(_mean(), *law.initialize(_mean(), STD)).abs().max()) != 0:
        yield "it is registered as not random, and its std is not zero"


def _moments(law: Family) -> Iterator[str]:
    """The mean and the variance of a draw are those that the family states."""
    units = (_draw(law) - MEAN) / STD
    for what, values in (("mean", units), ("variance", units**2 - 1)):
        z = float(values.mean() / values.std() * math.sqrt(COUNT))
        if not abs(z) < Z:
            yield f"the {what} of a draw is {z:.1f} standard errors away from what it should be"


def _scale(law: Family) -> Iterator[str]:
    """``initialize`` and ``std`` agree, over many orders of magnitude."""
    for std in (1e-6, 1e-2, STD, 30.0):
        found = law.std(_mean(3), *law.initialize(_mean(3), std))
        if not torch.allclose(found, torch.full_like(found, std), rtol=1e-6, atol=0):
            yield f"initialize for std {std} gives std {float(found[0])}"


def _densities(law: Family) -> Iterator[str]:
    """Entropy against spacings of samples; KL against -entropy - E log prior, the expectation by Monte Carlo."""
    mean = _mean()
    learned = law.initialize(mean, STD)
    draw = _draw(law)
    entropy = float(law.entropy(mean, *learned)) / COUNT
    estimate = float(stats.differential_entropy(draw.numpy(), method="ebrahimi"))
    if not abs(entropy - estimate) < Z / math.sqrt(COUNT) + SPACING_BIAS:  # log-densities vary by about one nat
        yield f"entropy is {entropy:.4f} nats an element, and its samples say {estimate:.4f}"
    prior = -((draw / PRIOR) ** 2) / 2 - math.log(PRIOR * math.sqrt(2 * math.pi))  # log N(0, PRIOR^2)
    kl = float(law.kl(mean, *learned, prior_std=PRIOR)) / COUNT
    z = (kl + entropy + float(prior.mean())) / float(prior.std()) * math.sqrt(COUNT)
    if not abs(z) < Z:
        yield f"kl is {z:.1f} standard errors away from its Monte Carlo estimate"


def _independence(law: Family) -> Iterator[str]:
    """Other keys and other uids give other, independent noise of the same distribution."""
    first = law.noise(KEY, UID, _mean())
    others = {"the next key": (KEY + 1, UID), "the next uid": (KEY, UID + 1), "key and uid exchanged": (UID, KEY)}
    for what, (key, uid) in others.items():
        other = law.noise(key, uid, _mean())
        z = float(torch.corrcoef(torch.stack([first, other]))[0, 1]) * math.sqrt(COUNT)
        if not abs(z) < Z:
            yield f"noise under {what} is correlated: {z:.1f} standard errors"
        if not stats.ks_2samp(first.numpy(), other.numpy()).pvalue > FALSE_ALARM:
            yield f"noise under {what} has another distribution"
