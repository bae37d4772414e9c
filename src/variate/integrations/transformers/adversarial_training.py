"""Adversarial training in the Trainer of transformers, by a callback.

The Trainer keeps its loss, its gradient accumulation and its checkpoints: before every training forward of the model,
the callback replaces the batch by a perturbed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.integrations.transformers.batches import Batched, labels_in, normalization, seen_as
from variate.optional import imported
from variate.training.adversary import Adversary, check_options
from variate.training.clock import Clock

if TYPE_CHECKING:
    TrainerCallback: Any
    ExportableState: Any
else:
    callbacks = imported("transformers.trainer_callback", "text")
    TrainerCallback, ExportableState = callbacks.TrainerCallback, callbacks.ExportableState

Against = Literal["labels", "answers"]
_hooked: WeakKeyDictionary[nn.Module, ExitStack] = WeakKeyDictionary()  # what a training has put on a model, to remove


class AdversarialTraining(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Trains on perturbed batches: PGD on the pixels of images, or on the vectors of the pieces of a text.

    Every forward pass of a random network takes a fresh draw, and the inner attack takes its draws from a stream of its
    own. A checkpoint of the Trainer holds means, scales and where both streams are, so a resumed training continues as
    an uninterrupted one. The loss on the perturbed batch is the Trainer's, whatever it is.

    Args:
        budget: budget of the perturbation: ``linf``, ``l2`` or ``l1`` of pixels in [0, 1]; ``l2`` or ``linf`` of all
            vectors of a text together, in their units.
        steps: steps of PGD.
        draws: draws that each step averages over.
        scales: objectives of the distribution alone, such as ``snr`` or ``kl:0.02``; without any, learned scales
            shrink. Their gradient is added before the step of the optimizer, after clipping. None for none.
        against: ``labels``: PGD raises the cross-entropy of the labels; ``answers``: of the model's own answers, for
            losses for which the Trainer takes the labels out of the batch (label smoothing, ``compute_loss_func``).
        mean, std: normalization of the pixels by channel; by default that of the ``processing_class`` of the Trainer,
            if it is an image processor, and otherwise none.
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
        against: Against = "labels",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        check_options(budget, steps=steps, draws=draws, scales=scales)
        if against not in ("labels", "answers"):
            raise UsageError(f"against is {against!r}", expected="labels or answers")
        self.budget, self.steps, self.draws, self.scales = budget, steps, draws, scales
        self.against, self.mean, self.std, self.seed = against, mean, std, seed
        self.indices = [0, 0]
        self._adversary: Adversary | None = None
        self._seen: Batched | None = None
        self._clock = Clock()
        self._inside = False
        self._hooks = ExitStack()  # those on the model
        self._forward = ExitStack()  # what the forward pass that runs now has put in place

    def state(self) -> dict[str, Any]:
        """The options, and where the streams of keys are: the Trainer writes it into its checkpoints."""
        options = ("budget", "steps", "draws", "scales", "against", "mean", "std", "seed")
        if self._adversary is not None:
            self.indices = list(self._adversary.indices)
        return {
            "args": {name: getattr(self, name) for name in options},
            "attributes": {"indices": self.indices},
        }

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **given: Any) -> None:
        """Put the attack before the training forward of the model; resume the streams of a checkpoint."""
        if args.label_smoothing_factor > 0 and self.against == "labels":
            raise UsageError(
                f"with label_smoothing_factor={args.label_smoothing_factor:g} the Trainer takes the labels out of the "
                "batch before the model sees it",
                todo="AdversarialTraining(..., against='answers') attacks the model's own answers; or set it to 0",
            )
        if args.n_gpu > 1:
            raise UsageError(
                f"DataParallel on {args.n_gpu} devices copies the model at every forward",
                todo="start one process per device with torchrun, or set CUDA_VISIBLE_DEVICES to one device",
            )
        self._check_state(state)
        self.mean, self.std = normalization(given.get("processing_class"), self.mean, self.std)
        loader = given.get("train_dataloader")
        self._clock = Clock(examples=_length(loader), total=max(1, state.max_steps), step=state.global_step)
        self._adversary = self._seen = None
        _hooked.pop(model, ExitStack()).close()  # of a training that was interrupted
        self._hooks = _hooked[model] = ExitStack()
        self._hooks.callback(model.register_forward_pre_hook(self._perturb, with_kwargs=True).remove)
        self._hooks.callback(model.register_forward_hook(self._settle, always_call=True).remove)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Add the gradient of the objectives of the distribution."""
        if self._adversary is not None:
            self._adversary.add_gradient()

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Remove the hooks; draws come from the entropy of the operating system again."""
        self._hooks.close()
        if self._adversary is not None:
            self.indices = list(self._adversary.indices)
            self._adversary.leave()
            self._adversary = self._seen = None

    def _check_state(self, state: Any) -> None:
        """Continue the streams of a checkpoint, if the Trainer has loaded one. Raises ``UsageError``."""
        saved = (state.stateful_callbacks or {}).get(type(self).__name__) if state.global_step else None
        if saved is None:
            return
        if isinstance(saved, list):
            raise UsageError("the checkpoint holds several AdversarialTraining callbacks", expected="one")
        now = self.state()["args"]
        processed = ("mean", "std")  # filled in by the training
        changed = [
            f"{name}: {old!r} there, {now[name]!r} now"
            for name, old in saved["args"].items()
            if name not in processed and old != now[name]
        ]
        if changed:
            raise UsageError(
                "the checkpoint is that of another adversarial training",
                findings=changed,
                todo="pass the same options, or train into another output_dir",
            )
        self.indices = list(saved["attributes"]["indices"])

    def _perturb(self, model: nn.Module, args: tuple[Any, ...], batch: dict[str, Any]) -> Any:
        """The pre-hook: the arguments of a training forward, perturbed."""
        if self._inside or not model.training or not torch.is_grad_enabled():
            return None
        if args:
            raise UsageError("the model was called with positional arguments", expected="those of a Trainer, by name")
        self._inside = True
        try:
            adversary, seen = self._made(model, batch)
            x = seen.keep(batch)
            perturbed = adversary.perturb(x, self._target(x, batch))
        finally:
            self._inside = False
        return (), self._forward.enter_context(seen.moved(perturbed, batch))

    def _settle(self, model: nn.Module, args: Any, output: Any) -> None:
        """The hook after a forward: undo what ``_perturb`` has put in place."""
        if not self._inside:
            self._forward.close()

    def _made(self, model: nn.Module, batch: Mapping[str, Any]) -> tuple[Adversary, Batched]:
        """The adversary, made at the first batch, which shows what the inputs are."""
        if self._adversary is None or self._seen is None:
            self._seen = seen_as(model, batch, self.budget, self.mean, self.std)
            self._hooks.callback(self._seen.close)
            self._adversary = Adversary(
                model,
                self.budget,
                steps=self.steps,
                draws=self.draws,
                scales=self.scales,
                seed=self.seed,
                modality=self._seen.modality,
                seen=self._seen,
                clock=self._clock,
                indices=(self.indices[0], self.indices[1]),
            )
        return self._adversary, self._seen

    def _target(self, x: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """What the attack moves answers away from: (B,)."""
        if self.against == "answers" and self._adversary is not None:
            return self._adversary.answers(x)
        return labels_in(batch, todo="AdversarialTraining(..., against='answers') attacks the model's own answers")


def _length(loader: Any) -> int:
    """Number of examples of a loader's data set; 1 if it has none."""
    try:
        return max(1, len(loader.dataset))
    except (AttributeError, TypeError):
        return 1
