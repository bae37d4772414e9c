"""Adversarial training and robust accuracy in the Trainer of transformers, by callbacks.

The Trainer keeps its loss, its gradient accumulation and its checkpoints: before every training forward of the model,
the callback replaces the batch by a perturbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError
from variate.inputs.budget import Budget
from variate.integrations.transformers_batches import Batched, batched
from variate.optional import imported
from variate.random.seeding import left_as_found
from variate.training.adversary import Adversary, check_options
from variate.training.clock import Clock
from variate.training.robust_rate import RobustRate

if TYPE_CHECKING:
    TrainerCallback: Any
    ExportableState: Any
else:
    callbacks = imported("transformers.trainer_callback", "text")
    TrainerCallback, ExportableState = callbacks.TrainerCallback, callbacks.ExportableState

Against = Literal["labels", "answers"]
LogHook = Callable[[dict[str, float], int], None]


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
        self.mean, self.std = _normalization(given.get("processing_class"), self.mean, self.std)
        loader = given.get("train_dataloader")
        self._clock = Clock(examples=_length(loader), total=max(1, state.max_steps), step=state.global_step)
        self._adversary = self._seen = None
        self._hooks.callback(model.register_forward_pre_hook(self._perturb, with_kwargs=True).remove)
        self._hooks.callback(model.register_forward_hook(self._settle, always_call=True).remove)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Add the gradient of the objectives of the distribution."""
        if self._adversary is not None:
            self._adversary.add_gradient()

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Remove the hooks; draws come from the entropy of the operating system again."""
        self._hooks.close()
        if self._seen is not None and self._adversary is not None:
            self.indices = list(self._adversary.indices)
            self._seen.close()
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


class RobustEvaluation(TrainerCallback):  # type: ignore[misc]
    """Measures the accuracy under a short PGD at every evaluation, on draws that did not guide the attack.

    The metrics of the evaluation get ``eval_robust_accuracy`` and the ends of its 95 % interval over examples and
    draws, ``eval_robust_accuracy_low`` and ``..._high``, so that ``metric_for_best_model`` can name it. It monitors a
    training and is not a verdict: use ``variate.evaluate`` for that.

    Args:
        budget: budget of the attack, in the units of ``AdversarialTraining``.
        steps: steps of PGD, each with a fresh draw.
        examples: number of examples of the evaluation to attack, from the first on.
        draws: draws that judge every example.
        mean, std: normalization of the pixels, as in ``AdversarialTraining``.
        seed: seed of the attack and the draws; every step of the training has its own.
        log: function that receives the numbers and the step too, such as one of ``variate.training.loggers``.
    """

    def __init__(
        self,
        budget: str,
        *,
        steps: int = 10,
        examples: int = 128,
        draws: int = 16,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
        log: LogHook | None = None,
    ) -> None:
        check_options(budget, steps=steps, draws=draws, scales=None)
        if examples < 1:
            raise UsageError(f"examples is {examples}", expected="a whole number from 1")
        self.budget, self.steps, self.examples, self.draws = budget, steps, examples, draws
        self.mean, self.std, self.seed, self.log = mean, std, seed, log

    def on_evaluate(
        self, args: Any, state: Any, control: Any, *, model: nn.Module, metrics: dict[str, float], **given: Any
    ) -> None:
        """Attack the first examples, and add the rate to the metrics and to the history of the Trainer."""
        mean, std = _normalization(given.get("processing_class"), self.mean, self.std)
        measured: RobustRate | None = None
        with left_as_found(model), ExitStack() as stack:
            model.eval()
            seen: Batched | None = None
            for batch in given["eval_dataloader"]:
                if seen is None:
                    seen = seen_as(model, batch, self.budget, mean, std)
                    stack.callback(seen.close)
                    measured = RobustRate(
                        seen,
                        self.budget,
                        steps=self.steps,
                        draws=self.draws,
                        seed=self.seed,
                        turn=state.global_step,
                        modality=seen.modality,
                    )
                room = self.examples - (measured.examples if measured else 0)
                if room <= 0 or measured is None:
                    break
                x, y = seen.keep(batch), labels_in(batch, todo="evaluate on labelled examples")
                measured.add(x[:room], y[:room])
        if measured is None:
            return
        rate, prefix = measured.rate(), _prefix(metrics)
        name = f"{prefix}robust_accuracy"
        numbers = {name: rate.rate, f"{name}_low": rate.low, f"{name}_high": rate.high}
        metrics.update(numbers)
        if state.log_history and f"{prefix}runtime" in state.log_history[-1]:
            state.log_history[-1].update(numbers)
        if self.log is not None:
            self.log(numbers, state.global_step)


def seen_as(
    model: nn.Module,
    batch: Mapping[str, Any],
    budget: str,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Batched:
    """The model as an attack within a budget sees it. Raises ``UsageError`` for another norm or kind of batch."""
    seen = batched(model, batch, mean=mean, std=std)
    if Budget.parse(budget).norm not in seen.norms:
        seen.close()
        raise UsageError(
            f"the budget {budget} does not apply to {seen.key}", expected=f"a budget in {', '.join(seen.norms)}"
        )
    return seen


def labels_in(batch: Mapping[str, Any], *, todo: str) -> Tensor:
    """The labels of a batch, one class per example: (B,). Raises ``InputError`` if there are none."""
    labels = batch.get("labels")
    if not isinstance(labels, Tensor):
        raise InputError(
            "the batch has no labels when the model sees it",
            findings=["a Trainer with compute_loss_func or label smoothing takes them out before"],
            todo=todo,
        )
    return labels


def _normalization(
    processor: Any, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float] | None, Sequence[float] | None]:
    """The mean and standard deviation of the pixels: as given, or else those of an image processor."""
    if mean is not None or std is not None or not getattr(processor, "do_normalize", False):
        return mean, std
    return list(processor.image_mean), list(processor.image_std)


def _length(loader: Any) -> int:
    """Number of examples of a loader's data set; 1 if it has none."""
    try:
        return max(1, len(loader.dataset))
    except (AttributeError, TypeError):
        return 1


def _prefix(metrics: Mapping[str, float]) -> str:
    """What the names of an evaluation's metrics begin with, such as ``eval_``."""
    names = (name for name in metrics if name.endswith("runtime"))
    return next(names, "eval_runtime").removesuffix("runtime")
