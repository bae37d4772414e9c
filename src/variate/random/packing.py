"""Means on a grid of few values: putting them there, and storing a tensor of them in few bits an element.

The tensors of families on a grid (``Family.on_grid``) take ``bits`` bits an element, and one number for each scale: of
``weight``, the file has ``weight`` as bytes, and ``weight_grid``, the scale of which the means are multiples, beside
``weight_rho``. Unpacking multiplies, which rounds alike everywhere, so the means are the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from variate.errors import CheckpointError
from variate.random.families.binomial import Binomial
from variate.random.handle import handle_of
from variate.random.inside import drawn_in
from variate.random.parameters import qualified

GRID = "_grid"  # appended to a parameter's name: the scale of its grid
Found = tuple[Binomial, list[str], Tensor, Tensor]


def settle(net: nn.Module) -> None:
    """Round every mean on a grid to it, in place. Draws stay what they are: they depend on the rounded means alone."""
    with torch.no_grad():
        for family, _, mean, scale in _on_grid(net):
            mean.copy_(family.center(mean, scale))


def packed(net: nn.Module) -> dict[str, Any]:
    """The state dict of a network with means in few bits, as ``unpacked`` takes it.

    Tensors of other families stay as they are, and so do means that are not on their grid yet (``settle``).
    """
    state: dict[str, Any] = net.state_dict()
    with torch.no_grad():
        for family, names, mean, scale in _on_grid(net):
            cells = family.cells(mean, scale)
            if not torch.equal(family.at(cells, scale), mean):
                continue
            for name in names:
                state[name] = torch.from_numpy(_to_bits(cells.flatten().cpu().numpy(), int(family.bits)))
                state[name + GRID] = scale.detach().clone()
    return state


def unpacked(net: nn.Module, tensors: Mapping[str, Any], where: object = "the file") -> dict[str, Any]:
    """The state dict that ``packed`` packed, for a network of the same families; one that is not packed as it is.

    Raises:
        CheckpointError: if a packed tensor has another number of bytes than its parameter needs, or no scale.
    """
    state = dict(tensors)
    for family, names, mean, scale in _on_grid(net):
        for name in names:
            stored, grid, size = state.get(name), state.pop(name + GRID, None), _bytes(mean.numel(), int(family.bits))
            if not isinstance(stored, Tensor) or stored.dtype != torch.uint8:
                continue
            if not isinstance(grid, Tensor) or grid.shape != scale.shape or stored.numel() != size:
                raise CheckpointError(
                    f"{where} does not hold {name} in {family.bits:g} bits an element",
                    findings=[f"{stored.numel():,} bytes, and {'no scale' if grid is None else 'a scale'}"],
                    expected=f"{size:,} bytes and a scale of shape {tuple(scale.shape)}",
                    todo="restore the file, or train the network again",
                )
            cells = torch.from_numpy(_from_bits(stored.numpy(), int(family.bits), mean.numel()))
            state[name] = family.at(cells.view(mean.shape), grid)
    return state


def stored_bytes(net: nn.Module) -> int:
    """The bytes of a network's tensors in a file, each once, with means on a grid in few bits."""
    sizes = {id(p): p.nbytes for p in (*net.parameters(), *net.buffers())}
    for family, _, mean, scale in _on_grid(net):
        sizes[id(mean)] = _bytes(mean.numel(), int(family.bits)) + scale.nbytes
    return sum(sizes.values())


def _on_grid(net: nn.Module) -> Iterator[Found]:
    """For every site on a grid: its family, the parameter's names in the state dict, the parameter and its scale."""
    for path, part in drawn_in(net).items():
        for site, (mean, scale, *_) in handle_of(part).scaled(part):
            if isinstance(site.distribution, Binomial):
                yield site.distribution, [qualified((path, qualified(o))) for o in site.owners], mean, scale


def _bytes(count: int, bits: int) -> int:
    return -(-count * bits // 8)


def _to_bits(cells: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """Numbers below 2^bits, the most significant bit first, one after the other."""
    return np.packbits(np.unpackbits(cells.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :])


def _from_bits(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int64]:
    rows = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return rows.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1))
