"""Budgets: how far an adversarial input may be from the original, kept exactly as the user wrote it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast, get_args

from variate.errors import UsageError, unknown_name
from variate.options import exact

if TYPE_CHECKING:
    from torch import Tensor

Change = Literal["both", "up", "down"]  # whether a value may grow and fall, only grow, or only fall
NORMS = ("linf", "l2", "l1", "l0")
OTHERS = ("snr", "features", "words", "chars")  # defined by a modality: see ``variate.inputs.modality``
BEGINNINGS = tuple(f"{norm}:" for norm in NORMS + OTHERS)  # prefixes of budgets
ORDERS = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}
COUNTS = ("l0", "words", "chars")  # norms whose size is an integer
EXPECTED = (
    "NORM:SIZE, such as linf:8/255, linf:0.1, l2:1.5, l1:12 or l0:20; for audio snr:20dB, for text words:3 or chars:2, "
    "for tables features:NAME=SIZE,NAME=SIZE up"
)
TIMES = "; times "  # after the sizes of features: a common factor
TOLERANCE = 1e-5  # float32 rounding of x + delta, relative to eps
MOST_DECIBELS = 400  # float32 represents no larger ratio of signal and noise
SHOWN = 80  # characters of a budget in an error
ULP = 6e-8  # one unit in the last place of a value of x


@dataclass(frozen=True)
class Budget:
    """A norm and a size, such as ``linf:8/255``; inputs lie in [0, 1].

    Attributes:
        text: what the user wrote, unchanged.
        norm: ``linf``, ``l2``, ``l1``, or ``l0``, the number of changed values; or a norm of one modality: ``snr`` in
            decibels, ``words``, ``chars``, or ``features``, each feature in its own unit.
        size: the size as an exact fraction; for ``features`` the factor that multiplies their sizes.
        features: the size of every named feature, as written, with ``up`` or ``down`` if the value may only grow or
            only fall; ``*`` stands for all others.
    """

    text: str
    norm: str
    size: Fraction
    features: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str | Budget) -> Budget:
        """Parse ``NORM:SIZE``; SIZE is a decimal or a fraction. Raises ``UsageError``."""
        if isinstance(text, Budget):
            return text
        norm, colon, size = str(text).partition(":")
        if not colon:
            raise UsageError(f"the budget {_shown(text)} has no size", expected=EXPECTED)
        if norm not in NORMS + OTHERS:
            raise unknown_name("norm", norm[:SHOWN], NORMS + OTHERS)
        if norm == "features":
            return cls(text, norm, *_parse_features(text, size))
        try:
            number = exact(size.strip().removesuffix("dB") if norm == "snr" else size)
        except ValueError:
            raise UsageError(f"the size of the budget {_shown(text)} is not a number", expected=EXPECTED) from None
        if norm == "snr" and abs(number) > MOST_DECIBELS:
            raise UsageError(
                f"the budget {_shown(text)} is out of range", expected=f"at most {MOST_DECIBELS} dB either way"
            )
        if number < 0 and norm != "snr":
            raise UsageError(f"the size of the budget {_shown(text)} is negative", expected="a size of 0 or more")
        if norm in COUNTS and number.denominator != 1:
            raise UsageError(
                f"the budget {_shown(text)} is not a whole number", expected="a whole number, such as l0:20"
            )
        return cls(text, norm, number)

    @property
    def eps(self) -> float:
        """The size as a float, in units of the input range [0, 1]; for ``snr`` the noise-to-signal ratio."""
        return 10 ** (-float(self.size) / 20) if self.norm == "snr" else float(self.size)

    def __str__(self) -> str:
        return self.text

    @property
    def measure(self) -> str:
        """What the size measures: the norm, for ``features`` with their sizes; only sizes in one measure compare."""
        return self.text.partition(TIMES)[0] if self.norm == "features" else self.norm

    def with_size(self, size: str) -> Budget:
        """The same norm with another size; for ``features`` with another factor."""
        if self.norm == "features":
            return Budget.parse(f"{self.measure}{TIMES}{size}")
        return Budget.parse(f"{self.norm}:{size}")

    def scaled(self, factor: Fraction | int) -> Budget:
        """A budget of the same norm, ``factor`` times as large; whole numbers are rounded down."""
        if self.norm == "snr":
            return self.with_size(f"{float(self.size) - 20 * math.log10(factor):.4f}dB")
        size = self.size * factor
        return self.with_size(str(int(size) if self.norm in COUNTS else size))

    def distance(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The size of each example's perturbation in this budget's norm. Shapes: (B, ...) and (B, ...) to (B,)."""
        delta = (perturbed - x).flatten(1)  # (B, D)
        distances: Tensor = delta.norm(p=ORDERS[self.norm], dim=1)
        return distances

    def project(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The nearest point to ``perturbed`` inside the budget around ``x``, then inside [0, 1]. Shape (B, ...).

        Clipping to [0, 1] never lengthens the perturbation. ``l0`` keeps the largest changes.
        """
        return (x + self.nearest(perturbed - x)).clamp(0.0, 1.0)

    def nearest(self, delta: Tensor, sizes: Tensor | None = None) -> Tensor:
        """Project perturbations (B, ...) onto the ball of this size, or onto balls of ``sizes``, shape (B,)."""
        flat = delta.flatten(1)
        eps = flat.new_full((len(flat), 1), self.eps) if sizes is None else sizes[:, None].to(flat)  # (B, 1)
        if self.norm == "linf":
            inside = flat.clamp(-eps, eps)
        elif self.norm == "l1":
            inside = _onto_l1(flat, eps)
        elif self.norm == "l0":
            inside = _largest(flat, eps)
        else:
            inside = flat * (eps / self._norms(flat)[:, None]).clamp(max=1.0)
        return inside.view_as(delta)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit step of this norm that raises a linear function most: sign, normalized gradient, largest value.

        Raises ``UsageError`` for ``l0``, which has no such step.
        """
        if self.norm == "linf":
            return gradient.sign()
        if self.norm == "l1":
            flat = gradient.flatten(1)
            best = flat.abs().argmax(1, keepdim=True)
            return flat.new_zeros(flat.shape).scatter(1, best, flat.gather(1, best).sign()).view_as(gradient)
        if self.norm == "l0":
            raise UsageError("a budget in l0 has no steepest step", expected="linf, l2 or l1")
        largest = gradient.flatten(1).abs().amax(1)  # (B,)
        scaled = gradient / self._per_example(
            largest.where(largest > 0, 1.0), gradient
        )  # so that squares do not underflow
        unit: Tensor = scaled / self._per_example(self._norms(scaled), scaled)
        return unit

    def contains(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """Whether each example is inside the budget and inside [0, 1], up to float rounding. Shape (B,)."""
        flat = perturbed.flatten(1)
        values = {"linf": 1.0, "l2": flat.shape[1] ** 0.5, "l1": float(flat.shape[1]), "l0": 0.0}[self.norm]
        near = self.distance(perturbed, x) <= self.eps * (1 + TOLERANCE) + 1e-6 + ULP * values
        inside: Tensor = near & (flat >= 0).all(1) & (flat <= 1).all(1)
        return inside

    @staticmethod
    def _norms(delta: Tensor) -> Tensor:
        tiny = 1e-12  # keeps a zero gradient zero instead of NaN
        norms: Tensor = delta.flatten(1).norm(dim=1)
        return norms.clamp(min=tiny)  # (B,)

    @staticmethod
    def _per_example(values: Tensor, like: Tensor) -> Tensor:
        shaped: Tensor = values.reshape(-1, *[1] * (like.dim() - 1))  # (B, 1, ...)
        return shaped


def _parse_features(text: str, sizes_text: str) -> tuple[Fraction, tuple[tuple[str, str], ...]]:
    """Parse ``age=2,income=5%,*=1%`` and an optional common factor after a semicolon. Raises ``UsageError``."""
    size_list, _, factor_text = sizes_text.partition(TIMES)
    pairs = [tuple(part.strip() for part in item.rpartition("=")[::2]) for item in size_list.split(",")]
    for name, size in pairs:
        try:
            bad = not name or exact(directed(size)[0].removesuffix("%")) < 0
        except ValueError:
            bad = True
        if bad:
            raise UsageError(
                f"{_shown(name or size)} in the budget {_shown(text)} has no size",
                expected="features:NAME=SIZE,NAME=SIZE; sizes in the feature's own unit or in % of its range, with "
                "up or down behind them if the feature may only grow or only fall",
            )
    try:
        factor = exact(factor_text or "1")
    except ValueError:
        factor = Fraction(-1)
    if factor < 0:
        raise UsageError(
            f"{_shown(factor_text)} is not a valid factor of sizes", expected=f"a number of at least 0 after {TIMES!r}"
        )
    return factor, tuple((name, size) for name, size in pairs)


def directed(size: str) -> tuple[str, Change]:
    """Split the size of a feature as written, such as ``5% up``, into the size and how the value may change."""
    for change in get_args(Change)[1:]:
        if size.endswith(change):
            return size.removesuffix(change).rstrip(), cast(Change, change)
    return size, "both"


def _shown(text: object) -> str:
    """What the user wrote, in quotes, cut short where it is long."""
    written = str(text)
    return repr(written if len(written) <= SHOWN else f"{written[:SHOWN]}...")


def _onto_l1(delta: Tensor, eps: Tensor) -> Tensor:
    """Project onto l1 balls: (B, D) and sizes (B, 1) to (B, D). Duchi et al. 2008, figure 1."""
    sizes = delta.abs()
    sorted_sizes = sizes.sort(1, descending=True).values
    counts = sorted_sizes.new_ones(sorted_sizes.shape).cumsum(1)
    excess = (sorted_sizes.cumsum(1) - eps) / counts  # what each of the j largest would lose
    last = (sorted_sizes > excess).sum(1, keepdim=True).clamp(min=1) - 1
    shrink = excess.gather(1, last).clamp(min=0)
    shrunk = (sizes - shrink).clamp(min=0) * delta.sign()
    return shrunk.where(sizes.sum(1, keepdim=True) > eps, delta)


def _largest(delta: Tensor, counts: Tensor) -> Tensor:
    """Keep the ``counts`` (B, 1) largest changes and undo the others: (B, D) to (B, D)."""
    order = delta.abs().sort(dim=1, descending=True, stable=True).indices
    ranks = order.argsort(1)  # rank of every value by size
    kept: Tensor = delta * (ranks < counts)
    return kept
