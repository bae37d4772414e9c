"""Robust accuracy with its interval, batch by batch, for a training loop that another library runs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.inputs.validation import check_inputs
from variate.random.seeding import Kind, kind_of, left_as_found, outputs_under
from variate.statistics.rates import Bits, Deployment, Rate, rate_of
from variate.training.inner_attack import InnerAttack
from variate.training.keys import apart

SINGLE = Deployment("single", 1)


class RobustRate:
    """The share of right answers under a short PGD, over examples and fresh draws that did not guide it.

    It monitors a training and is not a verdict: the attack is short, and the examples are few.

    Args:
        network: from inputs in [0, 1] to logits, in the mode to judge.
        budget: budget of the attack.
        steps: steps of PGD, each with a fresh draw.
        draws: draws that judge every example; one, if the network is not random.
        seed: seed of the attack and of all draws.
        turn: index of this measurement, such as the epoch; every one has its own draws.
        modality: modality of the inputs; None: every value in [0, 1] is free.
    """

    def __init__(
        self,
        network: nn.Module,
        budget: str,
        *,
        steps: int = 10,
        draws: int = 16,
        seed: int = 0,
        turn: int = 0,
        modality: Modality | None = None,
    ) -> None:
        search = apart("robust search", seed, turn)
        self._network = network
        self._attack = InnerAttack(network, search, Budget.parse(budget), steps=steps, seed=seed, modality=modality)
        self._keys = apart("robust verdict", seed, turn).take(draws)
        self._kind: Kind | None = None
        self._right: list[Bits] = []

    @property
    def examples(self) -> int:
        """Number of examples so far."""
        return sum(bits.shape[1] for bits in self._right)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Attack and judge a batch: inputs (B, ...) in [0, 1] and labels (B,). Raises ``InputError``."""
        check_inputs(x, y)
        with torch.inference_mode(False), torch.enable_grad(), left_as_found(self._network):
            x, y = x.detach().clone(), y.clone()
            if self._kind is None:
                self._kind = kind_of(self._network, x[:2])
            perturbed = self._attack(x, y)
            self._attack.forget()
            keys = self._keys[:1] if self._kind == "deterministic" else self._keys
            logits = outputs_under(self._network, perturbed, keys)  # (n, B, K)
        self._right.append((logits.argmax(-1) == y.to(logits.device)).cpu().numpy().astype(np.bool_))

    def rate(self) -> Rate:
        """The rate so far with its 95 % interval. Raises ``UsageError`` before the first batch."""
        if not self._right:
            raise UsageError("no example was attacked, so there is no robust accuracy", todo="call add first")
        return rate_of(SINGLE, np.concatenate(self._right, 1))
