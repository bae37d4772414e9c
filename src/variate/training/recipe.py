"""A training: all of its options, each with its default and its help."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from variate.fields import option
from variate.inputs.budget import BEGINNINGS

Keep = Literal["last", "best"]
Log = Literal["tensorboard"]
OptimizerName = Literal["adamw", "sgd"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]
USUAL = "cross-entropy"  # the objective, where nobody names one
PLACES = ("devices", "accelerator", "log")  # options that decide no number


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: the options of ``variate.train``, of ``variate train`` and of a study's ``[training]``.

    A new option is one more field here, and its use.
    """

    objective: str | None = option(
        None,
        "instead of the defense's own (in Python: of cross-entropy), e.g. adversarial+snr(target=10):0.5: names joined "
        "by +, each with optional options and weight",
        entries="objectives",
    )
    epochs: int = option(10, "passes over the training split", at_least=1)
    lr: float = option(2e-3, "highest learning rate, decayed to zero along a cosine over all steps", at_least=0)
    scale_lr: float = option(5.0, "how many times faster the scales learn than the means", at_least=0)
    weight_decay: float = option(1e-4, "weight decay of the means; scales never decay", at_least=0)
    optimizer: OptimizerName = option("adamw", "adamw, or sgd with Nesterov's momentum of 0.9")
    warmup: float = option(
        0.0, "epochs, whole or not, in which the learning rate rises linearly before the cosine begins", at_least=0
    )
    accumulate: int = option(
        1, "batches per step of the optimizer: the gradient is that of one batch of all their examples", at_least=1
    )
    ema: float | None = option(
        None, "decay per step of a moving average of parameters and batch-norm statistics, such as 0.999"
    )
    swa: int = option(
        0, "epochs from the end whose parameters are averaged (Izmailov et al. 2018, arXiv:1803.05407)", at_least=0
    )
    augment: str | None = option(
        None, "changes to the images: flip, crop and cutout, joined by +", choices=("flip", "crop", "cutout")
    )
    budget: str | None = option(
        None, "budget of the inner attack; on the command line the data set's usual one without it", choices=BEGINNINGS
    )
    attack_steps: int = option(
        10, "steps of the inner attack; in texts, replacements that it tries in each round", at_least=1
    )
    patience: int | None = option(
        None,
        "stop after so many epochs without a better robust validation accuracy (Rice et al. 2020, arXiv:2002.11569)",
        at_least=1,
    )
    keep: Keep = option("last", "last; or best, the epoch of the best robust validation accuracy")
    validation_steps: int = option(10, "steps of the PGD that measures it", at_least=1)
    validation_examples: int = option(512, "examples that it is measured on, always the same", at_least=1)
    precision: Precision = option("32-true", "32-true, bf16-mixed, 16-mixed or 64-true")
    seed: int = option(0, "seed of everything random; the same seed gives the same network")
    devices: int = option(1, "processes, one per device; from Python more than one needs a script", at_least=1)
    accelerator: str = option("auto", "auto, cpu, cuda, mps", choices=("auto", "cpu", "cuda", "mps"))
    log: Log | None = option(
        None, "tensorboard: losses, accuracies and scales by epoch, for a command in OUT/tensorboard"
    )

    @property
    def selects(self) -> bool:
        """Whether epochs are compared by their robust accuracy."""
        return self.patience is not None or self.keep == "best"

    def numbers(self) -> dict[str, Any]:
        """The options that decide what comes out; where it is trained and what is logged do not."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in PLACES}
