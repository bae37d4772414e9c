"""The memory of earlier draws, used again when nothing else holds it."""

from __future__ import annotations

import sys

import torch
from torch import Tensor


class Memory:
    """Tensors of earlier calls by index, each handed out again as soon as nothing else holds it.

    Fresh memory costs more than the noise that goes into it: every page is faulted in anew.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Tensor] = {}

    def take(self, index: int, like: Tensor, copies: int | None = None) -> Tensor:
        """Memory for a tensor like ``like``, or for ``copies`` of it in a row of their own dimension.

        It is that of the last call with this index, or new if anything still holds that.
        """
        shape = like.shape if copies is None else (copies, *like.shape)
        tensor = self._kept.pop(index, None)
        if tensor is None or not _fits(tensor, like, shape) or not _free(tensor):
            tensor = torch.empty(shape, dtype=like.dtype, device=like.device)
        self._kept[index] = tensor
        return tensor


def _fits(tensor: Tensor, like: Tensor, shape: tuple[int, ...]) -> bool:
    return tensor.shape == shape and tensor.dtype == like.dtype and tensor.device == like.device


def _free(tensor: Tensor) -> bool:
    """Whether nothing but ``tensor``'s one name refers to it: no module, no graph, no view, no other name."""
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        return False  # what inference mode made cannot be part of a graph
    storage = tensor.untyped_storage()
    return (
        sys.getrefcount(tensor) <= 3  # the caller's name, ours, and getrefcount's argument
        and tensor._use_count() == 1  # type: ignore[attr-defined]
        and torch._C._storage_Use_Count(storage._cdata) <= 2  # the tensor's own, and the one just taken
    )
