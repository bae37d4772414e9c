"""Any module under a key: ours by its own draws, any other by the seed of torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from variate.inputs.validation import checked_logits
from variate.random.average import AverageNetwork
from variate.random.fixing import fixed
from variate.random.keys import Stream, legacy_seed, sibling
from variate.random.many import Loss, Passes, group_size, grouped, passes
from variate.random.network import RandomNetwork

Kind = Literal["deterministic", "keyed", "unkeyed"]


@contextmanager
def under(module: nn.Module, key: int) -> Iterator[None]:
    """Inside, ``module`` computes with the draw of ``key``, and nothing is recorded for its parameters.

    Every ``RandomNetwork`` in it uses its own draw. Anything that draws from torch's global generator finds it seeded
    from the key; the generator is put back as it was.
    """
    devices = _cuda_devices(module)
    with torch.random.fork_rng(devices=devices), ExitStack() as stack:
        torch.default_generator.manual_seed(legacy_seed(key))  # torch.manual_seed would format stack traces, each time
        if devices:
            torch.cuda.manual_seed_all(legacy_seed(key))
        for number, network in enumerate(_random_networks(module)):
            stack.enter_context(fixed(network, sibling(key, number), learn=False))
        yield


def outputs_under(module: nn.Module, x: Tensor, keys: Sequence[int], *, alone: bool = False) -> Tensor:
    """The logits under every key without gradients, checked: (S, B, K).

    Args:
        module: any module.
        x: inputs, shape (B, ...).
        keys: S keys.
        alone: whether draws must not run in groups, which take more memory: see ``variate.random.many``.

    Raises:
        InputError: for outputs that are not one row of logits per example.
    """
    logits: list[Tensor] = []
    with torch.no_grad():
        if isinstance(module, RandomNetwork) and not alone and (size := group_size(module, x, keys)) > 1:
            for start in range(0, len(keys), size):
                logits += [checked_logits(one, x) for one in grouped(module, x, keys[start : start + size])]
            return torch.stack(logits)
        for key in keys:
            with under(module, key):
                logits.append(checked_logits(module(x), x))
    return torch.stack(logits)


def passes_under(
    module: nn.Module, x: Tensor, loss: Loss, keys: Sequence[int], *, alone: bool = False
) -> Iterator[Passes]:
    """Logits, loss and input gradient of one draw, or of one group of draws, after another.

    Args:
        module: any module.
        x: inputs, shape (B, ...).
        loss: a loss per example: logits (B, K) to (B,); it checks the logits.
        keys: S keys.
        alone: whether draws must not run in groups.
    """
    with torch.enable_grad():
        size = 1 if alone or not isinstance(module, RandomNetwork) else group_size(module, x, keys)
    return passes(module, x, loss, keys, partial(under, module), size)


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
    if _random_networks(module):
        return "keyed"
    first, second = Stream("probe", 0).take(2)
    with torch.no_grad(), left_as_found(module):
        with under(module, first):
            before = _generator_states(module)
            one = module(x)
            consumed = any(map(_differ, before, _generator_states(module)))
        with under(module, first):
            again = module(x)
        with under(module, second):
            other = module(x)
    if _differ(one, again):
        return "unkeyed"
    return "keyed" if consumed or _differ(one, other) else "deterministic"


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether two outputs differ: at all on the CPU, by more than the rounding of unordered sums on a GPU."""
    if not one.is_cuda:
        return not torch.equal(one, other)
    return not torch.allclose(one, other, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


def _generator_states(module: nn.Module) -> list[Tensor]:
    """The states of torch's global generators that the module could draw from."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in _cuda_devices(module))]


def _random_networks(module: nn.Module) -> list[RandomNetwork]:
    """The random networks in a module, without those that an average holds at keys of its own."""
    parts = list(module.modules())
    held = {id(part.network) for part in parts if isinstance(part, AverageNetwork)}
    return [part for part in parts if isinstance(part, RandomNetwork) and id(part) not in held]


def _cuda_devices(module: nn.Module) -> list[int]:
    parameter = next(module.parameters(), None)
    return [parameter.device.index or 0] if parameter is not None and parameter.is_cuda else []


def _changes_buffers(module: nn.Module) -> bool:
    """A forward pass changes buffers only where some module is in train mode."""
    return any(submodule.training for submodule in module.modules())
