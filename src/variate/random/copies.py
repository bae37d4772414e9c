"""Copies of modules that stand on their own: no compiled call, hook or closure of a copy runs the original.

``copy.deepcopy`` copies a bound method with its module, but not a function: a closure, a default argument or a global
name in it keeps the original. It also refuses tensors that were computed from others, which old ``weight_norm`` and
pruning leave in a module, to be computed again before the next forward.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from types import CellType, FunctionType, MethodType
from typing import Any, TypeVar

from torch import Tensor, nn

from variate.errors import UsageError, VariateError

M = TypeVar("M", bound=nn.Module)
Memo = dict[int, Any]
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
BUSY = -1  # in a memo, whose other entries are numbered by the addresses of objects
COMPILED = "_compiled_call_impl"


def copied(module: M, shared: Iterable[Tensor] = ()) -> M:
    """A deep copy of a module that never runs it, and shares nothing with it but the given tensors.

    Raises:
        UsageError: for a module that cannot be copied.
    """
    memo: Memo = {id(tensor): tensor for tensor in shared}
    prepare(module, memo)
    try:
        copy_of = copy.deepcopy(module, memo)
    except VariateError:
        raise
    except Exception as error:  # of any kind: the code of the module's own members
        first, *_ = [*str(error).splitlines(), type(error).__name__]
        raise UsageError(
            f"{type(module).__name__} cannot be copied",
            findings=[f"copy.deepcopy fails: {first}"],
            todo="pass it without wrappers, locks, files and process groups, so that copy.deepcopy(net) succeeds",
        ) from error
    rebind(copy_of, memo)
    return copy_of


def prepare(module: nn.Module, memo: Memo) -> None:
    """Put what ``copy.deepcopy`` refuses into its memo: tensors that were computed from others, detached."""
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor) and not value.is_leaf and id(value) not in memo:
                memo[id(value)] = value.detach().clone()


def rebind(module: nn.Module, memo: Memo) -> None:
    """Let the functions in a fresh copy, its own forwards and hooks, use the copy instead of the original."""
    for part in module.modules():
        vars(part).pop(COMPILED, None)
        for name, value in vars(part).items():
            if isinstance(value, FunctionType | functools.partial):
                vars(part)[name] = _rebound(value, memo)
        for kind in HOOKS:
            hooks: dict[int, Any] = vars(part).get(kind) or {}
            for key, hook in list(hooks.items()):
                hooks[key] = _rebound(hook, memo)


def _rebound(value: Any, memo: Memo) -> Any:
    """What stands for a value in the copy: itself if it refers to nothing that was copied."""
    if id(value) in memo and isinstance(value, nn.Module | Tensor):
        return memo[id(value)]
    if isinstance(value, MethodType):
        owner = _rebound(value.__self__, memo)
        return value if owner is value.__self__ else MethodType(value.__func__, owner)
    if isinstance(value, functools.partial):
        parts = [_rebound(part, memo) for part in (value.func, *value.args, *value.keywords.values())]
        same = all(map(_is, parts, (value.func, *value.args, *value.keywords.values())))
        return value if same else _partial(parts, list(value.keywords))
    if isinstance(value, FunctionType):
        return _function(value, memo)
    return _container(value, memo) if type(value) in (list, tuple, dict) else value


def _container(value: Any, memo: Memo) -> Any:
    """A list, tuple or dictionary with what it holds rebound; itself if nothing in it changes."""
    busy: set[int] = memo.setdefault(BUSY, set())
    if id(value) in busy:  # it holds itself
        return value
    busy.add(id(value))
    held = list(value.values()) if type(value) is dict else list(value)
    items = [_rebound(item, memo) for item in held]
    busy.discard(id(value))
    if all(map(_is, items, held)):
        return value
    return dict(zip(value, items, strict=True)) if type(value) is dict else type(value)(items)


def _function(function: FunctionType, memo: Memo) -> FunctionType:
    """A function whose closure, defaults and global names refer to the copy."""
    known = memo.get(id(function))
    if isinstance(known, FunctionType):
        return known
    memo[id(function)] = function  # for functions that refer to themselves
    cells = function.__closure__ or ()
    contents = [_content(cell, memo) for cell in cells]
    names = [name for name in function.__code__.co_names if _may_refer(function, name)]
    found = {name: _rebound(function.__globals__[name], memo) for name in names}
    changed = {name: value for name, value in found.items() if value is not function.__globals__[name]}
    defaults = _rebound(function.__defaults__ or (), memo)
    keywords = _rebound(function.__kwdefaults__ or {}, memo)
    unchanged = all(new is cell for new, cell in zip(contents, cells, strict=True))
    same = defaults is function.__defaults__ or not defaults, keywords is function.__kwdefaults__ or not keywords
    if unchanged and not changed and all(same):
        return function
    scope = {**function.__globals__, **changed} if changed else function.__globals__
    new = FunctionType(function.__code__, scope, function.__name__, defaults or None, tuple(contents) or None)
    new.__kwdefaults__ = keywords or None
    vars(new).update(vars(function))
    new.__qualname__, new.__doc__ = function.__qualname__, function.__doc__
    memo[id(function)] = new
    return new


def _may_refer(function: FunctionType, name: str) -> bool:
    """Whether a global name may stand for a part of the module; functions from elsewhere do not."""
    value = function.__globals__.get(name)
    if isinstance(value, FunctionType):
        return value.__module__ == function.__module__
    return isinstance(value, nn.Module | Tensor | MethodType | functools.partial | list | tuple | dict)


def _content(cell: CellType, memo: Memo) -> CellType:
    try:
        value = cell.cell_contents
    except ValueError:  # empty
        return cell
    new = _rebound(value, memo)
    return cell if new is value else CellType(new)


def _partial(parts: list[Any], names: list[str]) -> functools.partial[Any]:
    args, keywords = parts[1 : len(parts) - len(names)], parts[len(parts) - len(names) :]
    return functools.partial(parts[0], *args, **dict(zip(names, keywords, strict=True)))


def _is(one: Any, other: Any) -> bool:
    return one is other
