"""A pipeline of transformers as a network: from inputs in [0, 1] to logits, with the pipeline's own preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.inputs.words import PADDING, ids_of

RESAMPLED = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
EXPECTED = "a pipeline for image-classification or text-classification"


def is_pipeline(value: object) -> bool:
    """Whether a value is a pipeline of transformers, which is not imported for this."""
    return any(kind.__module__ == "transformers.pipelines.base" for kind in type(value).__mro__)


def network_of(pipeline: Any, *, words: Sequence[str] = ()) -> nn.Module:
    """The network of a pipeline, which keeps its preprocessing: what answers in a program is what is audited.

    Images of shape (B, C, H, W) in [0, 1] are resized, cropped and normalized as the pipeline's processor does, with
    gradients; a single channel is repeated. Texts are words of a vocabulary, joined by spaces, which the pipeline's
    tokenizer cuts into pieces: attacks replace words and see logits, since a written text has no gradient.

    Args:
        pipeline: a pipeline for image-classification or text-classification.
        words: for texts, the vocabulary: ``variate.about(data).modality.words``; ``variate audit`` passes it.

    Raises:
        UsageError: for another pipeline, and for preprocessing that cannot be followed.
    """
    if not is_pipeline(pipeline):
        raise UsageError(f"this is a {type(pipeline).__name__}", expected=EXPECTED)
    if pipeline.task == "image-classification":
        return ImagePipeline(pipeline.model, pipeline.image_processor)
    if pipeline.task == "text-classification":
        return TextPipeline(pipeline.model, pipeline.tokenizer, words)
    raise UsageError(f"this is a pipeline for {pipeline.task}", expected=EXPECTED)


class ImagePipeline(nn.Module):
    """A model with the processor that its images pass.

    Args:
        model: a model for image classification.
        processor: its image processor.
    """

    def __init__(self, model: nn.Module, processor: Any) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self._size = dict(processor.size) if getattr(processor, "do_resize", False) else {}
        self._crop = dict(processor.crop_size) if getattr(processor, "do_center_crop", False) else {}
        normalizes = getattr(processor, "do_normalize", False)
        self._mean = torch.tensor(processor.image_mean if normalizes else [0.0]).view(-1, 1, 1)
        self._std = torch.tensor(processor.image_std if normalizes else [1.0]).view(-1, 1, 1)
        self._resample = RESAMPLED.get(int(getattr(processor, "resample", None) or 0), "")
        unknown = {*self._size} - {"height", "width", "shortest_edge"}
        if (self._size and not self._resample) or unknown or {*self._crop} - {"height", "width"}:
            raise UsageError(
                f"{type(processor).__name__} resizes in a way that cannot be followed: size {self._size}, crop "
                f"{self._crop}, resample {getattr(processor, 'resample', None)}",
                expected="a height and a width, or a shortest edge; nearest, bilinear or bicubic",
                todo="resize the images before, and pass the model alone, with its normalization inside",
            )

    def forward(self, x: Tensor) -> Any:
        """Images of shape (B, C, H, W) in [0, 1] to the model's output."""
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        x = self._cropped(self._resized(x))
        return self.model(pixel_values=(x - self._mean.to(x)) / self._std.to(x))

    def _resized(self, x: Tensor) -> Tensor:
        """Resized as Pillow does, with antialiasing, into [0, 1]."""
        size = _target(self._size, x.shape[-2], x.shape[-1])
        if size == tuple(x.shape[-2:]):
            return x
        if self._resample == "nearest-exact":
            return F.interpolate(x, size, mode=self._resample)
        return F.interpolate(x, size, mode=self._resample, align_corners=False, antialias=True).clamp(0.0, 1.0)

    def _cropped(self, x: Tensor) -> Tensor:
        """Cropped at the center; an image that is smaller gets a black border."""
        if not self._crop:
            return x
        height, width = self._crop["height"], self._crop["width"]
        below, beside = max(0, height - x.shape[-2]), max(0, width - x.shape[-1])
        x = F.pad(x, (beside // 2, beside - beside // 2, below // 2, below - below // 2))
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        return x[..., top : top + height, left : left + width]


class TextPipeline(nn.Module):
    """A model with its tokenizer, on the words of a vocabulary.

    Args:
        model: a model for text classification.
        tokenizer: its tokenizer.
        words: the vocabulary; index 0 is padding.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, words: Sequence[str] = ()) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self._tokenizer, self._words = tokenizer, tuple(words)

    def with_words(self, words: Sequence[str]) -> TextPipeline:
        """The same model for texts of another vocabulary."""
        return TextPipeline(self.model, self._tokenizer, words)

    def forward(self, x: Tensor) -> Any:
        """Texts of shape (B, T, 1), each word its index divided by 65,536, to the model's output."""
        device = next(self.model.parameters()).device
        pieces = self._tokenizer(self.texts(x), padding=True, truncation=True, return_tensors="pt")
        return self.model(**{name: tensor.to(device) for name, tensor in pieces.items()})

    def texts(self, x: Tensor) -> list[str]:
        """The texts as the tokenizer gets them, words joined by spaces. Raises ``UsageError`` without a vocabulary."""
        if not self._words:
            raise UsageError(
                "the pipeline reads texts, and the inputs are numbers of words",
                expected="the vocabulary of the data",
                todo="network_of(pipeline, words=variate.about(data).modality.words)",
            )
        return [" ".join(self._words[index] for index in row if index != PADDING) for row in ids_of(x).tolist()]


def _target(size: Mapping[str, int], height: int, width: int) -> tuple[int, int]:
    """The height and width after resizing."""
    if "shortest_edge" in size:
        edge = size["shortest_edge"]
        if height < width:
            return edge, int(edge * width / height)
        return int(edge * height / width), edge
    return (size["height"], size["width"]) if size else (height, width)
