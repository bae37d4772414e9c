"""A random network as the model of Foolbox or ART, for those who attack with these libraries themselves.

Each pass averages over draws that are fresh, so an attack of theirs meets the network as it is: its gradients are
averages over draws, and its queries are answered anew. What they report as success was seen on draws that may have
guided the search: let ``variate.evaluate`` or ``variate.judge_until`` speak the verdict on what they find.
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
    """A ``foolbox.PyTorchModel`` on inputs in [0, 1], whose every pass averages over fresh draws.

    Args:
        network: from inputs to logits.
        draws: S, averaged at every pass.
        average: see ``FreshAverage``.
        seed: of the draws.
        options: of ``foolbox.PyTorchModel``, such as ``device``.

    Raises:
        UsageError: where Foolbox is not installed.
    """
    library = imported("foolbox", "foolbox")
    given = {"bounds": (0, 1), "device": _device(network), **options}
    return library.PyTorchModel(FreshAverage(network, draws, average=average, stream=Stream("search", seed)), **given)


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
    """An ART ``PyTorchClassifier`` on inputs in [0, 1], whose every pass averages over fresh draws.

    Args:
        network: from inputs to logits.
        shape: of one input, such as (3, 32, 32).
        classes: K.
        draws: S, averaged at every pass.
        average: see ``FreshAverage``.
        seed: of the draws.
        options: of ``PyTorchClassifier``, such as ``loss``.

    Raises:
        UsageError: where ART is not installed.
    """
    library = imported("art.estimators.classification", "art")
    given = {
        "loss": nn.CrossEntropyLoss(),
        "input_shape": shape,
        "nb_classes": classes,
        "clip_values": (0.0, 1.0),
        "device_type": "cpu" if _device(network).type == "cpu" else "gpu",
        **options,
    }
    return library.PyTorchClassifier(
        FreshAverage(network, draws, average=average, stream=Stream("search", seed)), **given
    )


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
