"""One forward of a random network: draw, put the draw where the modules look for their weights, run, take it away."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from variate.random.draw.shadows import Places
from variate.random.noise import traced
from variate.random.parameters import parameter_at

if TYPE_CHECKING:
    from variate.random.network import RandomNetwork


def run(net: RandomNetwork, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The original forward under the draw of the next key.

    Activation checkpointing runs parts of a forward again during the backward pass. A hook on every output therefore
    puts this forward's draw back in place until that backward pass has ended.
    """
    if torch.compiler.is_compiling():
        return _traced(net, forward, args, kwargs)
    places = net._found_places()
    recording = torch.is_grad_enabled()
    with nullcontext() if net._learn or not recording else torch.no_grad():
        drawn = net._draws.draw(net.take_key(), places.groups(), net._units())
    places.put(drawn)
    try:
        output = forward(net, *args, **kwargs)
    finally:
        places.clear()
    if recording:
        for tensor in (output,) if isinstance(output, Tensor) else tree_leaves(output):
            if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                tensor.register_hook(functools.partial(_put_back, places, drawn))  # type: ignore[no-untyped-call]
    return output


def _put_back(places: Places, drawn: Sequence[Tensor], gradient: Tensor) -> None:
    places.put(drawn)
    for tensor in drawn:
        node: Any = tensor.grad_fn
        if hasattr(node, "pass_of_output"):  # by which the passes of reentrant checkpoints are told apart
            node.pass_of_output = torch._C._current_graph_task_id()
            break  # all are of one node
    torch.autograd.Variable._execution_engine.queue_callback(places.clear)


def _traced(net: RandomNetwork, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The same in operations that a tracer can follow, under a key that is data."""
    key = traced.key_of(net._ticket, net._holder, net._key)
    groups = [tuple([parameter_at(net, place) for place in places]) for places in net._draws.places]
    with torch.set_grad_enabled(torch.is_grad_enabled() and net._learn):
        drawn = net._draws.traced(key, groups, net._units())
    shadows = [(owner, number) for number, site in enumerate(net.sites) for owner in site.owners]
    for (path, attribute), number in shadows:
        vars(net.get_submodule(path))[attribute] = drawn[number]
    output = forward(net, *args, **kwargs)
    for (path, attribute), _ in shadows:
        del vars(net.get_submodule(path))[attribute]
    return output
