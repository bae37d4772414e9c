"""A training run: all of its options, each with its default and its help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from variate.fields import option
from variate.inputs.budget import BEGINNINGS

Keep = Literal["last", "best"]
Log = Literal["tensorboard", "csv", "mlflow", "wandb", "trackio"]
OptimizerName = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "linear"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]
USUAL = "cross-entropy"  # default objective
NEUTRAL = ("devices", "accelerator", "log", "curve_examples")  # options that do not affect the result


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: the options of ``variate.train``, of ``variate train`` and of a study's ``[training]``.

    To add an option, add a field here and use it.
    """

    objective: str | None = option(
        None,
        "replaces the defense's own objective (in Python: cross-entropy): names joined by +, each with optional "
        "options and weight, such as adversarial+snr(target=10):0.5",
        entries="objectives",
    )
    priors: Sequence[str] = option(
        (),
        "prior of parameters by name for the objectives elbo and kl, such as '*norm*.weight: normal(at=1, scale=0.1)' "
        "or '*: normal(at=pretrained, scale=0.1)'; the first match applies, the others have the prior of the objective",
        singular="prior",
    )
    epochs: int = option(10, "passes over the training split", at_least=1)
    lr: float = option(2e-3, "peak learning rate, from which it falls to zero over all steps", at_least=0)
    scale_lr: float = option(5.0, "learning rate of the scales, as a multiple of that of the means", at_least=0)
    weight_decay: float = option(1e-4, "weight decay of the means; scales have none", at_least=0)
    optimizer: OptimizerName = option("adamw", "adamw, or sgd with Nesterov momentum")
    momentum: float = option(0.9, "Nesterov momentum of sgd", at_least=0)
    schedule: Schedule = option("cosine", "cosine or linear: how the learning rate falls to zero")
    warmup: float = option(0.0, "epochs, possibly fractional, of linear warmup before the decay", at_least=0)
    accumulate: int = option(
        1, "batches per optimizer step; the gradient is that of one batch with all their examples", at_least=1
    )
    clip: float | None = option(
        None, "largest norm of the gradient of all parameters together; a longer one is shortened to it"
    )
    ema: float | None = option(
        None, "decay per step of a moving average of parameters and batch-norm statistics, such as 0.999"
    )
    swa: int = option(
        0, "number of last epochs whose parameters are averaged (Izmailov et al. 2018, arXiv:1803.05407)", at_least=0
    )
    augment: str | None = option(
        None, "augmentations of the images: flip, crop and cutout, joined by +", choices=("flip", "crop", "cutout")
    )
    budget: str | None = option(
        None, "budget of the inner attack; on the command line, the default is that of the data set", choices=BEGINNINGS
    )
    attack_steps: int = option(
        10, "steps of the inner attack; for texts, replacements it tries in each round", at_least=1
    )
    deployed: str | None = option(
        None,
        "what is trained and validated: single draws, or mean-S, the mean of S draws as one network, in the inner "
        "attack too; by default mean-K for a network of K modes",
        choices=("single", "mean-"),
    )
    each_draw: float = option(
        1.0, "with deployed mean-S, weight of the mean objective of its S draws beside that of their mean", at_least=0
    )
    patience: int | None = option(
        None,
        "stop after this many epochs without a better robust validation accuracy (Rice et al. 2020, arXiv:2002.11569)",
        at_least=1,
    )
    keep: Keep = option("last", "epoch to keep: last, or best for the best robust validation accuracy")
    validation_steps: int = option(
        10, "steps of the PGD attack that measures the robust validation accuracy", at_least=1
    )
    validation_examples: int = option(
        512, "number of examples for the robust validation accuracy, the same at every epoch", at_least=1
    )
    curve_examples: int | None = option(
        None,
        "training and validation examples whose clean and robust accuracy is measured after every epoch; 0 for none; "
        "by default up to 512 in adversarial training, as far as it takes 2 % longer",
        at_least=0,
    )
    precision: Precision = option("32-true", "32-true, bf16-mixed, 16-mixed or 64-true")
    seed: int = option(0, "seed of all randomness in the training; the same seed gives the same network")
    devices: int = option(
        1, "number of processes, one per device; from Python, more than one needs a script", at_least=1
    )
    accelerator: str = option("auto", "auto, cpu, cuda, mps", choices=("auto", "cpu", "cuda", "mps"))
    log: Log | None = option(
        None,
        "where losses, accuracies and scales go after every epoch: tensorboard or csv (a command writes to OUT/csv), "
        "or the trackers mlflow, wandb and trackio; in Python also your own function of a dictionary and an epoch",
    )

    @property
    def objective_or_default(self) -> str:
        """The objective; cross-entropy where none is named."""
        return USUAL if self.objective is None else self.objective

    @property
    def selects(self) -> bool:
        """Whether epochs are compared by their robust accuracy."""
        return self.patience is not None or self.keep == "best"

    def numbers(self) -> dict[str, Any]:
        """The options that affect the result; devices and logging do not."""
        numbers = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in NEUTRAL}
        priors = list(numbers.pop("priors"))
        return numbers | ({"priors": priors} if priors else {})  # absent in older cards
