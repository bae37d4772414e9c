"""The negative evidence lower bound."""

from __future__ import annotations

from torch import Tensor

from variate.random.network import RandomNetwork
from variate.registry import objective
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task
from variate.training.clock import Clock
from variate.training.objectives.parts.prior import weighted_divergence


@objective(needs="distribution", cite="Blundell et al. 2015, arXiv:1505.05424, equation 2; Graves 2011")
def elbo(
    net: RandomNetwork,
    x: Tensor,
    y: Tensor,
    *,
    clock: Clock,
    task: Task = CLASSES,
    weight: float = 1.0,
    prior: float = 0.1,
    rise: float = 0.0,
) -> Tensor:
    """Mean cross-entropy of one fresh draw, plus 1/N of the divergence of the distribution from its prior.

    E_w CE(net_w(x), y) + weight * KL(q(w) || N(0, prior^2)) / N, for any family. The objective ``kl`` is
    the second term alone. Parameters with a prior of their own (``priors``, by name pattern) have that one instead.

    Args:
        net: the random network.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        clock: progress of the training; supplied by it.
        task: what the answers are; supplied by the training.
        weight: weight of the divergence; 1 is the bound itself, smaller values give a cold posterior.
        prior: standard deviation of the prior, above 0.
        rise: share of the training over which the weight rises from 0.
    """
    return task.mean_loss(net(x), y) + weight * weighted_divergence(net, clock, prior=prior, rise=rise)
