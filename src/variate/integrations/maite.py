"""MAITE's protocols for image classification: its data sets and models here, and a random network there.

The protocols are followed, not imported: MAITE need not be installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from variate.errors import InputError
from variate.serving.serving import Served


class MaiteModel:
    """A network as a model of MAITE: for every image the mean probabilities over fresh draws.

    Args:
        network: from images in [0, 1] to logits.
        draws: number of draws that each answer averages over.
        name: the ``id`` of its metadata.
    """

    def __init__(self, network: nn.Module, draws: int = 16, *, name: str = "variate") -> None:
        self.metadata = {"id": name}
        self._served = Served(network, draws)

    def __call__(self, batch: Sequence[Any]) -> list[NDArray[np.float32]]:
        """Images of shape (C, H, W) to probabilities of shape (K,), for each."""
        x = torch.stack([torch.as_tensor(np.asarray(image), dtype=torch.float32) for image in batch])
        return list(self._served(x).exp().float().cpu().numpy())


class FromMaite(nn.Module):
    """A model of MAITE as a network: it is called with images, and its probabilities or logits are the logits.

    Its gradient reaches the images if it answers with tensors that have one; otherwise attacks are black-box.

    Args:
        model: a model for image classification; if it is a module, its parameters are those of this one.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.training = bool(getattr(model, "training", False))

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape (B, C, H, W) to logits of shape (B, K)."""
        answers = torch.stack([torch.as_tensor(answer) for answer in self.model(list(x))]).to(x)
        are_probabilities = bool((answers >= 0).all()) and bool(((answers.sum(-1) - 1).abs() < 1e-4).all())
        return answers.clamp(min=torch.finfo(answers.dtype).tiny).log() if are_probabilities else answers


def maite_data(dataset: Any) -> tuple[Tensor, Tensor]:
    """The images of a data set of MAITE, (N, C, H, W) in [0, 1], and its labels, (N,). Raises ``InputError``.

    Images of bytes are divided by 255; a label is the class with the largest value in the target.
    """
    examples = [dataset[index] for index in range(len(dataset))]
    if not examples or any(len(example) != 3 for example in examples):
        raise InputError("these are not the examples of a MAITE data set", expected="(image, target, metadata)")
    images = np.stack([np.asarray(image) for image, _, _ in examples])
    x = torch.from_numpy(images).float() / (255 if images.dtype == np.uint8 else 1)
    return x, torch.tensor([int(np.asarray(target).argmax()) for _, target, _ in examples])
