"""A random network as an ordinary module of its original class: one draw, the mean, or the network unwrapped."""

from __future__ import annotations

import torch
from torch import nn

from variate.random.copies import COMPILED, copied
from variate.random.handle import handle_of
from variate.random.inside import inner_networks
from variate.random.keys import check_key, sibling
from variate.random.parameters import HANDLE, parameter_at


def at(net: nn.Module, key: int) -> nn.Module:
    """The draw of ``key`` as an ordinary module of the original class: a copy with the drawn weights.

    Random networks inside ``net`` are at the draws of its siblings, as in ``fixed``.
    """
    plain = copied(net)
    networks = [net, *inner_networks(net)], [plain, *inner_networks(plain)]
    for index, (part, part_of_copy) in enumerate(zip(*networks, strict=True)):
        with torch.no_grad():
            drawn = handle_of(part).draw(part, sibling(check_key(key), index))
            for site, tensor in zip(handle_of(part).sites, drawn, strict=True):
                parameter_at(part_of_copy, site.owners[0]).copy_(tensor)
    return unwrap(plain)


def mean(net: nn.Module) -> nn.Module:
    """Every parameter of ``net`` at its mean, as an ordinary module of the original class: a copy."""
    handle_of(net)
    return unwrap(copied(net))


def unwrap(net: nn.Module) -> nn.Module:
    """``net`` itself, back in its original class: the same parameters, at their means; the scales are removed.

    So are random networks inside it.
    """
    for part in [*inner_networks(net), net]:
        handle = handle_of(part)
        for path, name in handle.learned_places():
            del part.get_submodule(path)._parameters[name]
        for name in (HANDLE, COMPILED):
            vars(part).pop(name, None)
        part.__class__ = handle.original
    return net
