"""Many draws of a random network at once: its outputs under many keys, and input gradients averaged over them.

The loop over keys is the reference. ``vmap`` runs all draws as one batched computation, which pays where a forward pass
is too small to fill the machine; ``threads`` runs draws side by side, each on one core. All give the same numbers for
the same keys, up to rounding; ``auto`` measures them once for a network and a shape of inputs, and takes the fastest.
"""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError
from variate.random import timing as probe
from variate.random.fixing import fixed
from variate.random.handle import handle_of
from variate.random.keys import check_keys

if TYPE_CHECKING:
    from variate.random.network import RandomNetwork

Way = Literal["loop", "vmap", "threads"]
How = Literal["auto", "loop", "vmap", "threads"]
WAYS: tuple[Way, ...] = get_args(Way)
Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Passes:
    """Forward and backward passes under many keys.

    Attributes:
        logits: of every draw, shape (S, B, K).
        loss: averaged over the draws, shape (B,).
        gradient: of that loss with respect to the inputs, shape (B, ...).
    """

    logits: Tensor
    loss: Tensor
    gradient: Tensor


def draws(net: RandomNetwork, x: Tensor, keys: Sequence[int], how: How = "auto") -> Tensor:
    """The outputs of ``net`` under every key, without gradients: shape (S, B, ...).

    Args:
        net: the random network.
        x: inputs, shape (B, ...).
        keys: S different keys.
        how: ``loop``, ``vmap``, ``threads``, or ``auto``: the fastest, by a short measurement that is kept.

    Raises:
        UsageError: for keys that repeat, or a way that this network cannot take.
    """
    with torch.no_grad():
        found = _run("outputs", net, x, check_keys(keys), how, {"loop": _loop, "vmap": _vmap, "threads": _threads})
    return found[0]


def input_gradient(net: RandomNetwork, x: Tensor, loss: Loss, keys: Sequence[int], how: How = "auto") -> Passes:
    """The loss averaged over the draws of ``keys``, and its gradient with respect to the inputs.

    Args:
        net: the random network; no gradient reaches its parameters.
        x: inputs, shape (B, ...).
        loss: a loss per example: outputs (B, K) to (B,).
        keys: S different keys.
        how: see ``draws``.

    Raises:
        UsageError: for keys that repeat, or a way that this network cannot take.
    """
    ways: dict[Way, Runner] = {
        "loop": partial(_loop_gradient, loss=loss),
        "vmap": partial(_vmap_gradient, loss=loss),
        "threads": partial(_threads_gradient, loss=loss),
    }
    with torch.enable_grad():
        logits, value, gradient = _run("gradient", net, x.detach(), check_keys(keys), how, ways)
    return Passes(logits, value, gradient)


Runner = Callable[["RandomNetwork", Tensor, Sequence[int]], tuple[Tensor, ...]]


def _run(
    what: str, net: RandomNetwork, x: Tensor, keys: list[int], how: How, ways: dict[Way, Runner]
) -> tuple[Tensor, ...]:
    if how not in get_args(How):
        raise UsageError(f"there is no way {how!r} to make draws", expected=f"one of {', '.join(get_args(How))}")
    if len(keys) == 1 and how == "auto":
        how = "loop"
    if how == "auto":
        return probe.fastest(net, (what, len(keys)), x, {way: partial(run, net, x, keys) for way, run in ways.items()})
    problem = None if how == "loop" else _obstacle(net, how)
    if problem is None:
        try:
            return ways[how](net, x, keys)
        except RuntimeError as error:
            if how == "loop":
                raise
            problem = str(error).splitlines()[0]
    raise UsageError(f"this network cannot make draws by {how}: {problem}", todo="leave how='auto', or take 'loop'")


def _obstacle(net: RandomNetwork, how: Way) -> str | None:
    """What forbids a way whatever the inputs are."""
    if any(module.training for module in net.modules()):
        return "in train mode its forward passes may depend on one another (batch norm, dropout)"
    if how == "threads" and (not next(net.parameters()).is_cpu or torch.get_num_threads() < 2):
        return "there is one thread, or the network is not on the CPU"
    return None


def _loop(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> tuple[Tensor, ...]:
    return (torch.stack([_one(net, x, key) for key in keys]),)


def _one(net: RandomNetwork, x: Tensor, key: int) -> Tensor:
    with fixed(net, key, learn=False):
        output: Tensor = net(x)
    return output


def _loop_gradient(net: RandomNetwork, x: Tensor, keys: Sequence[int], *, loss: Loss) -> tuple[Tensor, ...]:
    return _averaged([_one_gradient(net, x, key, loss) for key in keys])


def _one_gradient(net: RandomNetwork, x: Tensor, key: int, loss: Loss) -> tuple[Tensor, ...]:
    leaf = x.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        logits = _one(net, leaf, key)
        value = loss(logits)
        slope = slope_of(value, leaf)
    return logits.detach(), value.detach(), slope


def slope_of(value: Tensor, leaf: Tensor) -> Tensor:
    """The gradient of a loss per example in the inputs, zeros where it does not depend on them. Raises an error."""
    if not value.requires_grad:
        raise InputError(
            "the network's output does not depend on its input in a differentiable way",
            todo="attack it with a black-box attack, or with transfer from a differentiable network",
        )
    slope = torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0]
    return torch.zeros_like(leaf) if slope is None else slope


def _averaged(passes: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    logits, values, slopes = zip(*passes, strict=True)
    count = len(passes)
    return torch.stack(logits), sum(values[1:], values[0]) / count, sum(slopes[1:], slopes[0]) / count


def _vmap(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> tuple[Tensor, ...]:
    return (_batched(net, x, handle_of(net).draw_many(net, keys)),)


def _vmap_gradient(net: RandomNetwork, x: Tensor, keys: Sequence[int], *, loss: Loss) -> tuple[Tensor, ...]:
    leaf = x.detach().clone().requires_grad_(True)
    with torch.no_grad():
        weights = handle_of(net).draw_many(net, keys)
    logits = _batched(net, leaf, weights)  # (S, B, K)
    value = torch.stack([loss(one) for one in logits]).mean(0)  # (B,)
    return logits.detach(), value.detach(), slope_of(value, leaf)


def _batched(net: RandomNetwork, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """The original forward under weights with one more, first dimension, as one computation: (S, ...).

    Args:
        net: the random network.
        x: inputs, the same for all draws.
        weights: drawn tensors of every site, each of shape (S, ...).
    """
    handle = handle_of(net)
    places = handle.places_in(net)

    def one(weights: Sequence[Tensor], x: Tensor) -> Tensor:
        places.put(weights)
        try:
            output: Tensor = handle.original.forward(net, x)
        finally:
            places.clear()
        return output

    with for_vmap():
        return torch.func.vmap(one, in_dims=(0, None))(tuple(weights), x)


@contextmanager
def for_vmap() -> Iterator[None]:
    """Without the encoder's fast path, which has no batching rule, and without advice on operations run one by one."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _threads(net: RandomNetwork, x: Tensor, keys: Sequence[int]) -> tuple[Tensor, ...]:
    return (torch.stack(_side_by_side(net, keys, lambda replica, key: _one(replica, x, key))),)


def _threads_gradient(net: RandomNetwork, x: Tensor, keys: Sequence[int], *, loss: Loss) -> tuple[Tensor, ...]:
    return _averaged(_side_by_side(net, keys, lambda replica, key: _one_gradient(replica, x, key, loss)))


def _side_by_side(net: RandomNetwork, keys: Sequence[int], run: Callable[[Any, int], Any]) -> list[Any]:
    """``run`` for every key, on as many threads as torch uses, each with a replica of its own and one core."""
    workers = torch.get_num_threads()
    grad = torch.is_grad_enabled()

    def share(replica: RandomNetwork, mine: Sequence[int]) -> list[Any]:
        torch.set_num_threads(1)
        with torch.set_grad_enabled(grad):
            return [run(replica, key) for key in mine]

    replicas = _replicas(net, workers)
    try:
        torch.set_num_threads(1)
        tasks = [_pool(workers).submit(share, replicas[i], keys[i::workers]) for i in range(workers)]
        shares = [task.result() for task in tasks]
    finally:
        torch.set_num_threads(workers)
    return [shares[i % workers][i // workers] for i in range(len(keys))]


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="variate")


_kept: weakref.WeakKeyDictionary[Any, tuple[Any, list[Any]]] = weakref.WeakKeyDictionary()


def _replicas(net: RandomNetwork, count: int) -> list[RandomNetwork]:
    """Copies of the network's structure over the same tensors; kept until a tensor or a module is another one."""
    tensors = list(chain(net.parameters(), net.buffers()))
    signature = (count, [id(tensor) for tensor in tensors], [_face(module) for module in net.modules()])
    known = _kept.get(net)
    if known is None or known[0] != signature:
        shared = {id(tensor): tensor for tensor in tensors}
        known = _kept[net] = (signature, [copy.deepcopy(net, dict(shared)) for _ in range(count)])
    return known[1]


def _face(module: nn.Module) -> tuple[Any, ...]:
    """What a module is, as far as can be told at a glance: itself, its plain attributes, how many hooks it has."""
    plain = {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | None)}
    return id(module), plain, len(module._forward_hooks), len(module._forward_pre_hooks)
