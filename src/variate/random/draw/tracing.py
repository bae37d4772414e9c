"""A forward inside a graph: with a key that is data where the graph can draw, or an error where it would keep one draw.

``torch.compile`` and ``torch.export`` follow Python, ``torch.jit.trace`` and the older ONNX exporter record operations:
both draw anew at every run of the graph. ``torch.fx.symbolic_trace`` and ``make_fx`` cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from variate.errors import UsageError
from variate.random.handle import handle_of
from variate.random.noise import traced
from variate.random.parameters import parameter_at


def traced_forward(net: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A forward with one draw, in operations that a tracer can follow, under a key that is data."""
    handle = handle_of(net)
    if handle.holds_draw():
        return forward(net, *args, **kwargs)
    if not torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export():
        with traced.random_operations() if handle.key is None else nullcontext():
            return _drawn(net, forward, args, kwargs)
    return _drawn(net, forward, args, kwargs)


def _drawn(net: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    handle = handle_of(net)
    key = traced.key_of(handle.ticket, handle.holder, handle.key)
    groups = [tuple([parameter_at(net, place) for place in places]) for places in handle.draws.places]
    with torch.set_grad_enabled(torch.is_grad_enabled() and handle.learn):
        drawn = handle.draws.traced(key, groups, handle.units(net))
    shadows = [(owner, index) for index, site in enumerate(handle.sites) for owner in site.owners]
    for (path, attribute), index in shadows:
        vars(net.get_submodule(path))[attribute] = drawn[index]
    output = forward(net, *args, **kwargs)
    for (path, attribute), _ in shadows:
        del vars(net.get_submodule(path))[attribute]
    return output


def check_tracers(net: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` inside a tracer that would keep one draw for ever, unless that draw was chosen."""
    handle = handle_of(net)
    if any(isinstance(value, torch.fx.Proxy) for value in (*args, *kwargs.values())):
        raise UsageError(
            "torch.fx.symbolic_trace would record the layers of a random network without its draws",
            todo="trace the plain module and randomize the result, which is a module too; or trace net.at(key)",
        )
    if torch._C._len_torch_dispatch_stack() and handle.held().key is None and not handle.holds_draw():
        from torch.fx.experimental.proxy_tensor import get_proxy_mode

        if get_proxy_mode() is not None:
            raise UsageError(
                "make_fx (and torch.func.linearize, which uses it) would keep one draw for ever",
                todo="choose it: with net.fixed(key): ...; or use torch.compile or torch.export, which draw anew",
            )
