"""Random networks inside a random network, which keep their own distributions and draw by themselves."""

from __future__ import annotations

from torch import nn

from variate.random.handle import handle_of


def inner_networks(net: nn.Module) -> list[nn.Module]:
    """The random networks inside a random network, at any depth, in the order of its modules; usually none."""
    return handle_of(net).places_in(net).inner
