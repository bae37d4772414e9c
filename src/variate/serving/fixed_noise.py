"""Warn of noise on the input that is not drawn anew in deployment: it voids every certificate of the network."""

from __future__ import annotations

import warnings

from torch import nn

from variate.errors import CertificateWarning
from variate.random.handle import handle_of
from variate.random.input_noise import Mask, Shift
from variate.random.inside import contains_random, drawn_in


def warn_of_fixed_noise(network: nn.Module, *, levels: int) -> None:
    """Warn if the ``Shift`` or ``Mask`` of a network is the same at every call: frozen, averaged or at its mean.

    Args:
        network: the network to deploy.
        levels: frames from the caller to whom the warning is addressed.
    """
    paths = _fixed(network)
    if paths:
        warnings.warn(
            f"the noise of {', '.join(paths)} is fixed in this deployment, and whoever knows it can undo it: no "
            "certificate of the random network holds for it; deploy the network that draws anew at each call",
            CertificateWarning,
            stacklevel=levels + 1,
        )


def _fixed(network: nn.Module) -> list[str]:
    """Paths of the layers of noise on the input whose parameter is not drawn at each call."""
    drawn = drawn_in(network) if contains_random(network) else {}
    random = {
        ".".join(filter(None, (place, owner, name)))
        for place, part in drawn.items()
        for site, *_ in handle_of(part).scaled(part)
        for owner, name in site.owners
    }
    noisy = {path: "bias" for path, layer in network.named_modules() if isinstance(layer, Shift)}
    noisy |= {path: "order" for path, layer in network.named_modules() if isinstance(layer, Mask)}
    return [path or "the input" for path, name in noisy.items() if f"{path}.{name}".lstrip(".") not in random]
