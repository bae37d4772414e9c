"""The distribution of one parameter tensor: its family, and the site where the tensor is."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.options import Value, parse, written
from variate.random.noise import counter
from variate.random.noise.kinds import Kind
from variate.random.scale import SHARES, Scaling, Share

Form = Literal["independent", "correlated", "discrete", "modes"]
HALF = (torch.float16, torch.bfloat16)
NETWORK_RHO = "network_rho"


@dataclass(frozen=True)
class Family(ABC):
    """A family of distributions for one parameter tensor.

    The mean is the parameter itself, under its own name. Every method takes ``mean``, the positive ``scale``, which
    broadcasts to it, and the tensors that ``learned`` names. A family is a frozen dataclass whose fields are its
    options, written ``name(option=value)``.

    Attributes:
        learned: names of the tensors learned in addition to mean and scale.
        shares: how the scale may be shared, the default first.
        relative: whether the noise multiplies the mean, so that the scale is a fraction of it.
        form: ``independent`` elements, ``correlated`` elements (linear in Gaussian noise), ``discrete``, or ``modes``:
            one of a few centers for all elements of all tensors, and independent noise around it.
        weights: those of ``learned`` that are values of weights, which train like the mean: without the learning rate
            of the scales, and with weight decay.
        whole: those of ``learned`` that the network has once, for all tensors.
        pathwise: whether ``sample`` has an exact pathwise gradient, rather than a straight-through estimate.
        scaled: whether a draw depends on the scale.
        on_grid: whether weights lie on a grid of which the scale is the half-width, so that means are rounded to it
            (``center``), no draw is larger, and gradients are estimates.
    """

    learned: ClassVar[tuple[str, ...]] = ()
    weights: ClassVar[tuple[str, ...]] = ()
    whole: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[tuple[Share, ...]] = ("element", "channel", "tensor", "network")
    relative: ClassVar[bool] = False
    form: ClassVar[Form] = "independent"
    on_grid: ClassVar[bool] = False

    @property
    def pathwise(self) -> bool:
        """Whether ``sample`` has an exact pathwise gradient."""
        return True

    @property
    def scaled(self) -> bool:
        """Whether a draw depends on the scale."""
        return True

    def initialize(self, mean: Tensor) -> tuple[Tensor, ...]:
        """Initial values of the tensors in ``learned``, for a scale of 1."""
        return ()

    def in_units(self, scale: Tensor, *learned: Tensor) -> tuple[Tensor, ...]:
        """The tensors in ``learned``, from those for a scale of 1: what has the unit of the weights is multiplied."""
        return learned

    def first_scale(self, rows: Tensor, std: float) -> Tensor:
        """The initial scale of each row of means (R, E) that share one, for a standard deviation: (R,).

        Only families on a grid have their own: others start at the scale whose draws have this standard deviation.
        """
        return rows.new_full((len(rows),), std)

    def center(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The mean of a draw: the parameter itself, unless the family rounds it."""
        return mean

    @abstractmethod
    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        """Parameter-free noise in the shape, dtype and device of ``like``: a pure function of (key, uid)."""

    @abstractmethod
    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The reparameterized draw, differentiable in ``mean``, ``scale`` and ``learned``."""

    def samples(self, noises: Sequence[tuple[Tensor, ...]], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """``sample`` under the noise of several keys: shape (S, ...)."""
        return torch.stack([self.sample(noise, mean, scale, *learned) for noise in noises])

    @abstractmethod
    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The standard deviation of every element, in the shape of the mean, differentiable.

        It is linear in ``scale`` where ``learned`` is ``in_units`` of it; on a grid, where the mean is too.
        """

    @abstractmethod
    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """Entropy in nats of the whole tensor: a scalar, differentiable."""

    def kl(self, mean: Tensor, scale: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        """KL(q || N(0, prior_std^2)) in nats of the whole tensor: -entropy - E_q log prior. A scalar."""
        second = mean.square() + self.std(mean, scale, *learned).square()
        cross = second / (2 * prior_std**2) + math.log(prior_std * math.sqrt(2 * math.pi))
        return cross.sum() - self.entropy(mean, scale, *learned)


@dataclass(frozen=True)
class LocationScale(Family):
    """w = mean + scale * z with independent z of mean 0 and variance 1; a sampler draws these families in one pass.

    Attributes:
        kind: the distribution of z.
    """

    kind: ClassVar[Kind]

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        """One value of z for every element."""
        return (counter.noise(self.kind, key, uid, like.shape, device=like.device).to(like.dtype),)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The mean plus scaled noise."""
        return torch.addcmul(mean, scale, noise[0])

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The scale."""
        return scale.expand_as(mean)

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The entropy of z, shifted by log scale."""
        return scale.expand_as(mean).log().sum() + mean.numel() * self.unit_entropy()

    @abstractmethod
    def unit_entropy(self) -> float:
        """The differential entropy of z in nats."""


@dataclass(frozen=True)
class Site:
    """One random parameter: a tensor and every module attribute that holds it (several if it is tied).

    Attributes:
        name: the parameter's first qualified name, such as ``conv1.weight``.
        family: the family with its options, such as ``student-t(df=4)``.
        owners: (module path, attribute name) of every place that holds the tensor.
        uid: number of the tensor in the noise counter: a hash of its name, so it does not depend on other parameters.
        channel: dimension of the output channels.
    """

    name: str
    family: str
    owners: tuple[tuple[str, str], ...]
    uid: int
    channel: int = 0

    @property
    def distribution(self) -> Family:
        """The distribution that ``family`` describes."""
        return family_named(self.family)[0]

    @property
    def scaling(self) -> Scaling:
        """How ``rho`` becomes the site's scale."""
        return family_named(self.family)[1]

    def learned_places(self) -> list[tuple[str, str]]:
        """(path, attribute) of ``rho`` and every other learned tensor: on the first owner, next to the mean."""
        path, attribute = self.owners[0]
        rho = ("", NETWORK_RHO) if self.scaling.share == "network" else (path, f"{attribute}_rho")
        return [rho, *self._places(self.distribution.learned)]

    def scale_places(self) -> list[tuple[str, str]]:
        """Those of ``learned_places`` that shape the noise, rather than being values of weights."""
        weights = self._places(self.distribution.weights)
        return [place for place in self.learned_places() if place not in weights]

    def _places(self, names: Sequence[str]) -> list[tuple[str, str]]:
        path, attribute = self.owners[0]
        whole = self.distribution.whole
        return [("", f"network_{name}") if name in whole else (path, f"{attribute}_{name}") for name in names]


@cache
def _class_named(name: str) -> type[Family]:
    return cast("type[Family]", registry.get("families", name).load())


@cache
def family_named(text: str) -> tuple[Family, Scaling]:
    """The family and the scaling of ``name(option=value, ...)``. Raises ``UsageError``."""
    name, options = parse(text, "a family")
    entry = registry.get("families", name)
    kind = _class_named(name)
    scale_fields = [field.name for field in dataclasses.fields(Scaling)] if entry.facts["random"] else []
    own_fields = [field.name for field in dataclasses.fields(kind)]
    for option in options:
        if option not in (*own_fields, *scale_fields):
            raise unknown_name(f"option of {name}", option, [*own_fields, *scale_fields])
    distribution = kind(**{option: options[option] for option in own_fields if option in options})
    scale_options = {option: options[option] for option in scale_fields if option in options}
    if "learn" in scale_options:
        scale_options["learn"] = learns(options)
    scaling = Scaling(**{"share": kind.shares[0], **scale_options})  # type: ignore[arg-type]
    if scaling.share not in kind.shares:
        raise UsageError(f"{name} cannot share its scale per {scaling.share}", expected=f"{', '.join(kind.shares)}")
    if kind.on_grid and scaling.needs_unit:
        raise UsageError(
            f"the scale of {name} is the half-width of its grid, which has no floor and no fixed snr",
            expected=f"{name} without floor and snr: its noise cannot vanish",
        )
    return distribution, scaling


def learns(options: Mapping[str, Value]) -> Value:
    """The option ``learn`` of a family, where yes and no stand for truth values; True by default."""
    value = options.get("learn", True)
    return {"yes": True, "no": False}.get(value, value) if isinstance(value, str) else value


def with_defaults(text: str, share: Share, floor: float, snr: float) -> str:
    """A family's text with the network-wide options added, where it accepts them and does not set its own."""
    name, options = parse(text, "a family")
    if not registry.get("families", name).facts["random"]:
        return text
    shares = _class_named(name).shares
    if not learns(options):
        return text
    defaults = {"share": shares[0] if share in SHARES and share not in shares else share, "floor": floor, "snr": snr}
    implicit = {"share": shares[0], "floor": 0.0, "snr": 0.0}
    missing = {o: v for o, v in defaults.items() if o not in options and v != implicit[o]}
    return written(name, {**options, **missing})
