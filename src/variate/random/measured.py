"""What is random in a network, measured with real inputs: which draws reach the outputs, and what else changes them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from variate.errors import VariateError
from variate.random.copies import copied
from variate.random.fixing import fixed
from variate.random.handle import handle_of
from variate.random.inside import networks_in
from variate.random.keys import Stream
from variate.random.parameters import qualified

ALONE = 1e-3  # by how much of the largest output an example alone may differ, for sums in another order
TRIES = 3  # draws of one parameter, of which one must change the outputs


def measured(net: nn.Module, x: Any) -> list[str]:
    """Everything that a random network does with its draws that it should not, on copies of it.

    Args:
        net: a random network, in the mode in which it will be used; not modified.
        x: a tensor (B, ...), a tuple of positional arguments or a dictionary of keyword arguments.
    """
    keys = Stream("probe", 0).take(1 + TRIES)
    with torch.no_grad(), _restored():
        try:
            copy = copied(net)
            reference, again = (_outputs(copy, x, keys[0], copy=False) for _ in range(2))  # of one state of its own
        except VariateError as error:
            return [" ".join(str(error).split())]
        except Exception as error:  # of any kind: the user's own code
            return [f"its forward fails on these inputs: {type(error).__name__}: {str(error).splitlines()[0]}"]
        foreign = list(_foreign_randomness(net, x, keys[0]))
        if not _same(reference, again) and not foreign:
            foreign = ["its outputs differ under one key: a generator of its own, or state kept between calls, decides"]
        findings = [*_writes(net, x, keys[0]), *foreign]
        if _same(reference, again):  # otherwise nothing can be compared
            findings += [*_unreached(net, x, keys, reference), *_batch_findings(net, x, keys[0], noisy=bool(foreign))]
        return findings


def _outputs(net: nn.Module, x: Any, key: int, *, copy: bool = True) -> list[Tensor]:
    """The output tensors of a copy under one key and one state of every generator."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # what other code draws from
    network = copied(net) if copy else net
    arguments = tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, x)
    with fixed(network, key):
        output = _call(network, arguments)
    return _tensors(output) or _tensors(getattr(output, "__dict__", ()))


def _tensors(output: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def _call(net: nn.Module, x: Any) -> Any:
    if isinstance(x, Mapping):
        return net(**x)
    return net(*x) if isinstance(x, tuple) else net(x)


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(one, other, strict=True)
    )


def _unreached(net: nn.Module, x: Any, keys: list[int], reference: list[Tensor]) -> Iterator[str]:
    """Every random parameter whose own draw, with all others as they were, does not change the outputs."""
    network = copied(net)
    _outputs(network, x, keys[0], copy=False)  # what it caches is cached now
    for prefix, part in networks_in(network).items():
        handle = handle_of(part)
        first, *others = [handle.draw(part, key) for key in keys]
        for index, site in enumerate(handle.sites):
            mixed = [[*first[:index], other[index], *first[index + 1 :]] for other in others]
            if all(_same(reference, _with_draw(network, part, draw, x, keys[0])) for draw in mixed):
                name = qualified((prefix, site.name))
                yield f"{name}: its draw does not reach the outputs, which are the same under every draw of it"


def _with_draw(net: nn.Module, part: nn.Module, draw: list[Tensor], x: Any, key: int) -> list[Tensor]:
    handle = handle_of(part)
    before, handle.draws.draw = handle.draws.draw, lambda *_: draw  # type: ignore[method-assign]
    try:
        return _outputs(net, x, key, copy=False)
    finally:
        handle.draws.draw = before  # type: ignore[method-assign]


def _foreign_randomness(net: nn.Module, x: Any, key: int) -> Iterator[str]:
    """The modules that draw from generators of torch, NumPy or Python; the innermost of each."""
    network, found = copied(net), list[str]()
    states: list[tuple[dict[str, bytes], int]] = []

    def begin(module: nn.Module, *_: Any) -> None:
        states.append((_generators(), len(found)))

    def end(name: str, module: nn.Module) -> None:
        (before, count), now = states.pop(), _generators()
        sources = [source for source in before if before[source] != now[source]]
        if sources and len(found) == count:
            found.append(f"{name or 'its forward'} ({type(module).__name__}) draws from the generator of {sources[0]}")

    for name, module in network.named_modules():
        module.register_forward_pre_hook(begin)
        module.register_forward_hook(lambda module, _, __, name=name: end(name, module))
    _outputs(network, x, key, copy=False)
    yield from found


def _generators() -> dict[str, bytes]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "NumPy": np.random.get_state()[1].tobytes(),  # type: ignore[index]
        "Python's random": repr(random.getstate()).encode(),
    }


def _writes(net: nn.Module, x: Any, key: int) -> Iterator[str]:
    """The parameters whose means a forward changes."""
    network = copied(net)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    _outputs(network, x, key, copy=False)
    for name, parameter in network.named_parameters():
        if name in before and not _same([before[name]], [parameter]):
            yield f"{name}: the forward writes into it, which is done to its mean as well as to every draw"


def _batch_findings(net: nn.Module, x: Any, key: int, *, noisy: bool) -> Iterator[str]:
    """Whether an example alone is answered as it is in a batch.

    A network with noise of its own is asked in a batch of copies instead, which gets the same noise.
    """
    if not isinstance(x, Tensor) or not x.dim() or not len(x):
        return
    batch = x if len(x) > 1 else torch.cat([x, x.flip(-1)])
    norms = [
        path
        for path, module in net.named_modules()
        if module.training and isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    hint = f": {norms[0]} is batch norm in train mode, call eval() first" if norms else ""
    together = _outputs(net, batch, key)
    try:
        alone = [out[:1] for out in _outputs(net, batch[:1].expand_as(batch), key)] if noisy else []
        alone = alone or _outputs(net, batch[:1], key)
    except Exception as error:  # of any kind: the user's own code
        yield f"it cannot answer one example alone ({str(error).splitlines()[0]}){hint}"
        return
    for one, all_of_them in zip(alone, together, strict=False):
        if not one.dim() or len(one) != 1 or len(all_of_them) != len(batch) or not one.is_floating_point():
            continue
        largest = float(all_of_them.abs().nan_to_num(posinf=0).max()) if all_of_them.numel() else 0.0
        if not torch.allclose(one, all_of_them[:1], rtol=ALONE, atol=ALONE * largest, equal_nan=True):
            yield f"its answer to an example depends on the rest of the batch{hint}"
            return


@contextmanager
def _restored() -> Iterator[None]:
    """Context that leaves the generators of torch, NumPy and Python as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
