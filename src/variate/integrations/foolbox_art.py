"""A random network as a model of Foolbox or ART, for attacks run with these libraries directly.

Each forward pass averages over fresh draws, so their attacks see the network as it is: gradients are averages over
draws, and every query is answered with new draws. Their success rates are measured on draws that may have guided the
search; judge the adversarial examples that they find with ``variate.evaluate`` or ``variate.judge_until``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.optional import imported
from variate.oracle.averaging import Average, check_average, scores_of
from variate.random.keys import Stream
from variate.random.seeding import under


class FreshAverage(nn.Module):
    """Scores of a network, averaged over fresh draws at every call and differentiable only in the inputs.

    The network is not a submodule, so that libraries cannot change its mode, parameters or gradients.

    Args:
        network: a network from inputs to logits, in the mode it will be used in.
        draws: number of draws per call, S.
        average: what is averaged: ``probability`` gives log probabilities; see ``variate.oracle.averaging``.
        seed: seed of the stream of keys; by default the operating system's entropy.
    """

    def __init__(
        self, network: nn.Module, draws: int = 16, *, average: Average = "probability", seed: int | None = None
    ) -> None:
        super().__init__()
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"draws is {draws!r}", expected="a whole number of at least 1")
        self.draws = draws
        self.average = check_average(average)
        self._hidden = (network, Stream("search", seed))  # in a tuple, so that it is not a submodule
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Compute scores (B, K) of inputs (B, ...)."""
        network, stream = self._hidden
        outputs = []
        for key in stream.take(self.draws):
            with under(network, key):
                outputs.append(network(x))
        return scores_of(torch.stack(outputs), self.average)


def foolbox_model(
    network: nn.Module, draws: int = 16, *, average: Average = "probability", seed: int | None = None, **options: Any
) -> Any:
    """A ``foolbox.PyTorchModel`` on inputs in [0, 1] that averages every forward pass over fresh draws.

    Args:
        network: a network from inputs to logits.
        draws: number of draws per forward pass, S.
        average: see ``FreshAverage``.
        seed: seed of the draws.
        options: options of ``foolbox.PyTorchModel``, such as ``device``.

    Raises:
        UsageError: if Foolbox is not installed.
    """
    library = imported("foolbox", "foolbox")
    arguments = {"bounds": (0, 1), "device": _device(network), **options}
    return library.PyTorchModel(FreshAverage(network, draws, average=average, seed=seed), **arguments)


def art_classifier(
    network: nn.Module,
    shape: tuple[int, ...],
    classes: int,
    draws: int = 16,
    *,
    average: Average = "probability",
    seed: int | None = None,
    **options: Any,
) -> Any:
    """An ART ``PyTorchClassifier`` on inputs in [0, 1] that averages every forward pass over fresh draws.

    Args:
        network: a network from inputs to logits.
        shape: shape of one input, such as (3, 32, 32).
        classes: number of classes, K.
        draws: number of draws per forward pass, S.
        average: see ``FreshAverage``.
        seed: seed of the draws.
        options: options of ``PyTorchClassifier``, such as ``loss``.

    Raises:
        UsageError: if ART is not installed.
    """
    library = imported("art.estimators.classification", "art")
    arguments = {
        "loss": nn.CrossEntropyLoss(),
        "input_shape": shape,
        "nb_classes": classes,
        "clip_values": (0.0, 1.0),
        "device_type": "cpu" if _device(network).type == "cpu" else "gpu",
        **options,
    }
    return library.PyTorchClassifier(FreshAverage(network, draws, average=average, seed=seed), **arguments)


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
