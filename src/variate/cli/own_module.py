"""The module that the user names by ``module:callable`` or ``FILE.py:callable``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from variate.errors import UsageError
from variate.options import import_callable

if TYPE_CHECKING:
    from torch import nn


def build(path: str) -> nn.Module:
    """Call the user's callable and return its module. Raises ``UsageError``."""
    from torch import nn

    from variate.own_code import running

    function = import_callable(path)
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise UsageError(
            f"{path} cannot be called without arguments: {error}", expected="a callable that needs none"
        ) from error
    except ValueError:  # built-in functions may have no signature
        pass
    with running(path):
        network = function()
    if not isinstance(network, nn.Module):
        raise UsageError(f"{path} returned {type(network).__name__}", expected="a torch.nn.Module")
    return network
