"""A forward inside a graph: with a key that is data where the graph can draw, or an error where it would keep one draw.

``torch.compile`` and ``torch.export`` follow Python, ``torch.jit.trace`` and the older ONNX exporter record operations:
both draw anew at every run of the graph. ``torch.fx.symbolic_trace`` and ``make_fx`` cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, cast

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.handle import Handle, handle_of
from variate.random.noise import traced
from variate.random.parameters import parameter_at

_given: ContextVar[Mapping[int, Sequence[Tensor]] | None] = ContextVar("given", default=None)


@contextmanager
def given_draws(drawn: Mapping[int, Sequence[Tensor]]) -> Iterator[None]:
    """Context in which networks in a graph use tensors drawn outside it, such as inputs of the graph.

    Args:
        drawn: a drawn tensor for every site of a network, by the ``id`` of the network.
    """
    token = _given.set(drawn)
    try:
        yield
    finally:
        _given.reset(token)


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
    if _stands(net):  # the forward calls itself
        return forward(net, *args, **kwargs)
    given = _given.get() if torch.compiler.is_exporting() else None  # torch.compile cannot trace a context variable
    drawn = given[id(net)] if given else _made(net, handle)
    shadows = [(owner, index) for index, site in enumerate(handle.sites) for owner in site.owners]
    scales = _scale_places(handle)
    means = [net.get_submodule(path)._parameters[attribute] for (path, attribute), _ in shadows]
    learned = [net.get_submodule(path)._parameters.pop(name) for path, name in scales]
    for (path, attribute), index in shadows:
        net.get_submodule(path)._parameters[attribute] = drawn[index]  # type: ignore[assignment]
    try:
        return forward(net, *args, **kwargs)
    finally:
        for ((path, attribute), _), mean in zip(shadows, means, strict=True):
            net.get_submodule(path)._parameters[attribute] = mean
        for (path, name), scale in zip(scales, learned, strict=True):
            net.get_submodule(path)._parameters[name] = scale


def _made(net: nn.Module, handle: Handle) -> Sequence[Tensor]:
    """A draw that the graph makes itself."""
    key = traced.key_of(handle.ticket, handle.holder, handle.key)
    groups = [tuple([parameter_at(net, place) for place in places]) for places in handle.draws.places]
    with torch.set_grad_enabled(torch.is_grad_enabled() and handle.learn):
        return handle.draws.traced(key, groups, handle.units(net))


def _scale_places(handle: Handle) -> list[tuple[str, str]]:
    places: list[tuple[str, str]] = []
    for _, *learned in handle.draws.places:
        places += [place for place in learned if place not in places]  # one scale may be that of the whole network
    return places


def _stands(net: nn.Module) -> bool:
    """Whether a draw is in place inside a graph."""
    return any(name not in net.get_submodule(path)._parameters for path, name in _scale_places(handle_of(net)))


def graph_members(original: type[nn.Module]) -> dict[str, Any]:
    """What the random class of an fx module replaces, so that its forward keeps the draw.

    ``recompile`` writes a new forward into the class of the module, and ``torch.export`` runs the graph of an fx module
    instead of its forward.
    """
    if not issubclass(original, torch.fx.GraphModule):
        return {}

    def recompile(net: nn.Module) -> Any:
        random, net.__class__ = net.__class__, original
        try:
            return original.recompile(net)  # type: ignore[arg-type]
        finally:
            net.__class__ = random

    def graph(net: Any) -> torch.fx.Graph:
        if torch.compiler.is_exporting():
            raise UsageError(
                "torch.export would run the graph of a random network without its draws",
                todo="variate.export(net, ...) keeps them; so does torch.export of a module that contains the network",
            )
        return cast(torch.fx.Graph, own.__get__(net))

    own: Any = torch.fx.GraphModule.graph
    return {"recompile": recompile, "graph": property(graph, own.fset)}


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
