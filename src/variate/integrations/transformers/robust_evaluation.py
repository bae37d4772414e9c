"""Robust accuracy at every evaluation of the Trainer of transformers, by a callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from torch import nn

from variate.errors import UsageError
from variate.integrations.transformers.batches import Batched, labels_in, normalization, seen_as
from variate.optional import imported
from variate.random.seeding import left_as_found
from variate.training.adversary import check_options
from variate.training.loggers import Send
from variate.training.robust_rate import RobustRate

if TYPE_CHECKING:
    TrainerCallback: Any
else:
    TrainerCallback = imported("transformers.trainer_callback", "text").TrainerCallback


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
        log: Send | None = None,
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
        mean, std = normalization(given.get("processing_class"), self.mean, self.std)
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


def _prefix(metrics: Mapping[str, float]) -> str:
    """What the names of an evaluation's metrics begin with, such as ``eval_``."""
    names = (name for name in metrics if name.endswith("runtime"))
    return next(names, "eval_runtime").removesuffix("runtime")
