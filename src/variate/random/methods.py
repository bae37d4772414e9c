"""Methods of the user's class other than ``forward``: they see a draw inside ``drawn``, and otherwise the means.

``generate`` writes a whole text with one network, and a step of Lightning's ``LightningModule`` computes one loss: each
makes a draw of its own. Another method that runs layers by itself, outside any draw, says once that its answer comes
from the means.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from variate.random.fixing import drawn
from variate.random.handle import handle_of

OWN_DRAW = ("generate", "training_step", "validation_step", "test_step", "predict_step")


def drawing_methods(original: type[nn.Module], parts: frozenset[str]) -> dict[str, Callable[..., Any]]:
    """The methods of a class that are replaced in its random networks.

    Args:
        original: the user's class.
        parts: names of the module's own submodules and parameters: a method whose code names one may run layers.
    """
    methods: dict[str, Callable[..., Any]] = {}
    for kind in reversed([kind for kind in original.__mro__ if kind not in nn.Module.__mro__]):
        for name, method in vars(kind).items():
            methods.pop(name, None)
            if name in OWN_DRAW and callable(method):
                methods[name] = _in_one_draw(method)
            elif _runs_layers(name, method, parts):
                methods[name] = _telling(method)
    return methods


def _runs_layers(name: str, method: Any, parts: frozenset[str]) -> bool:
    public = isinstance(method, FunctionType) and not name.startswith("_") and not hasattr(nn.Module, name)
    return public and name != "forward" and bool(parts.intersection(method.__code__.co_names))


def _in_one_draw(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def in_one_draw(net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if handle_of(net).holds_draw():
            return method(net, *args, **kwargs)
        with drawn(net, handle_of(net).held().key):
            return method(net, *args, **kwargs)

    return in_one_draw


def _telling(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def telling(net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        output = method(net, *args, **kwargs)
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:  # a graph has its own draws
            return output
        handle = handle_of(net)
        if method.__name__ not in handle.told and not handle.holds_draw() and _is_computed(output, net):
            handle.told.add(method.__name__)
            warnings.warn(
                f"{method.__name__}() ran outside a draw, so its layers were at their means: use "
                f"'with net.drawn(): net.{method.__name__}(...)'",
                stacklevel=2,
            )
        return output

    return telling


def _is_computed(output: Any, net: nn.Module) -> bool:
    """Whether an output holds a tensor that is not simply one of the network's own."""
    own = {id(tensor) for tensor in (*net.parameters(), *net.buffers())}
    leaves = tree_leaves(output)
    return any(isinstance(leaf, Tensor) and leaf.is_floating_point() and id(leaf) not in own for leaf in leaves)
