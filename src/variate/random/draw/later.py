"""Outputs that run the network's layers after the forward: generators, closures and objects that hold modules.

The draw has been removed by then, so they would see the means. A generator or function gets the forward's draw back
while it runs; any other object that refers to the network's modules is an error.
"""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from variate.errors import UsageError
from variate.random.draw.shadows import Places
from variate.random.interval_bounds import Interval

SETTLED = (Tensor, Interval, type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
OPAQUE = (*SETTLED, type, ModuleType, CodeType, FrameType, BuiltinFunctionType)
MOST = 10_000  # objects looked at for one output
CALLABLE = (FunctionType, MethodType, functools.partial)


def settled(output: Any, net: nn.Module, places: Places, drawn: Sequence[Tensor], key: int | None) -> Any:
    """``output``, with its generators and functions under the forward's draw.

    Raises:
        UsageError: for another object that would run the network's layers later, without the draw.
    """
    if places.held is not None:  # in a block, which lasts longer
        return output
    leaves, structure = tree_flatten(output)
    if all(isinstance(leaf, SETTLED) for leaf in leaves):
        return output
    modules = {id(module) for module in net.modules()}
    return tree_unflatten([_settled(leaf, modules, places, drawn, key) for leaf in leaves], structure)


def _settled(leaf: Any, modules: set[int], places: Places, drawn: Sequence[Tensor], key: int | None) -> Any:
    if isinstance(leaf, SETTLED):
        return leaf
    if inspect.isgenerator(leaf) or isinstance(leaf, map | filter | zip):
        return _steps(leaf, places, drawn, key)
    if not inspect.isawaitable(leaf) and not _refers(leaf, modules):
        return leaf
    if isinstance(leaf, CALLABLE):
        return _called(leaf, places, drawn, key)
    raise UsageError(
        f"the forward returns a {type(leaf).__name__}, which runs the network's layers later, without the draw",
        todo="use it inside one draw: with net.drawn(): output = net(x); ...",
    )


def _steps(steps: Iterator[Any], places: Places, drawn: Sequence[Tensor], key: int | None) -> Iterator[Any]:
    while True:
        before = places.put(drawn, key)
        try:
            value = next(steps)
        except StopIteration:
            return
        finally:
            places.back(before)
        yield value


def _called(function: Callable[..., Any], places: Places, drawn: Sequence[Tensor], key: int | None) -> Any:
    @functools.wraps(function, updated=())
    def with_draw(*args: Any, **kwargs: Any) -> Any:
        before = places.put(drawn, key)
        try:
            return function(*args, **kwargs)
        finally:
            places.back(before)

    return with_draw


def _refers(thing: Any, modules: set[int]) -> bool:
    """Whether an object refers to one of the modules, directly or through others."""
    seen, todo = {id(thing)}, [thing]
    while todo and len(seen) < MOST:
        one = todo.pop()
        if id(one) in modules:
            return True
        for other in _referents(one):
            if not isinstance(other, OPAQUE) and id(other) not in seen:
                seen.add(id(other))
                todo.append(other)
    return False


def _referents(thing: Any) -> list[Any]:
    """What an object refers to; of a function not its global variables, of a module nothing."""
    if isinstance(thing, nn.Module):
        return []
    if isinstance(thing, FunctionType):
        return [*(thing.__closure__ or ()), *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    return gc.get_referents(thing)
