"""A random network as a model of Foolbox or ART, for attacks run with these libraries directly.

Each forward pass averages over fresh draws, so their attacks see the network as it is: gradients are averages over
draws, and every query is answered with new draws. Their success rates are measured on draws that may have guided the
search; judge the adversarial examples that they find with ``variate.evaluate`` or ``variate.judge_until``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from variate.optional import imported
from variate.oracle.averaging import Average, FreshAverage
from variate.random.keys import Stream


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
    return library.PyTorchModel(
        FreshAverage(network, draws, average=average, stream=Stream("search", seed)), **arguments
    )


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
    return library.PyTorchClassifier(
        FreshAverage(network, draws, average=average, stream=Stream("search", seed)), **arguments
    )


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
