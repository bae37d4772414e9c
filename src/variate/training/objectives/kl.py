"""The divergence from a prior, to add to any other objective."""

from __future__ import annotations

from torch import Tensor

from variate.random.network import RandomNetwork
from variate.registry import objective
from variate.training.clock import Clock
from variate.training.objectives.parts.prior import weighted_divergence


@objective(labels=False, needs="distribution", cite="Blundell et al. 2015, arXiv:1505.05424, equation 2")
def kl(net: RandomNetwork, x: Tensor, y: Tensor, *, clock: Clock, prior: float = 0.1, rise: float = 0.0) -> Tensor:
    """KL(q(w) || N(0, prior^2)) / N in nats, for any family: ``adversarial+kl:0.02`` is the loss of Adv-BNN.

    Parameters with a prior of their own (``priors``, by name pattern) have that one instead.

    Args:
        net: the random network.
        x: unused; all objectives have the same arguments.
        y: unused.
        clock: progress of the training; supplied by it.
        prior: standard deviation of the prior, above 0.
        rise: share of the training over which the weight rises from 0.
    """
    return weighted_divergence(net, clock, prior=prior, rise=rise)
