"""One forward of a random network: draw, put the draw where the modules look for their weights, run, remove it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from variate.random.draw.shadows import Places
from variate.random.handle import Handle, handle_of
from variate.random.noise import traced
from variate.random.parameters import parameter_at


def drawing(original: type[nn.Module]) -> Callable[..., Any]:
    """A forward that runs the one of the user's class with the draw of the next key; it has the same signature.

    Activation checkpointing reruns parts of a forward during the backward pass. A hook on every output therefore puts
    this forward's draw back in place until that backward pass has ended.
    """

    @functools.wraps(original.forward)
    def drawn_forward(net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return _traced(net, original.forward, args, kwargs)
        handle = handle_of(net)
        recording = torch.is_grad_enabled()
        with handle.turn:
            places = handle.places_in(net)
            with nullcontext() if handle.held().learn or not recording else torch.no_grad():
                drawn = handle.draws.draw(handle.take_key(), places.groups(), handle.units(net))
            places.put(drawn)
            try:
                output = original.forward(net, *args, **kwargs)
            finally:
                places.clear()
        if recording:
            for tensor in (output,) if isinstance(output, Tensor) else tree_leaves(output):
                if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                    tensor.register_hook(functools.partial(_put_back, handle, places, drawn))  # type: ignore[no-untyped-call]
        return output

    return drawn_forward


def _put_back(handle: Handle, places: Places, drawn: Sequence[Tensor], gradient: Tensor) -> None:
    with _turn_in_backward(handle):
        places.put(drawn)
    for tensor in drawn:
        node: Any = tensor.grad_fn
        if hasattr(node, "pass_of_output"):  # distinguishes the passes of reentrant checkpoints
            node.pass_of_output = torch._C._current_graph_task_id()
            break  # all share one node
    torch.autograd.Variable._execution_engine.queue_callback(functools.partial(_clear, handle, places))


def _clear(handle: Handle, places: Places) -> None:
    with _turn_in_backward(handle):
        places.clear()


def _turn_in_backward(handle: Handle) -> AbstractContextManager[Any]:
    """The turn of the thread that runs a backward pass: no draw changes within another thread's forward pass.

    Autograd's own threads, which serve devices, do not wait: a forward pass may be waiting for them.
    """
    of_autograd = isinstance(threading.current_thread(), threading._DummyThread)
    return nullcontext() if of_autograd else handle.turn


def _traced(net: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The same, in operations that a tracer can follow, with a key that is data."""
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
