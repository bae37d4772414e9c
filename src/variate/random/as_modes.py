"""Several networks of one architecture as one random network, each of them a mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from variate.errors import UsageError
from variate.options import written
from variate.random.copies import copied
from variate.random.families.modes import Around
from variate.random.handle import handle_of
from variate.random.network import RandomNetwork
from variate.random.parameters import parameter_at, starting_sizes
from variate.random.randomize import randomize
from variate.random.scale import Share


def as_modes(
    networks: Sequence[nn.Module], *, around: Around = "normal", scale: float = 0.05, share: Share = "element"
) -> RandomNetwork:
    """A random network whose draws are near one of several networks: ``modes`` with their weights as centers.

    All modes are equally likely, and every parameter of a draw is that of the same network. Modes share buffers, so
    batch-norm statistics that differ are moved into the weights and biases: in eval mode every mode answers as its
    network does.

    Args:
        networks: two or more modules with parameters of the same names and shapes; not modified.
        around: ``normal`` noise around each mode, or ``fixed``: none.
        scale: standard deviation of that noise as a fraction of each tensor's root mean square, above 0.
        share: one learned scale per ``element``, ``channel``, ``tensor``, or one for the ``network``.

    Raises:
        UsageError: for fewer than two networks, and for networks with other parameters or other buffers.
        RandomizeError: if the first cannot be made random.

    Example:
        >>> net = as_modes([nn.Linear(4, 2), nn.Linear(4, 2)])
        >>> net.weight_offsets.shape
        torch.Size([2, 2, 4])
    """
    if len(networks) < 2:
        raise UsageError(f"{len(networks)} networks have no modes to join", expected="two or more")
    first, *others = networks
    shapes = {name: parameter.shape for name, parameter in first.named_parameters()}
    for other in others:
        if {name: parameter.shape for name, parameter in other.named_parameters()} != shapes:
            raise UsageError(
                f"this {type(other).__name__} and this {type(first).__name__} have other parameters",
                expected="networks of one architecture",
            )
    first, *_ = networks = _with_one_set_of_buffers(networks)
    family = written("modes", {"count": len(networks), "around": around, "share": share})
    net = randomize(copied(first), family, scale=scale)
    sites = handle_of(net).sites
    sizes = starting_sizes(first, sites)
    with torch.no_grad():
        for site in sites:
            mean = parameter_at(net, site.owners[0])
            rho, offsets = (parameter_at(net, place) for place in site.learned_places())
            values = torch.stack([parameter_at(network, site.owners[0]).to(mean) for network in networks])  # (K, ...)
            mean.copy_(values.mean(0))
            offsets.copy_(values - mean)
            rho.copy_(site.scaling.initial(mean, site.channel, site.scaling.scale or scale, sizes[site.name]))
    return net


def _with_one_set_of_buffers(networks: Sequence[nn.Module]) -> Sequence[nn.Module]:
    """The networks, or copies with batch-norm statistics 0 and 1 that answer the same. Raises ``UsageError``."""
    first, *others = ({name: buffer for name, buffer in net.named_buffers() if _answers(name)} for net in networks)
    different = [name for name, buffer in first.items() if not all(_same(buffer, own.get(name)) for own in others)]
    if not different:
        return networks
    norms = [path for path, part in networks[0].named_modules() if _can_absorb(part)]
    rest = [name for name in different if name.rpartition(".")[0] not in norms]
    if rest:
        raise UsageError(
            "modes share buffers, and these differ between the networks",
            findings=rest,
            expected="the same buffers, or batch norm with a weight and a bias",
        )
    absorbed = [copied(network) for network in networks]
    for network in absorbed:
        for path in norms:
            _absorb(cast(_BatchNorm, network.get_submodule(path)))
    return absorbed


def _answers(name: str) -> bool:
    """Whether a buffer has a part in the answers."""
    return name.rpartition(".")[2] != "num_batches_tracked"


def _same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.shape == other.shape and torch.equal(one, other.to(one))


def _can_absorb(part: nn.Module) -> bool:
    return isinstance(part, _BatchNorm) and part.affine and part.running_var is not None


def _absorb(norm: _BatchNorm) -> None:
    """Move the running statistics into the weight and the bias; they become 0 and 1."""
    mean, var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    with torch.no_grad():
        norm.bias.sub_(norm.weight * mean / (var + norm.eps).sqrt())
        norm.weight.mul_(((1 + norm.eps) / (var + norm.eps)).sqrt())
        mean.zero_()
        var.fill_(1)
