"""Prior distributions of parameters: chosen by name pattern, around a number or around the pretrained weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from variate.errors import UsageError, unknown_name
from variate.options import parse, plain
from variate.random.distribution import Site
from variate.random.handle import handle_of
from variate.random.inside import contains_random, networks_in
from variate.random.parameters import parameter_at, qualified
from variate.random.patterns import first_match, no_match

Shape = Literal["normal", "laplace"]
PRETRAINED = "pretrained"
WRITTEN = "normal(at=1, scale=0.1), laplace(scale=1) or normal(at=pretrained, scale=0.1)"


@dataclass(frozen=True)
class Prior:
    """The prior of every element of a parameter tensor.

    Attributes:
        shape: ``normal`` or ``laplace``.
        at: its mean, a number; ``pretrained``: the weights as they were when the prior was set.
        scale: its standard deviation, above 0, in the unit of the weights.
    """

    shape: Shape
    at: float | Literal["pretrained"] = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise unknown_name("prior", self.shape, get_args(Shape))
        if not _is_number(self.scale) or not self.scale > 0:
            raise UsageError(f"scale of a prior is {self.scale!r}", expected="a finite number above 0")
        if self.at != PRETRAINED and not _is_number(self.at):
            raise UsageError(f"at of a prior is {self.at!r}", expected=f"a number, or {PRETRAINED}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@cache
def prior_named(text: str) -> Prior:
    """The prior that ``normal(at=1, scale=0.1)`` describes. Raises ``UsageError``."""
    name, options = parse(text, "a prior")
    known = [field.name for field in fields(Prior) if field.name != "shape"]
    for option in options:
        if option not in known:
            raise unknown_name("option of a prior", option, known)
    return Prior(cast(Shape, name), **options)  # type: ignore[arg-type]


def set_priors(net: nn.Module, priors: Mapping[str, str]) -> None:
    """Set the priors of a random network's parameters, or those of a module that contains some, in place.

    Args:
        net: the network.
        priors: name patterns to priors, of which the first match applies, such as
            ``{"*norm*.weight": "normal(at=1, scale=0.1)", "*": "normal(at=pretrained, scale=0.1)"}``. Parameters that
            match none have no prior of their own. With ``at=pretrained`` the current means are kept in a buffer beside
            the parameter, so ``state_dict`` holds them; those that are there already stay.

    Raises:
        UsageError: for an invalid prior, a pattern that matches nothing, and a family without a closed form of the
            divergence from the prior; it lists every finding.
    """
    if not isinstance(priors, Mapping) or not all(isinstance(text, str) for text in priors.values()):
        raise UsageError(f"priors is {priors!r}", expected=f"a mapping from name patterns to priors such as {WRITTEN}")
    parts = networks_in(net)
    places = [(part, site, _names(path, site)) for path, part in parts.items() for site in handle_of(part).sites]
    matches = [first_match(priors, names) for _, _, names in places]
    every = [name for _, _, names in places for name in names]
    findings = [no_match(pattern, every) for pattern in priors if pattern not in matches]
    findings += [problem for text in dict.fromkeys(priors.values()) for problem in _problems(text)]
    chosen = [(part, site, priors[m]) for (part, site, _), m in zip(places, matches, strict=True) if m is not None]
    if not findings:
        findings = [finding for part, site, text in chosen for finding in _site_findings(part, site, text)]
    if findings:
        raise UsageError("the parameters cannot have these priors", findings=list(dict.fromkeys(findings)))
    for part in parts.values():
        _replace(part, {site.name: text for owner, site, text in chosen if owner is part})


def priors_of(net: nn.Module) -> dict[str, str]:
    """The prior of every parameter that has its own, by name."""
    found: dict[str, str] = {}
    for path, part in networks_in(net).items() if contains_random(net) else ():
        found |= {qualified((path, name)): text for name, text in handle_of(part).priors.items()}
    return found


def without_priors(part: nn.Module) -> None:
    """Remove the priors of a random network, and the pretrained weights that were kept for them."""
    _replace(part, {})


def from_lines(lines: Sequence[str]) -> dict[str, str]:
    """Priors as a command or a file lists them: ``PATTERN: PRIOR`` each. Raises ``UsageError``."""
    if isinstance(lines, str) or not all(isinstance(line, str) for line in lines):
        raise UsageError(f"priors is {lines!r}", expected=f"a list of PATTERN: PRIOR, such as '*: {WRITTEN}'")
    priors = {}
    for line in lines:
        pattern, colon, text = (part.strip() for part in line.partition(":"))
        if not (pattern and colon and text):
            raise UsageError(f"{line!r} is no prior", expected=f"PATTERN: PRIOR, with a PRIOR such as {WRITTEN}")
        priors[pattern] = text
    return priors


def divergence_of(part: nn.Module, site: Site, group: tuple[Tensor, ...], prior_std: float | None) -> Tensor:
    """KL(q || prior) in nats of one site: from its own prior, or N(0, ``prior_std``^2) where it has none.

    Args:
        part: the random network of the site.
        site: the site, under its name in ``part``.
        group: (mean, scale, *learned).
        prior_std: standard deviation of the prior of parameters without their own.

    Raises:
        UsageError: if neither is given.
    """
    text = handle_of(part).priors.get(site.name)
    if text is None:
        if prior_std is None:
            raise UsageError(f"{site.name} has no prior", todo="pass prior_std=1.0, or randomize(net, priors={...})")
        return site.distribution.kl(*group, prior_std=prior_std)
    prior = prior_named(text)
    center = _center(part, site, prior, group[0])
    return (_from_normal if prior.shape == "normal" else _from_laplace)(site, group, center, prior.scale)


def _from_normal(site: Site, group: tuple[Tensor, ...], center: Tensor, scale: float) -> Tensor:
    """E (w - c)^2 is that of w - c, whose noise is the same; noise that depends on the mean takes the difference."""
    mean, *rest = group
    own = site.distribution
    if not (own.relative or own.on_grid):
        return own.kl(mean - center, *rest, prior_std=scale)
    return own.kl(*group, prior_std=scale) + (center * (center - 2 * own.center(*group))).sum() / (2 * scale**2)


def _from_laplace(site: Site, group: tuple[Tensor, ...], center: Tensor, scale: float) -> Tensor:
    """E |w - c| / b + log(2 b) - entropy, with b = scale / sqrt(2)."""
    width, (mean, *rest) = scale / math.sqrt(2), group
    distance = DISTANCES[plain(site.family)]((mean - center).abs(), site.distribution.std(*group))
    return distance.sum() / width + mean.numel() * math.log(2 * width) - site.distribution.entropy(mean, *rest)


def _folded_normal(away: Tensor, std: Tensor) -> Tensor:
    """E |w| of Gaussian elements at a distance from 0."""
    units = away / std
    expected: Tensor = away * torch.erf(units / math.sqrt(2))
    return expected + std * math.sqrt(2 / math.pi) * (-units.square() / 2).exp()


def _folded_laplace(away: Tensor, std: Tensor) -> Tensor:
    """E |w| of Laplace elements at a distance from 0."""
    width = std / math.sqrt(2)
    return away + width * (-away / width).exp()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": _folded_normal,
    "lowrank-normal": _folded_normal,
    "matrix-normal": _folded_normal,
    "laplace": _folded_laplace,
}


def _center(part: nn.Module, site: Site, prior: Prior, mean: Tensor) -> Tensor:
    if prior.at == PRETRAINED:
        path, name = _kept_at(site)
        return cast(Tensor, part.get_submodule(path)._buffers[name]).to(mean)
    return mean.new_full((), cast(float, prior.at))


def _names(path: str, site: Site) -> list[str]:
    return [qualified((path, qualified(owner))) for owner in site.owners]


def _problems(text: str) -> list[str]:
    try:
        prior_named(text)
    except UsageError as error:
        return [" ".join(str(error).split())]
    return []


def _site_findings(part: nn.Module, site: Site, text: str) -> list[str]:
    """Why a site cannot have a prior that is valid in itself."""
    prior, findings = prior_named(text), []
    if prior.shape == "laplace" and plain(site.family) not in DISTANCES:
        findings.append(
            f"the divergence of {plain(site.family)} ({site.name}) from a laplace prior has no closed form: it has for "
            f"{', '.join(DISTANCES)}; use a normal prior, which every family has"
        )
    path, name = _kept_at(site)
    if prior.at == PRETRAINED and site.name not in _kept(part) and hasattr(part.get_submodule(path), name):
        findings.append(f"{qualified((path, name))} already exists, and the pretrained {site.name} needs that name")
    return findings


def _kept_at(site: Site) -> tuple[str, str]:
    """(path, attribute) of the buffer that keeps the pretrained value of a parameter: beside the parameter."""
    path, attribute = site.owners[0]
    return path, f"{attribute}_prior"


def _kept(part: nn.Module) -> list[str]:
    """The names of the sites whose pretrained values are kept."""
    return [name for name, text in handle_of(part).priors.items() if prior_named(text).at == PRETRAINED]


def _replace(part: nn.Module, priors: dict[str, str]) -> None:
    """Give a random network these priors by site name, and no others; pretrained values that are kept stay."""
    before, handle = _kept(part), handle_of(part)
    handle.priors = dict(priors)
    for site in handle.sites:
        path, name = _kept_at(site)
        owner, wanted = part.get_submodule(path), site.name in _kept(part)
        if wanted and site.name not in before:
            owner.register_buffer(name, parameter_at(part, site.owners[0]).detach().clone())
        elif not wanted and site.name in before:
            del owner._buffers[name]
