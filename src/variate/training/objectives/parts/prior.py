"""The divergence from a prior, weighted as in the evidence lower bound."""

from __future__ import annotations

from torch import Tensor

from variate.random.measures import kl
from variate.random.network import RandomNetwork
from variate.training.clock import Clock


def weighted_divergence(net: RandomNetwork, clock: Clock, *, prior: float, rise: float) -> Tensor:
    """KL(q || prior) / N in nats; the weight rises from 0 to 1 over the first ``rise`` of the training.

    Args:
        net: the random network.
        clock: progress of the training; N is its number of examples.
        prior: standard deviation of the prior N(0, prior^2) of parameters without a prior of their own, above 0.
        rise: share of the training over which the weight rises linearly; 0 means full weight from the start.
    """
    weight = min(1.0, clock.share / rise) if rise else 1.0
    return kl(net, prior) * (weight / clock.examples)
