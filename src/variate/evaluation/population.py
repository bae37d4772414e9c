"""Find the noise on the input from which the clean rate proves something, with every evaluation."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from variate import registry
from variate.errors import VariateError
from variate.evaluation.claims import Look
from variate.evaluation.probes import device_of
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.records.certified import PopulationBound


def population_bound(
    network: nn.Module, x: Tensor, look: Look, modality: Modality, budget: Budget, name: str
) -> PopulationBound | None:
    """How far the noise on the input lets an attacker within a budget lower the rate of single draws.

    It takes a few passes on two inputs. The certificate is asked by its name, as attacks are: certificates build on
    evaluations, not the other way round.

    Args:
        network: the network, to be left as found by the caller.
        x: inputs, shape (B, ...).
        look: what one forward pass reveals.
        modality: modality of the inputs.
        budget: the budget.
        name: name of the network in the records.

    Returns:
        The bound; None for a network without Gaussian noise on its input, and where it proves nothing.
    """
    if look.kind == "deterministic" or look.coupled is not None:
        return None
    try:
        mechanism: Any = registry.get("certificates", "gaussian").load().find(network, x[:2].to(device_of(network, x)))
        if mechanism is None:
            return None
        mechanism = mechanism.on(modality)
        distance = mechanism.distance(budget)
    except VariateError:
        return None
    return PopulationBound(
        network=name, fingerprint=look.fingerprint, budget=budget.text, distance=distance, noise=mechanism.sentence()
    )
