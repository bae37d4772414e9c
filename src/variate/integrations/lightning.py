"""Adversarial training and robust accuracy as callbacks of Lightning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.optional import imported
from variate.random.seeding import left_as_found
from variate.training.adversary import Adversary, check_options
from variate.training.clock import Clock
from variate.training.validation import robust_accuracy


def _callback() -> Any:
    try:
        return imported("lightning.pytorch", "lightning").Callback
    except UsageError:
        return imported("pytorch_lightning", "lightning").Callback


class AdversarialTraining(_callback()):  # type: ignore[misc]
    """Trains on perturbed batches: before every training step, x is replaced by what PGD makes of it.

    The step and its loss are your own, on the perturbed batch. Every forward pass of a random network takes a fresh
    draw, and the inner attack takes its draws from a stream of its own. A checkpoint of Lightning holds means, scales
    and where both streams are. Batches are lists [x, y], as the default ``collate_fn`` returns them, or dictionaries.

    Args:
        budget: budget of the perturbation, such as ``linf:8/255``.
        steps: steps of the inner attack.
        draws: draws that each step averages over.
        scales: objectives of the distribution alone, such as ``snr`` or ``kl:0.02``; without any, learned scales
            shrink. Their gradient is added before the step of the optimizer. None for none.
        network: name of the submodule that maps x to logits; by default the Lightning module itself.
        keys: the places of x and y in a batch.
        modality: modality of the inputs, as in ``variate.evaluate``.
        seed: seed of the draws and of the attack.

    Raises:
        UsageError: for impossible options.
    """

    def __init__(
        self,
        budget: str,
        *,
        steps: int = 10,
        draws: int = 1,
        scales: str | None = "snr",
        network: str = "",
        keys: tuple[int | str, int | str] = (0, 1),
        modality: str | Modality = "image",
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_options(budget, steps=steps, draws=draws, scales=scales)
        modality_of(modality).check(Budget.parse(budget))
        self.budget, self.steps, self.draws, self.scales = budget, steps, draws, scales
        self.network, self.keys, self.modality, self.seed = network, keys, modality_of(modality), seed
        self._indices = (0, 0)
        self._adversary: Adversary | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Give the network the stream of the training, from where a checkpoint has left it."""
        batches = trainer.num_training_batches
        total = trainer.estimated_stepping_batches
        self._adversary = Adversary(
            pl_module.get_submodule(self.network),
            self.budget,
            steps=self.steps,
            draws=self.draws,
            scales=self.scales,
            seed=self.seed,
            modality=self.modality,
            clock=Clock(
                examples=max(1, _examples(trainer, batches)),
                total=int(total) if total not in (-1, float("inf")) else 1,
                step=trainer.global_step,
            ),
            indices=self._indices,
        )

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Replace x in the batch. Raises ``UsageError`` for a batch of another form."""
        of_x, of_y = self.keys
        found = f"a {type(batch).__name__}"
        if isinstance(batch, list | dict):
            found += f" of {', '.join(map(repr, batch)) if isinstance(batch, dict) else len(batch)}"
            places: Any = batch if isinstance(batch, dict) else range(len(batch))
            if of_x in places and of_y in places and self._adversary is not None:
                parts: Any = batch
                with torch.enable_grad():
                    parts[of_x] = self._adversary.perturb(parts[of_x], parts[of_y])
                return
        raise UsageError(
            f"the batch is {found}, in which x cannot be replaced",
            expected=f"a list [x, y], or a dictionary, with x at {of_x!r} and y at {of_y!r}",
            todo="return one from the loader's collate_fn, or pass keys=('image', 'label'), for example",
        )

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Add the gradient of the objectives of the distribution."""
        if self._adversary is not None:
            self._adversary.add_gradient()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """From now on, draws come from the entropy of the operating system."""
        if self._adversary is not None:
            self._indices = self._adversary.indices
            self._adversary.leave()
            self._adversary = None

    def state_dict(self) -> dict[str, Any]:
        """Where the streams of keys are, for a checkpoint."""
        return {"indices": list(self._indices if self._adversary is None else self._adversary.indices)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the streams of a checkpoint."""
        first, second = state_dict["indices"]
        self._indices = (first, second)


def _examples(trainer: Any, batches: int) -> int:
    """Number of training examples: those of the data set, or else the number of batches."""
    try:
        return len(trainer.train_dataloader.dataset)
    except (AttributeError, TypeError):
        return int(batches)


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
