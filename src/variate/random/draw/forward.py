"""One forward of a random network: draw, put the draw where the modules look for their weights, run, remove it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from variate.random.draw import recompute
from variate.random.draw.later import settled
from variate.random.draw.recompute import THREAD
from variate.random.draw.shadows import Places
from variate.random.draw.tracing import check_tracers, traced_forward
from variate.random.draw.writes import apply_makers, apply_writes, bounds_weights, fingerprints
from variate.random.handle import Handle, handle_of
from variate.random.parameters import HANDLE

recompute.install()


def drawing(original: type[nn.Module]) -> Callable[..., Any]:
    """A forward that runs the one of the user's class with the draw of the next key; it has the same signature.

    Inside a draw (a ``drawn`` block, a forward that calls itself) it uses that draw. Activation checkpointing reruns
    parts of a forward during the backward pass: ``recompute`` remembers the draw for torch's own, and a hook on every
    output puts it back in place for any other, until that backward pass has ended.
    """

    @functools.wraps(original.forward)
    def drawn_forward(net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
            return traced_forward(net, original.forward, args, kwargs)
        if torch._C._len_torch_dispatch_stack() or not (args and isinstance(args[0], Tensor)):
            check_tracers(net, args, kwargs)
        if type(net) is original and HANDLE not in vars(net):  # a plain copy whose ``forward`` was replaced by this
            return original.forward(net, *args, **kwargs)
        handle = handle_of(net)
        recording = torch.is_grad_enabled()
        with handle.turn:
            places = handle.places_in(net)
            before, hold = places.held, handle.held()
            if before is not None and before.thread == get_ident() and hold.key in (None, before.key):
                if not before.block:  # the forward calls itself
                    return original.forward(net, *args, **kwargs)
                drawn, key = before.drawn, before.key
            else:
                key = handle.take_key() if THREAD.replay is None else next(THREAD.replay)
                for keys in THREAD.records:
                    keys.append(key)
                with nullcontext() if hold.learn or not recording else torch.no_grad():
                    drawn = handle.draws.draw(key, places.groups(), handle.units(net))
            if handle.slopes:
                drawn = [tensor if tensor.requires_grad else tensor.detach().requires_grad_(True) for tensor in drawn]
            again = False
            prints = fingerprints(drawn) if handle.writes is None else []
            places.put(drawn, key)
            outer = THREAD.draws
            THREAD.draws = places, places.held, outer  # type: ignore[assignment]
            try:
                if net._forward_pre_hooks:
                    apply_makers(net)
                output = original.forward(net, *args, **kwargs)
            except RuntimeError as error:
                again = not handle.slopes and "does not require grad" in str(error)
                if not again:
                    raise
            finally:
                THREAD.draws = outer
                places.back(before)
            if again:  # it takes gradients in its own weights, as MAML does, which parameters always have
                handle.slopes = True
                return drawn_forward(net, *args, **kwargs)
            if prints:
                handle.writes = prints != fingerprints(drawn) or bounds_weights(net)
            if handle.writes or places.replaced:
                apply_writes(net, places, original.forward, args, kwargs)
            if not isinstance(output, Tensor):
                output = settled(output, net, places, drawn, key)
        if recording:
            for tensor in (output,) if isinstance(output, Tensor) else tree_leaves(output):
                if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                    tensor.register_hook(functools.partial(_put_back, handle, places, drawn))  # type: ignore[no-untyped-call]
        return output

    return drawn_forward


def _put_back(handle: Handle, places: Places, drawn: Sequence[Tensor], gradient: Tensor) -> None:
    with _turn_in_backward(handle):
        places.recall(drawn)
    for tensor in drawn:
        node: Any = tensor.grad_fn
        if hasattr(node, "pass_of_output"):  # distinguishes the passes of reentrant checkpoints
            node.pass_of_output = torch._C._current_graph_task_id()
            break  # all share one node
    torch.autograd.Variable._execution_engine.queue_callback(functools.partial(_clear, handle, places))


def _clear(handle: Handle, places: Places) -> None:
    with _turn_in_backward(handle):
        places.end_of_backward()


def _turn_in_backward(handle: Handle) -> AbstractContextManager[Any]:
    """The turn of the thread that runs a backward pass: no draw changes within another thread's forward pass.

    Autograd's own threads, which serve devices, do not wait: a forward pass may be waiting for them.
    """
    of_autograd = isinstance(threading.current_thread(), threading._DummyThread)
    return nullcontext() if of_autograd else handle.turn
