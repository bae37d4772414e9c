"""How uncertain a random network is about an input, and how much of that is disagreement between its draws.

With p_s the probabilities under draw s and m their mean over S draws, all in nats:

- *predictive entropy* H(m): from 0 to log K for K classes;
- *mutual information* of answer and draw, H(m) - mean H(p_s) = mean KL(p_s || m): 0 where all draws agree, at most H(m)
  and log S (BALD: Houlsby et al. 2011, arXiv:1112.5745);
- *expected pairwise KL*, the mean of KL(p_s || p_t) over different draws s and t: at least the mutual information, and
  without bounds (Malinin & Gales 2021, arXiv:2002.07650).

The first two are those of these S draws as an ensemble; the mutual information of all draws is larger, the difference
vanishing like 1 / S. The expected pairwise KL has no such bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.validation import check_module, check_several
from variate.random.keys import Stream, fresh_keys
from variate.random.seeding import left_as_found, outputs_under
from variate.random.strata import stratified


@dataclass(frozen=True)
class Uncertainty:
    """The answers of several draws together, and how far the draws agree.

    Attributes:
        log_probabilities: log of the mean probability of every class, shape (B, K).
        entropy: predictive entropy in nats, shape (B,).
        mutual_information: mutual information of answer and draw in nats, shape (B,).
        pairwise_kl: expected pairwise KL in nats, shape (B,).
        draws: number of draws, S.
    """

    log_probabilities: Tensor
    entropy: Tensor
    mutual_information: Tensor
    pairwise_kl: Tensor
    draws: int

    @property
    def probabilities(self) -> Tensor:
        """The mean probability of every class, (B, K)."""
        return self.log_probabilities.exp()

    @property
    def confidence(self) -> Tensor:
        """The mean probability of the answer, (B,)."""
        return self.probabilities.amax(-1)

    @property
    def labels(self) -> Tensor:
        """The most probable classes, (B,)."""
        return self.log_probabilities.argmax(-1)

    @classmethod
    def of(cls, logits: Tensor) -> Uncertainty:
        """The uncertainty of given logits, (S, B, K)."""
        logs = logits.double().log_softmax(-1)
        parts = by_draw(logs)
        entropy, shared, apart = (part.mean(0).to(logits.dtype) for part in (parts.entropy, parts.shared, parts.apart))
        return cls(mean_of(logs).to(logits.dtype), entropy, shared, apart, len(logits))


@dataclass(frozen=True)
class ByDraw:
    """What each draw adds, shape (S, ...): the means over draws are the three quantities.

    Attributes:
        entropy: -sum p_s log m; its mean is the predictive entropy.
        shared: KL(p_s || m); its mean is the mutual information.
        apart: the mean over the other draws t of KL(p_s || p_t); its mean is the expected pairwise KL.
    """

    entropy: Tensor
    shared: Tensor
    apart: Tensor


def by_draw(logs: Tensor) -> ByDraw:
    """What each draw adds to the uncertainty, from log probabilities (S, ..., K)."""
    count, shares = len(logs), logs.exp()
    own = _expected(shares, logs)  # -H(p_s), (S, ...)
    entropy = -_expected(shares, mean_of(logs))
    others = _expected(shares, logs.mean(0)) if count > 1 else own
    apart = (own - others) * (count / max(count - 1, 1))
    return ByDraw(entropy, (own + entropy).clamp_min(0), apart.clamp_min(0))


def _expected(shares: Tensor, values: Tensor) -> Tensor:
    """The sum over classes of share times value, where a share of 0 counts nothing whatever the value."""
    return torch.where(shares > 0, shares * values, 0.0).sum(-1)


def mean_of(logs: Tensor) -> Tensor:
    """The log of the mean over draws of probabilities, from their logs: (S, ..., K) to (..., K)."""
    return logs.logsumexp(0) - math.log(len(logs))


def uncertainty(net: nn.Module, x: Tensor, *, draws: int = 32, seed: int | None = None) -> Uncertainty:
    """Ask ``net`` under several fresh draws: the mean probability, and three measures of uncertainty per input.

    Args:
        net: a network from inputs to logits of at least two classes, in the mode it will be used in; a network with
            dropout in train mode draws from torch's generator. A deterministic network has a mutual information of 0.
        x: inputs, shape (B, ...).
        draws: S, number of fresh draws; they use the modes of a network with modes evenly.
        seed: seed of the draws; by default they come from the operating system's entropy.

    Raises:
        UsageError: for a number of draws below 1.
        InputError: for outputs that are not one row of logits per input.

    Example:
        >>> import variate
        >>> net = variate.randomize(nn.Linear(4, 3))
        >>> found = uncertainty(net, torch.rand(5, 4), draws=10)
        >>> bool((found.mutual_information <= found.entropy).all())
        True
    """
    check_module(net)
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise UsageError(f"draws is {draws!r}", expected="a whole number from 1")
    keys = fresh_keys(draws) if seed is None else Stream("user", seed).take(draws)
    with left_as_found(net):
        logits = outputs_under(net, x, stratified(net, keys))
    check_several(logits.shape[-1])
    return Uncertainty.of(logits)
