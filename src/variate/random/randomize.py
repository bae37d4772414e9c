"""``randomize``: any module's parameters, each given a learned distribution."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from variate.random.distribution import Site
from variate.random.handle import Handle
from variate.random.network import RandomNetwork, random_class, taken_names
from variate.random.parameters import HANDLE, find_sites, parameter_at, root_mean_squares
from variate.random.scale import Share, one


def randomize(
    module: nn.Module,
    family: str | Mapping[str, str] = "normal",
    *,
    scale: float = 0.1,
    share: Share = "element",
    floor: float = 0.0,
    snr: float = 0.0,
) -> RandomNetwork:
    """A copy of ``module`` whose every parameter has a learned distribution, redrawn at each forward.

    The mean of every parameter is its present value and stays under its own name, so ``state_dict`` keeps its keys and
    pretrained checkpoints load. ``module`` itself is left as it is.

    Args:
        module: any ``nn.Module``: layers are not known by class, parameters are known by name.
        family: a family for all parameters, or a mapping from name patterns to families, the first match deciding:
            ``{"*.bias": "fixed", "fc.*": "laplace(share=channel)", "*": "student-t(df=4)"}``. A family's own options
            come before the arguments below. What stays deterministic is listed by ``deterministic_parameters``.
        scale: the starting standard deviation as a fraction of each tensor's own root mean square, above 0.
        share: one learned scale per ``element``, ``channel``, ``tensor``, or one for the ``network``.
        floor: the least scale as a fraction of each tensor's size: noise that no training takes away.
        snr: the signal-to-noise ratio at which every tensor is held; 0: not held.

    Returns:
        A network of the same class (``isinstance`` stays true) that is a ``RandomNetwork`` too.

    Raises:
        RandomizeError: with everything that forbids it.
        UsageError: for a family, a scale or an option that does not exist or makes no sense.

    Example:
        >>> net = randomize(nn.Linear(4, 2))
        >>> bool((net(torch.ones(1, 4)) == net(torch.ones(1, 4))).all())
        False
    """
    sites = find_sites(module, family, share=share, floor=floor, snr=snr, problems=scale_problems(scale))
    net = copy.deepcopy(module)
    sizes = root_mean_squares(net, sites)
    for site in sites:
        mean = parameter_at(net, site.owners[0])
        with torch.no_grad():
            tensors = _initial(site, mean.detach(), scale, sizes[site.name])
        for (path, name), tensor in zip(site.learned_places(), tensors, strict=True):
            owner = net.get_submodule(path)
            if name not in owner._parameters:  # one scale for the whole network is made once
                owner.register_parameter(name, nn.Parameter(tensor, requires_grad=mean.requires_grad))
    taken = taken_names(net)
    net.__class__ = random_class(type(module), taken)  # type: ignore[arg-type]
    vars(net)[HANDLE] = Handle(tuple(sites), type(module), taken)
    return cast(RandomNetwork, net)


def scale_problems(scale: float) -> list[str]:
    """What is wrong with a starting scale, if anything is."""
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        return [f"a scale of {scale!r} makes nothing random: expected a finite number above 0, such as 0.1"]
    return []


def _initial(site: Site, mean: Tensor, scale: float, size: Tensor) -> tuple[Tensor, ...]:
    """``rho`` and the other learned tensors that give the tensor the standard deviation ``scale`` times its size."""
    distribution, scaling = site.distribution, site.scaling
    scale = scaling.scale or scale
    learned = distribution.initialize(mean)
    unit = one(mean) if distribution.relative else size.to(mean)
    spread = distribution.std(mean, unit.expand(()), *learned).square().mean().sqrt()  # of the tensor at scale 1
    factor = float(size / spread) if float(spread) > 0 else 1.0
    return scaling.initial(mean, site.channel, scale * factor, unit), *learned
