"""Any module under a key: a random network by its own draws, others through the seed of torch's global generator."""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import chain
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from variate.errors import InputError
from variate.inputs.asking import asked, own_errors
from variate.inputs.validation import checked_logits
from variate.random.fixing import holding
from variate.random.inside import drawn_in
from variate.random.keys import Stream, legacy_seed
from variate.random.many import Hold, Loss, Passes, StackedLoss, group_size, grouped, passes
from variate.random.network import RandomNetwork
from variate.random.snapshot import Snapshot

Kind = Literal["deterministic", "keyed", "unkeyed"]
_generator = threading.RLock()  # whoever holds it may seed torch's global generator
_guarded: ContextVar[frozenset[int]] = ContextVar("_guarded", default=frozenset())  # ids of modules in left_as_found


def under(module: nn.Module, key: int) -> AbstractContextManager[None]:
    """Context in which ``module`` uses the draw of ``key``, and no gradient reaches its parameters.

    Every random network in it uses its own draw. Torch's global generator is seeded from the key, and restored at the
    end. It belongs to the whole process, so threads take turns.
    """
    return _holds_of(module)(key)


def _holds_of(module: nn.Module) -> Hold:
    """``under`` for many keys of one module, whose networks are found once."""
    return partial(_under, list(drawn_in(module).values()), _cuda_devices(module))


@contextmanager
def _under(networks: Sequence[nn.Module], devices: list[int], key: int) -> Iterator[None]:
    with _generator, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(legacy_seed(key))  # torch.manual_seed formats a stack trace at every call
        if devices:
            torch.cuda.manual_seed_all(legacy_seed(key))
        with holding(networks, key, learn=False):
            yield


def outputs_under(module: nn.Module, x: Tensor, keys: Sequence[int], *, alone: bool = False) -> Tensor:
    """The logits under every key without gradients, checked: (S, B, K).

    Args:
        module: any module.
        x: inputs, shape (B, ...).
        keys: S keys.
        alone: run one draw at a time rather than in groups, which take more memory: see ``variate.random.many``.

    Raises:
        InputError: for outputs that are not one row of logits per example.
    """
    logits: list[Tensor] = []
    x = x.to(input_type(module, x))
    with torch.no_grad():
        if isinstance(module, RandomNetwork) and not alone and (size := group_size(module, x, keys)) > 1:
            for start in range(0, len(keys), size):
                logits += [checked_logits(output, x) for output in grouped(module, x, keys[start : start + size])]
            return torch.stack(logits)
        hold = _holds_of(module)
        for key in keys:
            with hold(key):
                with own_errors(x):  # not through a function: one call less deep
                    output = module(x.clone())  # it may work in place
                logits.append(checked_logits(output, x))
    return torch.stack(logits)


def passes_under(
    module: nn.Module,
    x: Tensor,
    loss: Loss,
    keys: Sequence[int],
    *,
    alone: bool = False,
    stacked: StackedLoss | None = None,
) -> Iterator[Passes]:
    """Logits, loss and input gradient, one draw or one group of draws at a time.

    Args:
        module: any module.
        x: inputs, shape (B, ...).
        loss: a loss per example: logits (B, K) to (B,); it checks the logits.
        keys: S keys.
        alone: run one draw at a time rather than in groups.
        stacked: the same loss for the logits of several draws at once: see ``variate.random.many.passes``.
    """
    dtype = input_type(module, x)
    with torch.enable_grad():
        size = 1 if alone or not isinstance(module, RandomNetwork) else group_size(module, x.to(dtype), keys)
    return passes(module, x, loss, keys, _holds_of(module), size, dtype, stacked=stacked)


@contextmanager
def left_as_found(*modules: nn.Module) -> Iterator[None]:
    """Context that restores what forward passes change in modules (``Snapshot``) and torch's random state.

    It keeps the mode (train or eval): noise that is on in a network stays on. What a first call adds to a module is
    removed only at the end of the outermost context.
    """
    outer = _guarded.get()
    devices = sorted({device for module in modules for device in _cuda_devices(module)})
    with _generator, torch.random.fork_rng(devices=devices):
        snapshots = [(id(module) not in outer, Snapshot(module)) for module in modules]  # no other thread is at work
        token = _guarded.set(outer | {id(module) for module in modules})
        try:
            yield
        finally:
            _guarded.reset(token)
            for outermost, snapshot in snapshots:
                snapshot.put_back(whole=outermost)


@contextmanager
def generators_as_found() -> Iterator[None]:
    """Context that restores the states of numpy's and Python's global generators.

    Only at the doors of the package: between two batches it would give a network that draws there the same draws again.
    """
    states = np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])


def kind_of(module: nn.Module, x: Tensor) -> Kind:
    """Whether ``module`` is random in its current mode, and whether a key reproduces its draws.

    ``deterministic``: it neither consumes torch's global generator nor changes its outputs. ``keyed``: the same key
    gives the same outputs. ``unkeyed``: it draws from another source (numpy, a generator of its own), so no draw can be
    repeated.

    Args:
        module: any module.
        x: a few inputs, shape (B, ...).
    """
    if drawn_in(module):
        return "keyed"
    first, second = Stream("probe", 0).take(2)
    x = x.to(input_type(module, x))
    with torch.no_grad(), left_as_found(module):
        if any(map(is_lazy, module.parameters())):
            with under(module, first):
                asked(module, x)  # which makes its parameters, by chance
        with under(module, first):
            before = _generator_states(module)
            output = asked(module, x)
            consumed = any(map(_differ, before, _generator_states(module)))
        with under(module, first):
            repeated = asked(module, x)
        with under(module, second):
            redrawn = asked(module, x)
    if _differ(output, repeated):
        return "unkeyed"
    return "keyed" if consumed or _differ(output, redrawn) else "deterministic"


def draws_elsewhere(module: nn.Module, x: Tensor) -> bool:
    """Whether the same key gives different outputs: it draws from NumPy, or from a generator of its own."""
    key = Stream("probe", 0).next()
    with left_as_found(module):
        output, repeated = (outputs_under(module, x, [key])[0] for _ in range(2))
    return _differ(output, repeated)


_types: weakref.WeakKeyDictionary[nn.Module, dict[tuple[frozenset[torch.dtype], torch.dtype], torch.dtype]]
_types = weakref.WeakKeyDictionary()


def input_type(module: nn.Module, x: Tensor) -> torch.dtype:
    """The type in which ``module`` takes inputs: that of ``x`` if it takes them, else one of its own.

    Points of a search stay in single or double precision, whatever the network computes in. Which type it takes is
    found by a pass of two inputs, not by the type of some parameter: a network in half precision may cast its inputs,
    and the first parameter may hold integer codes. A network whose numbers all have the type of ``x`` is not tried.

    Args:
        module: any module.
        x: inputs, shape (B, ...).
    """
    own = [tensor for tensor in chain(module.parameters(), module.buffers()) if tensor.is_floating_point()]
    held = frozenset(tensor.dtype for tensor in own)
    if held <= {x.dtype} or not len(x) or not x.is_floating_point():
        return x.dtype
    known = _types.setdefault(module, {})
    if (held, x.dtype) not in known:
        sizes = {dtype: sum(tensor.numel() for tensor in own if tensor.dtype == dtype) for dtype in held - {x.dtype}}
        tried = [x.dtype, *sorted(sizes, key=lambda dtype: -sizes[dtype])]
        accepted = [dtype for dtype in tried if _takes(module, x[:2].to(dtype))]
        if not accepted:
            return x.dtype  # the pass itself says why
        known[held, x.dtype] = accepted[0]
    return known[held, x.dtype]


def _takes(module: nn.Module, x: Tensor) -> bool:
    """Whether a pass of ``module`` succeeds; it leaves no trace."""
    try:
        with torch.no_grad(), left_as_found(module), under(module, Stream("probe", 0).next()):
            asked(module, x)
    except InputError as error:
        return "NaN" in error.problem  # a mistake of another kind, which the pass itself reports
    return True


def _differ(first: Tensor, second: Tensor) -> bool:
    """Whether two outputs differ: at all on the CPU, by more than the rounding of unordered sums on a GPU."""
    if not first.is_cuda:
        return not torch.equal(first, second)
    return not torch.allclose(first, second, rtol=1e-4, atol=1e-5 * float(first.abs().max()))


def _generator_states(module: nn.Module) -> list[Tensor]:
    """The states of torch's global generators that the module could draw from."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in _cuda_devices(module))]


def _cuda_devices(module: nn.Module) -> list[int]:
    parameter = next(module.parameters(), None)
    return [parameter.device.index or 0] if parameter is not None and parameter.is_cuda else []


def _in_a_child() -> None:
    """After a fork: another thread may have held the lock, and only the thread that forked lives on."""
    global _generator
    _generator = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)
