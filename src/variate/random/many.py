"""Many draws of a random network at once: its outputs under many keys, and input gradients averaged over them.

The loop over keys is the reference. Where one forward pass is too small to fill the machine, draws run in groups, each
group as one batched computation (``torch.func.vmap``), which agrees with the loop up to rounding. ``group_size``
decides by device and shapes, never by timing, so that a seed always gives the same numbers on one machine. The loop
remains for a network that draws from anything but its key (dropout in train mode, noise from a generator) and for one
with an operation that vmap has no rule for.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError
from variate.random.fixing import fixed
from variate.random.handle import handle_of
from variate.random.keys import check_keys

if TYPE_CHECKING:
    from variate.random.draw.shadows import Places
    from variate.random.network import RandomNetwork

Loss = Callable[[Tensor], Tensor]
Hold = Callable[[int], AbstractContextManager[None]]
LEAST = 4  # draws: a group of fewer does not pay
SMALL = 8  # examples on a CPU: more keep two cores busy without grouping (benchmarks/draws.py)
LIGHT = 2**22  # bytes of one draw's weights on a CPU: more take longer to read than to multiply
WEIGHTS = 2**25  # bytes of weights in one group on a CPU
WIDE = 1024  # examples times draws in one group on another device
WIDE_WEIGHTS = 2**28  # bytes of weights in one group on another device
TOLERANCE = 1e-4  # relative to the largest output: rounding of reordered sums in single precision


@dataclass(frozen=True)
class Passes:
    """Forward and backward passes under many keys.

    Attributes:
        logits: logits of every draw, shape (S, B, K).
        loss: loss averaged over the draws, shape (B,).
        gradient: gradient of that loss with respect to the inputs, shape (B, ...).
    """

    logits: Tensor
    loss: Tensor
    gradient: Tensor


def draws(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> Tensor:
    """The outputs of ``net`` under every key, without gradients: shape (S, B, ...).

    Args:
        net: the random network.
        x: inputs, shape (B, ...).
        keys: S different keys.

    Raises:
        UsageError: for keys that repeat.
    """
    keys, outputs = check_keys(keys), []
    with torch.no_grad():
        size = group_size(net, x, keys)
        if size > 1:
            return torch.cat([grouped(net, x, keys[start : start + size]) for start in range(0, len(keys), size)])
        for key in keys:
            with fixed(net, key, learn=False):
                outputs.append(_one_tensor(net(x)))
    return torch.stack(outputs)


def _one_tensor(output: Any) -> Tensor:
    """``output``, if it can be stacked with others."""
    if not isinstance(output, Tensor):
        raise UsageError(
            f"the network returns a {type(output).__name__}, and draws are stacked tensors",
            todo="wrap the module in one that returns a single tensor, or loop: with net.fixed(key): net(x)",
        )
    return output


def input_gradient(net: RandomNetwork, x: Tensor, loss: Loss, keys: Sequence[int]) -> Passes:
    """The loss averaged over the draws of ``keys``, and its gradient with respect to the inputs.

    Args:
        net: the random network; no gradient reaches its parameters.
        x: inputs, shape (B, ...).
        loss: a loss per example: outputs (B, K) to (B,).
        keys: S different keys.

    Raises:
        UsageError: for keys that repeat.
    """
    keys = check_keys(keys)
    with torch.enable_grad():
        size = group_size(net, x, keys)
    parts = list(passes(net, x, loss, keys, partial(fixed, net, learn=False), size))
    shares = [len(part.logits) / len(keys) for part in parts]
    value = torch.stack([share * part.loss for share, part in zip(shares, parts, strict=True)]).sum(0)
    slope = torch.stack([share * part.gradient for share, part in zip(shares, parts, strict=True)]).sum(0)
    return Passes(torch.cat([part.logits for part in parts]), value, slope)


def passes(
    module: nn.Module, x: Tensor, loss: Loss, keys: Sequence[int], hold: Hold, size: int = 1
) -> Iterator[Passes]:
    """Forward and backward passes, one group of draws at a time; single draws if ``size`` is 1.

    Args:
        module: any module; a random network if ``size`` is not 1.
        x: inputs, shape (B, ...).
        loss: a loss per example: outputs (B, K) to (B,).
        keys: S keys.
        hold: function from a key to the context in which the module uses the draw of that key.
        size: number of draws at once, from ``group_size``.

    Raises:
        InputError: if the loss is not a differentiable function of the inputs.
    """
    for start in range(0, len(keys), size):
        leaf = x.detach().clone().requires_grad_(True)
        if size > 1:
            with torch.enable_grad():
                logits = grouped(module, leaf, keys[start : start + size])  # (S, B, K)
                value = torch.stack([loss(logits_of_draw) for logits_of_draw in logits]).mean(0)
                slope = _slope(value, leaf)
            yield Passes(logits.detach(), value.detach(), slope)
            continue
        with torch.enable_grad(), hold(keys[start]):
            logits = module(leaf)
            value = loss(logits)
            slope = _slope(value, leaf)
        yield Passes(logits.detach()[None], value.detach(), slope)


def group_size(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> int:
    """How many draws of ``net`` run at once on inputs ``x``, in the current grad mode; 1 means the loop.

    A function of the device, the shapes and the network: on a CPU, small batches of light networks are grouped; on
    another device, as many draws as keep a group's inputs and weights within bounds.
    """
    size = _size_limit(net, x, len(keys))
    return size if size > 1 and _can_be_grouped(net, x, keys[:2]) else 1


def _size_limit(net: RandomNetwork, x: Tensor, count: int) -> int:
    if count < LEAST or not len(x) or net._forward_hooks or net._forward_pre_hooks:
        return 1  # hooks of the whole network run outside the batched forward
    if any(module.training for module in net.modules()):
        return 1  # its passes may depend on one another (batch norm, dropout)
    weights = max(1, sum(group[0].nbytes for group in handle_of(net).places_in(net).groups()))
    if x.is_cpu:
        return min(count, WEIGHTS // weights) if len(x) <= SMALL and weights <= LIGHT else 1
    return max(1, min(count, WIDE // len(x), WIDE_WEIGHTS // weights))


_groupable: weakref.WeakKeyDictionary[Places, dict[Any, bool]] = weakref.WeakKeyDictionary()
_checking = threading.Lock()  # catching warnings is not thread-safe


def _can_be_grouped(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> bool:
    """Whether a group agrees with the loop: checked once per network, example shape and grad mode."""
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules())
    case = (torch.is_grad_enabled(), x.shape[1:], x.dtype, x.device, hooks)
    checked = _groupable.setdefault(handle_of(net).places_in(net), {})
    if case not in checked:
        with _checking:
            checked[case] = _agrees(net, x, keys)
    return checked[case]


def _agrees(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> bool:
    """Whether a group and the loop give the same draws. vmap itself refuses to draw from torch's generators."""
    leaf = x.detach().clone()
    if torch.is_grad_enabled() and leaf.is_floating_point():
        leaf.requires_grad_(True)  # some modules take another code path
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            together = grouped(net, leaf, keys)
        except Exception:  # of any kind: the loop raises it again if it is the network's own
            return False
    if caught or not isinstance(together, Tensor):  # an operation without a batching rule, which vmap runs one by one
        return False
    with fixed(net, keys[0], learn=False):
        alone = net(leaf).detach()
    if not alone.numel() or not bool(alone.isfinite().all()):
        return False
    largest = float(alone.abs().max())
    return torch.allclose(together[0].detach(), alone, rtol=TOLERANCE, atol=TOLERANCE * largest)


def grouped(net: Any, x: Tensor, keys: Sequence[int]) -> Tensor:
    """The outputs of a random network under several keys as one computation, in the caller's grad mode: (S, B, ...)."""
    handle = handle_of(net)
    places = handle.places_in(net)
    with torch.no_grad():
        weights = handle.draw_many(net, keys)  # of every site, shape (S, ...)

    def forward(weights: Sequence[Tensor], x: Tensor) -> Tensor:
        before = places.put(weights)
        try:
            output: Tensor = handle.original.forward(net, x)
        finally:
            places.back(before)
        return output

    return torch.func.vmap(forward, in_dims=(0, None))(tuple(weights), x)


def _slope(value: Tensor, leaf: Tensor) -> Tensor:
    """The gradient of a per-example loss with respect to the inputs; zeros if it does not depend on them."""
    if not value.requires_grad:
        raise InputError(
            "the network's output does not depend on its input in a differentiable way",
            todo="use a black-box attack, or transfer from a differentiable network",
        )
    slope = torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0]
    return torch.zeros_like(leaf) if slope is None else slope
