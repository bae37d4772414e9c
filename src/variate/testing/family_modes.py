"""Conformance of a family with modes: one mode for a whole draw, its probabilities, and the entropy of the mixture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from variate.random.distribution import Family
from variate.random.families.modes import Modes
from variate.testing.findings import FALSE_ALARM, Z

UIDS = (12, 13)
DRAWS = 2**11
FAR = 1e3  # times as far apart: no two modes overlap
Normal: Any = torch.distributions.Normal


def mode_findings(family: Family, mean: Tensor, scale: Tensor, *learned: Tensor, prior: float) -> Iterator[str]:
    """Everything in which a family of the form ``modes`` does not conform.

    Args:
        family: the family.
        mean: a small tensor.
        scale: its scale.
        learned: its learned tensors, with centers that differ.
        prior: standard deviation of the prior.
    """
    if not isinstance(family, Modes):
        yield f"its form is modes, but it is no {Modes.__name__}"
        return
    yield from _one_mode(family, mean, scale, learned[0] * FAR, *learned[1:])
    noises = [family.noise(key, UIDS[0], mean) for key in range(DRAWS)]
    for by in (0.0, 0.05, 0.2, FAR):
        group = mean, scale, learned[0] * by, *learned[1:]
        for finding in _mixture(family, noises, group, prior, exact=by in (0.0, FAR)):
            yield f"with centers {by:g} times as far apart, {finding}"


def _one_mode(family: Modes, mean: Tensor, scale: Tensor, *learned: Tensor) -> Iterator[str]:
    """The mode belongs to the draw: the same for every tensor, as often as its probability, with noise of their own."""
    centers, chances = family.centers(mean, *learned), family.chances(*learned)  # (K, ...), (K,)
    chosen, rests = [], []
    for uid in UIDS:
        noises = [family.noise(key, uid, mean) for key in range(DRAWS)]
        away = family.samples(noises, mean, scale, *learned)[:, None] - centers  # (S, K, ...)
        chosen.append(away.flatten(2).square().sum(2).argmin(1))
        rests.append(away[torch.arange(DRAWS), chosen[-1]].flatten())
    if not torch.equal(*chosen):
        yield f"{int((chosen[0] != chosen[1]).sum())} of {DRAWS} draws are at different modes in two tensors"
    counts = chosen[0].bincount(minlength=len(centers)).numpy()
    if len(counts) > 1 and not stats.chisquare(counts, DRAWS * chances.numpy()).pvalue > FALSE_ALARM:
        yield f"the modes are drawn {counts.tolist()} times, against probabilities {chances.tolist()}"
    if family.scaled and not abs(float(torch.corrcoef(torch.stack(rests))[0, 1])) * math.sqrt(len(rests[0])) < Z:
        yield "the noise around the modes of two tensors is correlated"


def _mixture(
    family: Modes, noises: list[tuple[Tensor, ...]], group: tuple[Tensor, ...], prior: float, *, exact: bool
) -> Iterator[str]:
    """The entropy bounds that of the mixture from below, and equals it where centers coincide or are far apart."""
    mean, scale, *learned = group
    centers, chances = family.centers(mean, *learned).flatten(1), family.chances(*learned)  # (K, D), (K,)
    drawn = family.samples(noises, mean, scale, *learned).flatten(1)  # (S, D)
    index = -(chances * chances.log()).sum()
    if family.scaled:
        logs = Normal(centers, scale).log_prob(drawn[:, None]).sum(2) + chances.log()  # (S, K)
        nats, slack = -logs.logsumexp(1), 0.0 if exact else float(index)
        priors = Normal(0, prior).log_prob(drawn).sum(1)
    else:
        nats, slack = index.expand(DRAWS), 0.0
        priors = -drawn.square().sum(1) / (2 * prior**2) - math.log(len(chances))
    entropy = float(family.entropy(mean, scale, *learned))
    error = Z * float(nats.std()) / math.sqrt(DRAWS) + 1e-9
    if not -error - slack < entropy - float(nats.mean()) < error:
        yield f"entropy is {entropy:.4f}, but draws give {float(nats.mean()):.4f}"
    cross = float(family.kl(mean, scale, *learned, prior_std=prior)) + entropy + float(priors.mean())
    if not abs(cross) < Z * float(priors.std()) / math.sqrt(DRAWS) + 1e-9:
        yield f"kl is {cross:.4f} nats from its Monte Carlo estimate"
