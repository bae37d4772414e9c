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

from variate.inputs.asking import own_errors
from variate.inputs.validation import checked_output, logits_in, not_logits, precise
from variate.random.fixing import fixed
from variate.random.handle import handle_of
from variate.random.inside import is_random
from variate.random.keys import check_keys
from variate.random.slope import slope_of
from variate.random.snapshot import Snapshot

if TYPE_CHECKING:
    from variate.random.draw.shadows import Places
    from variate.random.network import RandomNetwork

Loss = Callable[[Tensor], Tensor]
Hold = Callable[[int], AbstractContextManager[None]]
StackedLoss = Callable[[Tensor, int], Tensor]
LEAST = 4  # draws: a group of fewer does not pay
SMALL = 24  # examples on a CPU: more keep two cores busy without grouping (benchmarks/draws.py)
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
        InputError: if the network does not answer with one tensor.
    """
    keys, outputs = check_keys(keys), []
    with torch.no_grad():
        size = group_size(net, x, keys) if is_random(net) else 1
        if size > 1:
            return torch.cat([grouped(net, x, keys[start : start + size]) for start in range(0, len(keys), size)])
        for key in keys:
            with fixed(net, key, learn=False):
                outputs.append(checked_output(net(x.clone()), x))  # it may work in place
    return torch.stack(outputs)


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
        size = group_size(net, x, keys) if is_random(net) else 1
    parts = list(passes(net, x, loss, keys, partial(fixed, net, learn=False), size))
    shares = [len(part.logits) / len(keys) for part in parts]
    value = torch.stack([share * part.loss for share, part in zip(shares, parts, strict=True)]).sum(0)
    slope = torch.stack([share * part.gradient for share, part in zip(shares, parts, strict=True)]).sum(0)
    return Passes(torch.cat([part.logits for part in parts]), value, slope)


def passes(
    module: nn.Module,
    x: Tensor,
    loss: Loss,
    keys: Sequence[int],
    hold: Hold,
    size: int = 1,
    dtype: torch.dtype | None = None,
    *,
    stacked: StackedLoss | None = None,
) -> Iterator[Passes]:
    """Forward and backward passes, one group of draws at a time; single draws if ``size`` is 1.

    Args:
        module: any module; a random network if ``size`` is not 1.
        x: inputs, shape (B, ...).
        loss: a loss per example: outputs (B, K) to (B,).
        keys: S keys.
        hold: function from a key to the context in which the module uses the draw of that key.
        size: number of draws at once, from ``group_size``.
        dtype: type in which the module takes its inputs; by default that of ``x``, which the gradient has.
        stacked: the same loss for S draws at once: their outputs below one another, (S * B, K), and S to (S * B,).

    Raises:
        InputError: for outputs that are not logits, and for what the module's own code raises.
        GradientError: if the loss is not a differentiable function of the inputs.
    """
    dtype = x.dtype if dtype is None else dtype
    together = any(part.training for part in module.modules())  # its examples may depend on one another
    for start in range(0, len(keys), size):
        leaf = (x.clone() if x.is_inference() else x.detach()).requires_grad_(True)
        if size > 1:
            with torch.enable_grad():
                logits = precise(grouped(module, leaf.to(dtype), keys[start : start + size]))  # (S, B, K)
                value = _losses(logits, len(x), loss, stacked).mean(0)
                passed = Passes(logits.detach(), value.detach(), slope_of(value, logits, leaf, together))
            del logits, value  # whose graph holds the draw, so that its memory could not serve the next
            yield passed
            continue
        with torch.enable_grad(), hold(keys[start]):
            with own_errors(x):
                output = module(leaf.to(dtype, copy=True))  # it may work in place, which a leaf does not allow
            output = logits_in(output)
            if not isinstance(output, Tensor):
                raise not_logits(output, len(x))
            logits = precise(output)[None]  # (1, B, K)
            value = loss(logits[0])
            passed = Passes(logits.detach(), value.detach(), slope_of(value, logits, leaf, together))
        del output, logits, value
        yield passed


def _losses(logits: Tensor, examples: int, loss: Loss, stacked: StackedLoss | None) -> Tensor:
    """The loss of every draw and example: (S, B, K) to (S, B). Outputs of other shapes are refused draw by draw."""
    if stacked is None or logits.dim() != 3 or logits.shape[1] != examples:
        return torch.stack([loss(logits_of_draw) for logits_of_draw in logits])
    return stacked(logits.flatten(0, 1), len(logits)).view(len(logits), -1)


def group_size(net: RandomNetwork, x: Tensor, keys: Sequence[int], *, training: bool = False) -> int:
    """How many draws of ``net`` run at once on inputs ``x``, in the current grad mode; 1 means the loop.

    A function of the device, the shapes and the network: on a CPU, small batches of light networks are grouped; on
    another device, as many draws as keep a group's inputs and weights within bounds. A network in train mode has groups
    only if asked, and only if no module draws or writes.

    Args:
        net: the random network.
        x: inputs, shape (B, ...).
        keys: keys of the draws.
        training: whether a network in train mode may run in groups.
    """
    size = _size_limit(net, x, len(keys), training)
    return size if size > 1 and _can_be_grouped(net, x, keys[:2]) else 1


def _size_limit(net: RandomNetwork, x: Tensor, count: int, training: bool) -> int:
    if count < LEAST or not len(x) or net._forward_hooks or net._forward_pre_hooks:
        return 1  # hooks of the whole network run outside the batched forward
    if not training and any(module.training for module in net.modules()):
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
    modes = tuple(module.training for module in net.modules())
    case = (torch.is_grad_enabled(), x.shape[1:], x.dtype, x.device, hooks, modes)
    checked = _groupable.setdefault(handle_of(net).places_in(net), {})
    if case not in checked:
        with _checking:
            checked[case] = _agrees(net, x, keys)
    return checked[case]


def _agrees(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> bool:
    """Whether a group and the loop give the same draws. vmap itself refuses to draw from torch's generators.

    A network that writes to its buffers has no group: each draw would meet what the one before has left.
    """
    leaf = x.detach().clone()
    if torch.is_grad_enabled() and leaf.is_floating_point():
        leaf.requires_grad_(True)  # some modules take another code path
    found = Snapshot(net)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            together = grouped(net, leaf, keys)
        except Exception:  # of any kind: the loop raises it again if it is the network's own
            return False
        finally:
            written = found.put_back(whole=True)
    if (
        caught or written or not isinstance(together, Tensor)
    ):  # an operation without a batching rule, which vmap runs one by one
        return False
    with fixed(net, keys[0], learn=False):
        alone = net(leaf.clone()).detach()
    if not alone.numel() or not bool(alone.isfinite().all()) or together.dtype != alone.dtype:  # autocast inside
        return False
    largest = float(alone.abs().max())
    return torch.allclose(together[0].detach(), alone, rtol=TOLERANCE, atol=TOLERANCE * largest)


def grouped(net: Any, x: Tensor, keys: Sequence[int], *, learn: bool = False) -> Tensor:
    """The outputs of a random network under several keys as one computation, in the caller's grad mode: (S, B, ...).

    Args:
        net: the random network.
        x: inputs, shape (B, ...).
        keys: S keys.
        learn: whether gradients reach the parameters.
    """
    handle = handle_of(net)
    places = handle.places_in(net)
    with torch.set_grad_enabled(learn and torch.is_grad_enabled()):
        weights = handle.draw_many(net, keys)  # of every site, shape (S, ...)

    def forward(weights: Sequence[Tensor], x: Tensor) -> Tensor:
        before = places.put(weights)
        try:
            output: Tensor = handle.original.forward(net, x)
        finally:
            places.back(before)
        return output

    with handle.turn:
        return torch.func.vmap(forward, in_dims=(0, None))(tuple(weights), x.clone())  # it may work in place
