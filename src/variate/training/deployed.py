"""Train what is deployed: the mean of S draws as one network, in the objective, the inner attack and the validation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import cast

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.validation import logits_in
from variate.random.average import mean_log_probabilities
from variate.random.fixing import fixed, standing
from variate.random.handle import handle_of
from variate.random.inside import check_random, contains_random, is_random
from variate.random.keys import derived
from variate.random.many import group_size, grouped
from variate.random.network import RandomNetwork
from variate.random.strata import count_of_modes, enumerated
from variate.statistics.rates import Deployment
from variate.training.recipe import Recipe

INSIDE = ("awp", "elbo", "gradient-diversity", "interval")  # objectives of one draw, not of a network's outputs
FEW = 8  # examples on a CPU: more are faster one draw at a time, as weights are made together (benchmarks/modes.py)


def trained_draws(recipe: Recipe, network: nn.Module) -> int:
    """S, the number of draws whose mean is trained; 1: single draws.

    By default that of the modes of the network, each once, where the objective allows it.

    Raises:
        UsageError: for a deployment that cannot be trained, or not with this network or objective.
    """
    words = re.findall(r"[\w-]+", recipe.objective_or_default)
    inside = [name for name in INSIDE if name in words]
    if recipe.deployed is None:
        return 1 if inside or not contains_random(network) else count_of_modes(network)
    deployment = Deployment.parse(recipe.deployed)
    if deployment.rule not in ("single", "mean"):
        raise UsageError(f"{deployment} has no gradient, so it cannot be trained", expected="single or mean-S")
    if deployment.size == 1:
        return 1
    if not contains_random(network):
        raise UsageError(
            f"{deployment} of a network without random parameters is the network itself", todo="leave deployed out"
        )
    if inside:
        raise UsageError(
            f"the objective {inside[0]} looks inside one draw, and cannot be that of {deployment}",
            todo="use another, such as adversarial, trades or cross-entropy+kl, or deployed='single'",
        )
    return deployment.size


class DeployedMean(nn.Module):
    """The mean probability of S draws as one network, whose gradient reaches the parameters through every draw.

    A call takes one key of the network, or the fixed one; the S keys of its draws are derived from that. The draws are
    independent, except for the mode of a network with modes: every mode takes part equally often, weighted by its
    probability, so that the mean over modes is exact, and so is the gradient of learned probabilities.

    Args:
        network: a random network, a module that contains one, or a wrapper around it.
        draws: S.
        plain: the random network itself, if its draws may run in groups without the wrapper.
        record: whether to keep the outputs of each draw.

    Attributes:
        outputs: the outputs of every draw in every call, (S, B, K) each, if they are recorded.
        shares: the weight of every draw in the last call, (S,); None: all are equal.
    """

    def __init__(self, network: nn.Module, draws: int, *, plain: nn.Module | None = None, record: bool = False) -> None:
        super().__init__()
        self.network = network
        self.draws = draws
        self.outputs: list[Tensor] = []
        self.shares: Tensor | None = None
        self._hidden = (plain,)  # in a tuple: no second submodule
        self._record = record
        self.training = network.training

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to log probabilities of shape (B, K)."""
        first = handle_of(next(iter(check_random(self.network).values())))
        key, learn = first.take_key(), first.held().learn
        keys, shares = enumerated(self.network, [derived(key, "mean", i) for i in range(self.draws)])
        outputs = self._outputs(x, keys, learn=learn)  # (S, B, K)
        if self._record:
            self.outputs.append(outputs)
        self.shares = shares if learn or shares is None else shares.detach()
        return mean_log_probabilities(outputs, self.shares)

    def _outputs(self, x: Tensor, keys: Sequence[int], *, learn: bool) -> Tensor:
        plain = self._hidden[0]
        if plain is not None and is_random(plain) and (len(x) <= FEW or not x.is_cpu):
            network = cast(RandomNetwork, plain)
            size = group_size(network, x, keys, training=True)
            if size > 1:
                parts = [keys[start : start + size] for start in range(0, len(keys), size)]
                return torch.cat([grouped(network, x, part, learn=learn) for part in parts])
        outputs = []
        for drawing in self._draws(keys, learn=learn):
            with drawing:
                outputs.append(cast(Tensor, logits_in(self.network(x.clone()))))  # it may work in place
        return torch.stack(outputs)

    def _draws(self, keys: Sequence[int], *, learn: bool) -> list[AbstractContextManager[None]]:
        """A context for every key; the weights of all modes are made together, which takes half as long."""
        parts = list(check_random(self.network).values())
        handle = handle_of(parts[0])
        if len(parts) > 1 or any(distribution.form != "modes" for distribution in handle.draws.distributions):
            return [fixed(self.network, key, learn=learn) for key in keys]
        with torch.set_grad_enabled(learn and torch.is_grad_enabled()):
            weights = [stack.unbind(0) for stack in handle.draw_many(parts[0], keys)]
        return [
            standing(parts[0], key, draw, learn=learn)
            for key, draw in zip(keys, zip(*weights, strict=True), strict=True)
        ]


class OneOf(nn.Module):
    """One draw of a ``DeployedMean`` as a network that answers the same calls in the same order, without a new pass.

    Args:
        outputs: the outputs of its calls, (S, B, K) each.
        draw: which of the S draws.
    """

    def __init__(self, outputs: Sequence[Tensor], draw: int) -> None:
        super().__init__()
        self._answers = iter([output[draw] for output in outputs])

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (B, K)."""
        return next(self._answers)
