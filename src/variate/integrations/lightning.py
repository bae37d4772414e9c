"""Robust accuracy as a Lightning callback."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.optional import imported
from variate.random.seeding import left_as_found
from variate.training.validation import robust_accuracy


def _callback() -> Any:
    try:
        return imported("lightning.pytorch", "lightning").Callback
    except UsageError:
        return imported("pytorch_lightning", "lightning").Callback


class RobustAccuracy(_callback()):  # type: ignore[misc]
    """Logs the accuracy under a short PGD after every validation, judged on draws that did not guide the attack.

    It monitors training and is not a verdict: use ``variate.evaluate`` for that. Validation batches are (x, y), with
    x in [0, 1]. Each process attacks its own examples, and the mean over processes is logged.

    Args:
        budget: budget of the attack, such as ``linf:8/255``.
        steps: steps of PGD, each with a fresh draw.
        examples: number of validation examples to attack, from the first on.
        network: name of the submodule that maps x to logits; by default the Lightning module itself.
        name: name under which the accuracy is logged.
        seed: seed of the attack and the draws; every epoch has its own draws.
    """

    def __init__(
        self,
        budget: str,
        *,
        steps: int = 10,
        examples: int = 512,
        network: str = "",
        name: str = "robust_accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__()
        Budget.parse(budget)
        self.budget, self.steps, self.examples = budget, steps, examples
        self.network, self.name, self.seed = network, name, seed
        self._batches: list[tuple[Tensor, Tensor]] = []

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Discard the examples of the last validation."""
        self._batches = []

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Collect the first examples."""
        room = self.examples - sum(len(y) for _, y in self._batches)
        if room > 0 and dataloader_idx == 0:
            x, y = batch
            self._batches.append((x[:room], y[:room]))

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Attack the examples and log the rate of right answers."""
        if trainer.sanity_checking or not self._batches:
            return
        network: nn.Module = pl_module.get_submodule(self.network)
        with torch.inference_mode(False), torch.enable_grad(), left_as_found(network):
            x, y = (torch.cat([part.clone() for part in column]) for column in zip(*self._batches, strict=True))
            rate = robust_accuracy(
                network,
                x,
                y,
                budget=self.budget,
                steps=self.steps,
                examples=len(x),
                seed=self.seed,
                epoch=trainer.current_epoch,
            )
        self._batches = []
        pl_module.log(self.name, rate, prog_bar=True, sync_dist=True)
