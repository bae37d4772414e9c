"""``randomize``: give every parameter of a module a learned distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from variate.errors import RandomizeError
from variate.random.copies import copied
from variate.random.distribution import Site
from variate.random.handle import Handle, attach
from variate.random.inside import seen_through
from variate.random.network import RandomNetwork, parts_of, random_class, taken_names
from variate.random.parameters import find_sites, parameter_at, running_sizes, starting_sizes
from variate.random.priors import set_priors
from variate.random.scale import Share, one, rho_of


def randomize(
    module: nn.Module,
    family: str | Mapping[str, str] = "normal",
    *,
    scale: float = 0.1,
    share: Share = "element",
    floor: float = 0.0,
    snr: float = 0.0,
    priors: Mapping[str, str] | None = None,
) -> RandomNetwork:
    """A copy of ``module`` in which every parameter has a learned distribution, redrawn at each forward.

    The mean of every parameter is its current value and keeps its name, so ``state_dict`` keeps its keys and pretrained
    checkpoints load. ``module`` itself is not modified.

    Args:
        module: any ``nn.Module``, with layers of any class.
        family: one family for all parameters, or a mapping from name patterns to families, of which the first match
            applies: ``{"*.bias": "fixed", "fc.*": "laplace(share=channel)", "*": "student-t(df=4)"}``. A family's own
            options override the arguments below. ``deterministic_parameters`` lists what stays deterministic.
        scale: initial standard deviation as a fraction of each tensor's root mean square, above 0.
        share: one learned scale per ``element``, ``channel``, ``tensor``, or one for the ``network``.
        floor: minimum scale as a fraction of each tensor's size: noise that training cannot remove.
        snr: signal-to-noise ratio at which every tensor is fixed; 0: not fixed.
        priors: a mapping from name patterns to priors, of which the first match applies, for ``net.kl()`` and the
            objectives ``elbo`` and ``kl``: ``{"*norm*.weight": "normal(at=1, scale=0.1)", "*": "normal(scale=1)"}``. A
            prior is ``normal`` or ``laplace`` with the standard deviation ``scale`` around ``at``, a number or
            ``pretrained``: the weights as they are now. Parameters that match none have the prior of the objective.

    Returns:
        A network that is an instance of the same class and of ``RandomNetwork``.

    Raises:
        RandomizeError: if the module cannot be randomized; it lists every reason.
        UsageError: for a family, a scale, a prior or an option that does not exist or is invalid.

    Example:
        >>> net = randomize(nn.Linear(4, 2))
        >>> bool((net(torch.ones(1, 4)) == net(torch.ones(1, 4))).all())
        False
    """
    _check_wrapper(module)
    sites = find_sites(module, family, share=share, floor=floor, snr=snr, problems=scale_problems(scale))
    net = copied(module)
    starting, running = starting_sizes(net, sites), running_sizes(net, sites)
    for site in sites:
        mean = parameter_at(net, site.owners[0])
        with torch.no_grad():
            tensors = _initial(
                site, mean.detach(), scale, (running if site.scaling.needs_unit else starting)[site.name]
            )
        for (path, name), tensor in zip(site.learned_places(), tensors, strict=True):
            owner = net.get_submodule(path)
            if name not in owner._parameters:  # a scale shared by the whole network is registered once
                learns = mean.requires_grad and _learns(site, (path, name))
                owner.register_parameter(name, nn.Parameter(tensor, requires_grad=learns))
    taken, parts = taken_names(net), parts_of(module)
    original = type(net)  # an fx module has a class of its own, which its copy does not share
    net.__class__ = random_class(original, taken, parts)  # type: ignore[arg-type]
    attach(net, Handle(tuple(sites), original, taken, parts))
    if priors is not None:
        set_priors(net, priors)
    return cast(RandomNetwork, net)


def scale_problems(scale: float) -> list[str]:
    """The problems with an initial scale, if any."""
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        return [f"a scale of {scale!r} makes nothing random: expected a finite number above 0, such as 0.1"]
    return []


def _check_wrapper(module: nn.Module) -> None:
    """Raise ``RandomizeError`` for a wrapper of a network (``torch.compile``, ``DistributedDataParallel``)."""
    inner = seen_through(module)
    if inner is not module:
        name = type(module).__name__
        raise RandomizeError(
            f"{name} cannot be made random",
            findings=[f"{name} is a wrapper around {type(inner).__name__}: randomize that, then wrap the result"],
        )


def _learns(site: Site, place: tuple[str, str]) -> bool:
    """Whether training changes a tensor other than the mean: one that shapes the noise only if the scale is learned."""
    if place == site.learned_places()[0]:
        return site.scaling.learn and site.distribution.scaled
    return site.scaling.learn or place not in site.scale_places()


def _initial(site: Site, mean: Tensor, scale: float, size: Tensor) -> tuple[Tensor, ...]:
    """``rho`` and the other learned tensors such that the standard deviation is ``scale`` times the tensor's size.

    A scale that is not learned is a standard deviation in units of the tensor.
    """
    distribution, scaling = site.distribution, site.scaling
    scale = scaling.scale or scale
    size = size if scaling.learn else one(mean)
    if distribution.on_grid:
        first = distribution.first_scale(scaling.rows(mean, site.channel), scale * float(size))
        rho = mean.new_tensor([rho_of(float(own)) for own in first]).view(scaling.shape(mean, site.channel))
        return rho, *distribution.initialize(mean)
    unit = one(mean) if distribution.relative else size.to(mean)
    start = distribution.initialize(mean)
    learned = distribution.in_units(unit, *start)
    spread = distribution.std(mean, unit.expand(()), *learned).square().mean().sqrt()  # standard deviation at scale 1
    factor = float(size / spread) if float(spread) > 0 else 1.0
    rho = scaling.initial(mean, site.channel, scale * factor, unit)
    return rho, *distribution.in_units(unit * (scale * factor), *start)
