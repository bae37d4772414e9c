"""A random network as an ordinary module of its original class: one draw, the mean, or the network unwrapped.

All functions take a random network or a module that contains some; wrappers around it (``torch.compile``,
``DistributedDataParallel``) are not part of the result.
"""

from __future__ import annotations

import torch
from torch import nn

from variate.random.copies import COMPILED, copied
from variate.random.handle import handle_of
from variate.random.inside import check_random, networks_in, seen_through
from variate.random.keys import check_key, sibling
from variate.random.packing import settle
from variate.random.parameters import HANDLE, parameter_at
from variate.random.priors import without_priors


def at(net: nn.Module, key: int) -> nn.Module:
    """The draw of ``key`` as an ordinary module of the original class: a copy with the drawn weights."""
    check_key(key)
    parts = check_random(net)
    plain = copied(seen_through(net))
    with torch.no_grad():
        for index, (path, part) in enumerate(parts.items()):
            handle, part_of_copy = handle_of(part), plain.get_submodule(path)
            for site, tensor in zip(handle.sites, handle.draw(part, sibling(key, index)), strict=True):
                parameter_at(part_of_copy, site.owners[0]).copy_(tensor)
    return unwrap(plain)


def mean(net: nn.Module) -> nn.Module:
    """Every parameter of ``net`` at its mean, as an ordinary module of the original class: a copy."""
    networks_in(net)
    return unwrap(copied(seen_through(net)))


def unwrap(net: nn.Module) -> nn.Module:
    """``net`` itself, back in its original class: the same parameters, at their means; the scales are removed."""
    settle(net)
    for part in networks_in(net).values():
        handle = handle_of(part)
        without_priors(part)
        for path, name in handle.learned_places():
            del part.get_submodule(path)._parameters[name]
        for attribute in (HANDLE, COMPILED):
            vars(part).pop(attribute, None)
        part.__class__ = handle.original
    return seen_through(net)
