"""Batches of transformers as an attack moves them: the pixels of images, and the vectors of the pieces of a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, Reach
from variate.inputs.words import RADIUS, make_movable, moved_by, offsets_of

NOT_INPUTS = ("labels", "label", "label_ids", "num_items_in_batch")  # what a Trainer passes for the loss
PIECES = 2**24  # whole numbers below are exact in float32
ROUNDING = 1e-3  # of pixels that an image processor has normalized


class Batched(nn.Module, ABC):
    """A model of transformers from what an attack may move, in [0, 1], to its output; the rest of a batch is kept.

    Args:
        model: the model.

    Attributes:
        batch: arguments of the model, of which a pass takes the first rows if it has fewer inputs.
        modality: what may be moved; None: every value.
    """

    key: ClassVar[str]  # the argument by which batches of this kind are known
    norms: ClassVar[tuple[str, ...]]
    modality: Modality | None = None

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.batch: Mapping[str, Any] = {}

    def keep(self, batch: Mapping[str, Any]) -> Tensor:
        """Keep the arguments of a batch; its inputs in [0, 1], shape (B, ...)."""
        self.batch = {name: value for name, value in batch.items() if name not in NOT_INPUTS}
        return self.inputs()

    def forward(self, x: Tensor) -> Any:
        """Inputs of shape (B, ...) to the output of the model."""
        rows = {
            name: value[: len(x)] if isinstance(value, Tensor) and value.dim() else value
            for name, value in self.batch.items()
        }
        with self.moved(x, rows) as arguments:
            return self.model(**arguments)

    @abstractmethod
    def inputs(self) -> Tensor:
        """The inputs of the batch that is kept, in [0, 1]: (B, ...)."""

    @abstractmethod
    def moved(self, x: Tensor, arguments: Mapping[str, Any]) -> Any:
        """A context with the arguments under which the model sees the inputs ``x``."""

    def close(self) -> None:
        """Leave the model as it was."""


class Pixels(Batched):
    """Images, which a processor has normalized with a mean and a standard deviation of each channel."""

    key = "pixel_values"
    norms = ("linf", "l2", "l1")

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(model)
        self._mean, self._std = (torch.tensor(list(values)).view(-1, 1, 1) for values in (mean, std))

    def inputs(self) -> Tensor:
        """The pixels, (B, C, H, W). Raises ``InputError`` if they are not in [0, 1]."""
        given: Tensor = self.batch[self.key]
        pixels = given.float() * self._std.to(given.device) + self._mean.to(given.device)
        low, high = float(pixels.min()), float(pixels.max())
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise InputError(
                f"pixels range from {low:.4g} to {high:.4g} after normalization with mean "
                f"{self._mean.flatten().tolist()} and std {self._std.flatten().tolist()} is undone",
                expected="pixels in [0, 1], in which the budget is given",
                todo="pass mean= and std= of the image processor, or the processor itself as processing_class of the "
                "Trainer",
            )
        return pixels.clamp(0.0, 1.0)

    @contextmanager
    def moved(self, x: Tensor, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The arguments with other pixels."""
        pixels = (x - self._mean.to(x)) / self._std.to(x)
        yield {**arguments, self.key: pixels.to(self.batch[self.key].dtype)}


@dataclass(frozen=True)
class Vectors(Modality):
    """Vectors of the pieces of a text: the first value says which piece it is, 0 for padding, the others move it."""

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Every vector but those of padding."""
        scale = (x[..., :1] > 0).to(x).expand_as(x).clone()  # (B, T, 1 + E)
        scale[..., 0] = 0
        points = budget.with_size(str(budget.size / Fraction(2 * RADIUS)))
        return Reach(x, points, unit=2 * RADIUS, scale=scale)


class Pieces(Batched):
    """Texts, whose pieces are looked up in the input embedding of the model: offsets are added to their vectors."""

    key = "input_ids"
    norms = ("l2", "linf")
    modality = Vectors()

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        find = getattr(model, "get_input_embeddings", None)
        embedding = None if find is None else find()
        if not isinstance(embedding, nn.Embedding):
            raise UsageError(
                f"{type(model).__name__} has no input embedding, so its word vectors cannot be moved",
                expected="a torch.nn.Embedding from get_input_embeddings()",
            )
        self._width = embedding.embedding_dim
        self._hook = make_movable(embedding)

    def inputs(self) -> Tensor:
        """The pieces without offsets: (B, T, 1 + E)."""
        ids: Tensor = self.batch[self.key]
        mask = self.batch.get("attention_mask")
        named = (ids + 1) if mask is None or mask.shape != ids.shape else torch.where(mask > 0, ids + 1, 0)
        x = torch.full((*ids.shape, 1 + self._width), 0.5, device=ids.device)
        x[..., 0] = named / PIECES
        return x

    @contextmanager
    def moved(self, x: Tensor, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The same arguments, with the embedding adding offsets meanwhile."""
        with moved_by(offsets_of(x, self._width)):
            yield {**arguments}

    def close(self) -> None:
        """Remove the hook from the embedding."""
        if self._hook is not None:
            self._hook.remove()


def seen_as(
    model: nn.Module,
    batch: Mapping[str, Any],
    budget: str,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Batched:
    """The model as an attack within a budget sees it. Raises ``UsageError`` for another norm or kind of batch."""
    seen = _batched(model, batch, mean=mean, std=std)
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


def normalization(
    processor: Any, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float] | None, Sequence[float] | None]:
    """The mean and standard deviation of the pixels: as given, or else those of an image processor."""
    if mean is not None or std is not None or not getattr(processor, "do_normalize", False):
        return mean, std
    return list(processor.image_mean), list(processor.image_std)


def _batched(
    model: nn.Module, batch: Mapping[str, Any], *, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Batched:
    """A model as an attack sees it, for batches like this one. Raises ``UsageError`` for other batches."""
    if Pixels.key in batch:
        return Pixels(model, mean or (0.0,), std or (1.0,))
    if Pieces.key in batch:
        return Pieces(model)
    raise UsageError(
        f"the batch has {', '.join(batch) or 'no named arguments'}",
        expected=f"{Pixels.key} or {Pieces.key}, as an image processor or a tokenizer returns them",
    )
