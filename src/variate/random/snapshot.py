"""The state of a module that a forward pass may change, and putting it back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

COPIED = 2**28  # bytes of parameters: copies of more would double the memory of a large network


@dataclass(frozen=True)
class Found:
    """One tensor as it was found.

    Attributes:
        tensor: the tensor.
        values: a copy of its values; None if they were not copied.
        learned: whether it requires gradients.
        gradient: its gradient.
        slope: a copy of the values of its gradient.
    """

    tensor: Tensor
    values: Tensor | None
    learned: bool
    gradient: Tensor | None
    slope: Tensor | None

    @classmethod
    def of(cls, tensor: Tensor, *, copied: bool) -> Found:
        """A tensor as it is now."""
        gradient = tensor.grad if tensor.is_leaf else None
        slope = None if gradient is None else gradient.detach().clone()
        return cls(tensor, tensor.detach().clone() if copied else None, tensor.requires_grad, gradient, slope)

    def put_back(self) -> bool:
        """Restore its values, its gradient and whether it requires one; whether the values had changed."""
        changed = _put(self.tensor, self.values)
        if self.tensor.is_leaf:
            if self.tensor.grad is not self.gradient:
                self.tensor.grad = self.gradient
            if self.tensor.requires_grad != self.learned:
                self.tensor.requires_grad_(self.learned)
        if self.gradient is not None:
            _put(self.gradient, self.slope)
        return changed


class Snapshot:
    """Modes, parameters, gradients and buffers of a module and its submodules.

    Parameters of more than 256 MB together are not copied. Uninitialized ones are left to the pass that makes them.

    Args:
        module: any module.
    """

    def __init__(self, module: nn.Module) -> None:
        parts = list(module.modules())
        self._sharded: list[Any] = [part for part in parts if _is_sharded(part)]
        self._reshard()
        self._modes = [(part, part.training) for part in parts]
        self._places: list[tuple[dict[str, Any], dict[str, Any]]] = []  # of each submodule, with what stood there
        self._found: dict[int, Found] = {}
        few = sum(0 if is_lazy(parameter) else parameter.nbytes for parameter in module.parameters()) <= COPIED
        self._scripted: list[tuple[nn.Module, str, Tensor]] = []  # whose tensors stand in no dictionary
        for part in parts:
            if isinstance(part, torch.jit.ScriptModule):
                tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
                self._scripted += [(part, name, tensor) for name, tensor in tensors]
                self._found |= {id(tensor): Found.of(tensor, copied=True) for _, tensor in tensors}
                continue
            for owner, copied in ((part._parameters, few), (part._buffers, True)):
                if owner:
                    self._places.append((owner, dict(owner)))
                for tensor in owner.values():
                    if tensor is not None and not is_lazy(tensor) and id(tensor) not in self._found:
                        self._found[id(tensor)] = Found.of(tensor, copied=copied)
        plain = [part for part in parts if not isinstance(part, torch.jit.ScriptModule)]
        self._empty = [owner for part in plain for owner in (part._parameters, part._buffers) if not owner]

    def put_back(self, *, whole: bool) -> bool:
        """Restore everything; whether any tensor had changed, or stood elsewhere.

        Args:
            whole: whether parameters and buffers that a pass has added are removed. A module that makes them at its
                first call would make others at the next.
        """
        changed = False
        self._reshard()
        for part, name, tensor in self._scripted:
            if getattr(part, name) is not tensor:
                changed = True
                setattr(part, name, tensor)
        for owner, before in self._places:
            added = [] if whole else [(name, tensor) for name, tensor in owner.items() if name not in before]
            if any(owner.get(name) is not tensor for name, tensor in before.items()) or len(owner) > len(before):
                changed = True
                owner.clear()
                owner.update([*before.items(), *added])
        for owner in self._empty:
            changed |= bool(owner)
            if whole:
                owner.clear()
        with torch.no_grad():
            put_back = [found.put_back() for found in self._found.values()]  # all of them
        for part, training in self._modes:
            part.training = training
        return changed or any(put_back)

    def _reshard(self) -> None:
        """Let FSDP2 put its shards back in place: after a pass, whole parameters may stand there instead."""
        for part in self._sharded:
            part.reshard()


def _is_sharded(module: nn.Module) -> bool:
    kind = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)
    return kind is not None and isinstance(module, kind)


def _put(tensor: Tensor, values: Tensor | None) -> bool:
    """Give a tensor the values of its copy, unless it has them; whether it had not."""
    if values is None or (tensor.shape == values.shape and torch.equal(tensor, values)):
        return False
    with torch.inference_mode(tensor.is_inference()):
        if tensor.shape == values.shape:
            tensor.data.copy_(values)  # not as a change that autograd counts: a graph may wait for its backward pass
        else:
            tensor.data = values
    return True
