"""A network whose every parameter is a random variate with a learned distribution."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from variate.errors import CheckpointError, UsageError
from variate.random import copies, fixing, measures, plain
from variate.random import decay as decay  # its hooks belong to every random network, loaded ones too
from variate.random.average import average
from variate.random.copies import COMPILED
from variate.random.draw.forward import drawing
from variate.random.draw.tracing import graph_members
from variate.random.handle import Handle, attach, handle_of
from variate.random.keys import Stream
from variate.random.many import draws, input_gradient
from variate.random.methods import drawing_methods
from variate.random.parameters import HANDLE
from variate.random.per_example import draws_per_example
from variate.random.pretrained import pretrained_methods

if TYPE_CHECKING:
    from variate.random.distribution import Site


class RandomNetwork(nn.Module):
    """The user's module with a learned distribution for every parameter; made by ``variate.randomize``.

    ``net(x)`` makes a fresh draw at every call, in train and in eval mode, with the next key of its stream. So does
    ``net.generate(...)``, once for a whole text. Other methods of the user's class, and its modules called by
    themselves, see the means, or the draw of a block: ``with net.drawn(): net.encode(x)``.

    All state is in one private attribute, ``_variate``. Every operation on a random network is a function, such as
    ``variate.mean(net)``. Each is also a method, ``net.mean()``, unless the user's module has an attribute, buffer,
    parameter, submodule or method of that name, which then keeps its meaning.

    Attributes:
        sites: the random parameters, as from ``variate.sites(net)``.
        stream: source of the keys of ``net(x)``, as from ``variate.stream(net)``; a ``Stream`` can be assigned.
    """

    _variate: Handle

    if TYPE_CHECKING:  # at run time, random_class adds each one whose name is free
        sites: tuple[Site, ...]
        stream: Stream
        at = plain.at
        average = average
        deterministic_parameters = measures.deterministic_parameters
        differs = measures.differs
        drawn = fixing.drawn
        draws = draws
        draws_per_example = draws_per_example
        entropy = measures.entropy
        fixed = fixing.fixed
        input_gradient = input_gradient
        keys_from = fixing.keys_from
        kl = measures.kl
        mean = plain.mean
        scale_parameters = measures.scale_parameters
        set_seed = fixing.set_seed
        sizes = measures.sizes
        stds = measures.stds
        unwrap = plain.unwrap

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the state of a random network, or of the original network, which sets the means and keeps the scales."""
        scales = {id(scale) for scale in measures.scale_parameters(self)}
        present = {name: tensor for name, tensor in self.state_dict(keep_vars=True).items() if id(tensor) in scales}
        if not present.keys() & state_dict.keys():
            state_dict = {**state_dict, **present}
        with handle_of(self).without_draw():
            return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters; within a forward their draw without the scales, but never that of a forward elsewhere."""
        if torch.compiler.is_compiling():
            return super().named_parameters(*args, **kwargs)
        with handle_of(self).turn:
            return iter(list(super().named_parameters(*args, **kwargs)))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The means and scales, inside a draw too."""
        with handle_of(self).without_draw():
            return super().state_dict(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        handle = handle_of(self)
        state = cast(Any, handle.original).__getstate__(self)
        if isinstance(state, dict):
            state = {name: value for name, value in state.items() if name != HANDLE}
        return _blank, (handle.original, handle.taken, handle.parts), (handle, state)

    def __prepare_scriptable__(self) -> Any:
        raise UsageError(
            f"TorchScript cannot hold the draws of a {type(self).__name__}",
            todo="variate.export(net, ...) writes it with its draws; torch.jit.script(variate.mean(net)) has none",
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> RandomNetwork:
        handle = handle_of(self)
        copied = cast(RandomNetwork, _blank(handle.original, handle.taken, handle.parts))
        memo[id(self)] = copied
        with handle.without_draw():
            copies.prepare(self, memo)
            vars(copied).update(copy.deepcopy({name: v for name, v in vars(self).items() if name != COMPILED}, memo))
        copies.rebind(copied, memo)
        attach(copied, handle_of(copied))
        return copied

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or not isinstance(state[0], Handle):
            raise CheckpointError(
                f"this pickle of a {type(self).__name__} was written by another version of Variate",
                todo="load it with that version, save net.state_dict(), and load that into a network made here",
            )
        handle, module_state = state
        super().__setstate__(module_state)  # type: ignore[no-untyped-call]
        attach(self, copy.copy(handle))  # a handle of its own: copy.copy of a network would share it


class Attribute:
    """A function of a random network as an attribute. A value that the user's code sets there takes precedence.

    Args:
        read: the function.
        name: name of the attribute.
        kind: type of value that is set on the handle under this name, if any.
    """

    def __init__(self, read: Callable[[nn.Module], Any], name: str, kind: type | None = None) -> None:
        self._read, self._name, self._kind = read, name, kind
        self.__doc__ = read.__doc__

    def __get__(self, net: nn.Module | None, owner: type) -> Any:
        if net is None:
            return self
        return vars(net)[self._name] if self._name in vars(net) else self._read(net)

    def __set__(self, net: nn.Module, value: Any) -> None:
        if self._kind is not None and isinstance(value, self._kind):
            setattr(handle_of(net), self._name, value)
        else:
            vars(net)[self._name] = value

    def __delete__(self, net: nn.Module) -> None:
        if self._name not in vars(net):
            raise AttributeError(self._name)
        del vars(net)[self._name]


FUNCTIONS: tuple[Callable[..., Any], ...] = (
    plain.at,
    average,
    measures.deterministic_parameters,
    measures.differs,
    fixing.drawn,
    draws,
    draws_per_example,
    measures.entropy,
    fixing.fixed,
    input_gradient,
    fixing.keys_from,
    measures.kl,
    plain.mean,
    measures.scale_parameters,
    fixing.set_seed,
    measures.sizes,
    measures.stds,
    plain.unwrap,
)
ALIASES: dict[str, Any] = {function.__name__: function for function in FUNCTIONS} | {
    "sites": Attribute(measures.sites, "sites"),
    "stream": Attribute(fixing.stream, "stream", Stream),
}


def taken_names(module: nn.Module) -> frozenset[str]:
    """The public names of a random network that a module already uses, for anything."""
    defined = {name for kind in type(module).__mro__ for name in vars(kind)}
    return frozenset(name for name in ALIASES if name in defined or hasattr(module, name))


@functools.cache
def random_class(
    original: type[nn.Module], taken: frozenset[str] = frozenset(), parts: frozenset[str] = frozenset()
) -> type[nn.Module]:
    """The class of ``original``'s random networks: a subclass whose forward draws first, with the same signature.

    Args:
        original: the user's class.
        taken: public names that keep the user's meaning.
        parts: names of the module's own submodules and parameters.
    """
    body = {name: alias for name, alias in ALIASES.items() if name not in taken}
    body |= drawing_methods(original, parts) | pretrained_methods(original) | graph_members(original)
    body |= {"forward": drawing(original), "__module__": original.__module__, "__doc__": original.__doc__}
    return type(f"Random{original.__name__}", (RandomNetwork, original), body)


def parts_of(module: nn.Module) -> frozenset[str]:
    """The names of a module's own submodules and parameters."""
    return frozenset([*module._modules, *module._parameters])


def _blank(
    original: type[nn.Module], taken: frozenset[str] = frozenset(), parts: frozenset[str] = frozenset()
) -> nn.Module:
    """An empty random network of a class, for pickle and deepcopy to fill."""
    kind = random_class(original, taken, parts)  # type: ignore[arg-type]
    return kind.__new__(kind)
