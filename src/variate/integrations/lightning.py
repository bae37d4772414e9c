"""Robust accuracy as a callback of Lightning."""

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
    """Logs, after every validation, the accuracy under a short PGD, judged on draws that did not guide it.

    It watches a training, and is no verdict: ``variate.evaluate`` speaks that. The batches of the validation are
    (x, y), x in [0, 1]. Each process attacks its own examples, and the mean over processes is logged.

    Args:
        budget: of the attack, such as ``linf:8/255``.
        steps: of PGD, a fresh draw at each.
        examples: how many of the validation's first ones are attacked.
        network: the name of the submodule that maps x to logits; the Lightning module itself without one.
        name: under which it is logged.
        seed: of the attack and the draws; every epoch has draws of its own.
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
        self._kept: list[tuple[Tensor, Tensor]] = []

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Forget the last validation's examples."""
        self._kept = []

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep the first examples."""
        room = self.examples - sum(len(y) for _, y in self._kept)
        if room > 0 and dataloader_idx == 0:
            x, y = batch
            self._kept.append((x[:room], y[:room]))

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Attack them, and log how many are still answered rightly."""
        if trainer.sanity_checking or not self._kept:
            return
        network: nn.Module = pl_module.get_submodule(self.network)
        with torch.inference_mode(False), torch.enable_grad(), left_as_found(network):
            x, y = (torch.cat([part.clone() for part in column]) for column in zip(*self._kept, strict=True))
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
        self._kept = []
        pl_module.log(self.name, rate, prog_bar=True, sync_dist=True)
