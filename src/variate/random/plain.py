"""A random network as an ordinary module of its original class: one draw, the mean, or the network unwrapped."""

from __future__ import annotations

import copy

import torch
from torch import nn

from variate.random.handle import handle_of
from variate.random.keys import check_key
from variate.random.parameters import HANDLE, parameter_at


def at(net: nn.Module, key: int) -> nn.Module:
    """The draw of ``key`` as an ordinary module of the original class: a copy with the drawn weights."""
    handle = handle_of(net)
    with torch.no_grad():
        drawn = handle.draw(net, check_key(key))
    plain = copy.deepcopy(net)
    for site, tensor in zip(handle.sites, drawn, strict=True):
        with torch.no_grad():
            parameter_at(plain, site.owners[0]).copy_(tensor)
    return unwrap(plain)


def mean(net: nn.Module) -> nn.Module:
    """Every parameter of ``net`` at its mean, as an ordinary module of the original class: a copy."""
    handle_of(net)
    return unwrap(copy.deepcopy(net))


def unwrap(net: nn.Module) -> nn.Module:
    """``net`` itself, back in its original class: the same parameters, at their means; the scales are removed."""
    handle = handle_of(net)
    for path, name in handle.learned_places():
        del net.get_submodule(path)._parameters[name]
    del vars(net)[HANDLE]
    net.__class__ = handle.original
    return net
