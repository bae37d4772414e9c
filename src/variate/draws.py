"""Any module under a key: ours by its own draws, any other by the seed of torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from variate.network import RandomNetwork
from variate.randomness import Stream, legacy_seed

Kind = Literal["deterministic", "keyed", "unkeyed"]


@contextmanager
def under(module: nn.Module, key: int) -> Iterator[None]:
    """Inside, ``module`` computes with the draw of ``key``, and nothing is recorded for its parameters.

    A ``RandomNetwork`` uses its own draw. Any module that draws from torch's global generator finds it seeded from the
    key; the generator is put back as it was.
    """
    with torch.random.fork_rng(devices=_cuda_devices(module)):
        torch.manual_seed(legacy_seed(key))
        if isinstance(module, RandomNetwork):
            with module.fixed(key, learn=False):
                yield
        else:
            yield


@contextmanager
def left_as_found(module: nn.Module) -> Iterator[None]:
    """Restore, at the end, every buffer that a forward pass changes (batch-norm statistics) and the random state.

    The mode (train or eval) is not touched: noise that is on is attacked on.
    """
    saved = {name: buffer.clone() for name, buffer in module.named_buffers()} if _changes_buffers(module) else {}
    with torch.random.fork_rng(devices=_cuda_devices(module)):
        try:
            yield
        finally:
            with torch.no_grad():
                for name, buffer in module.named_buffers():
                    if name in saved and not torch.equal(buffer, saved[name]):
                        buffer.copy_(saved[name])


def kind_of(module: nn.Module, x: Tensor) -> Kind:
    """Whether ``module`` is random in its present mode, and whether a key reproduces its draws.

    ``deterministic``: it neither consumes torch's global generator nor changes its answers. ``keyed``: the same key
    gives the same answers. ``unkeyed``: it draws from somewhere else (numpy, a generator of its own); every call is a
    fresh draw, none can be repeated.

    Args:
        module: any module.
        x: a few inputs, shape (B, ...).
    """
    if isinstance(module, RandomNetwork):
        return "keyed"
    first, second = Stream("probe", 0).take(2)
    with torch.no_grad(), left_as_found(module):
        with under(module, first):
            before = torch.get_rng_state()
            one = module(x)
            consumed = not torch.equal(before, torch.get_rng_state()) or _cuda_random(module)
        with under(module, first):
            again = module(x)
        with under(module, second):
            other = module(x)
    if not torch.equal(one, again):
        return "unkeyed"
    return "keyed" if consumed or not torch.equal(one, other) else "deterministic"


def _cuda_random(module: nn.Module) -> bool:
    """On a GPU the CPU generator tells nothing: such a module counts as random, which costs time but hides nothing."""
    return bool(_cuda_devices(module))


def _cuda_devices(module: nn.Module) -> list[int]:
    parameter = next(module.parameters(), None)
    return [parameter.device.index or 0] if parameter is not None and parameter.is_cuda else []


def _changes_buffers(module: nn.Module) -> bool:
    """A forward pass changes buffers only where some module is in train mode."""
    return any(submodule.training for submodule in module.modules())
