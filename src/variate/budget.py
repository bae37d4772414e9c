"""A budget: how far an adversarial input may be from the original, kept exactly as the user wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from variate.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from torch import Tensor

NORMS = ("linf", "l2")
TOLERANCE = 1e-5  # float32 rounding of x + delta, relative to eps, plus one unit in the last place of x


@dataclass(frozen=True)
class Budget:
    """A norm and a size, such as ``linf:8/255``; inputs lie in [0, 1].

    Attributes:
        text: what the user wrote, unchanged.
        norm: ``linf`` or ``l2``.
        size: the size as an exact fraction.
    """

    text: str
    norm: str
    size: Fraction

    @classmethod
    def parse(cls, text: str | Budget) -> Budget:
        """Read ``NORM:SIZE``; SIZE is a decimal or a fraction. Raises ``UsageError``."""
        if isinstance(text, Budget):
            return text
        norm, colon, size = str(text).partition(":")
        expected = "NORM:SIZE, such as linf:8/255, linf:0.1 or l2:1.5"
        if not colon:
            raise UsageError(f"the budget {text!r} has no size", expected=expected)
        if norm not in NORMS:
            raise unknown_name("norm", norm, NORMS)
        try:
            exact = Fraction(size.strip())
            float(exact)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise UsageError(f"the size of the budget {text!r} is not a number", expected=expected) from None
        if exact < 0:
            raise UsageError(f"the size of the budget {text!r} is negative", expected="a size of 0 or more")
        return cls(text, norm, exact)

    @property
    def eps(self) -> float:
        """The size as a float, in units of the input range [0, 1]."""
        return float(self.size)

    def __str__(self) -> str:
        return self.text

    def with_size(self, size: str) -> Budget:
        """The same norm with another size."""
        return Budget.parse(f"{self.norm}:{size}")

    def distance(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The size of each example's perturbation in this budget's norm. Shapes: (B, ...) and (B, ...) to (B,)."""
        delta = (perturbed - x).flatten(1)  # (B, D)
        return delta.abs().amax(1) if self.norm == "linf" else delta.norm(dim=1)

    def project(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """The nearest point to ``perturbed`` inside the budget around ``x``, then inside [0, 1]. Shape (B, ...).

        Both sets are convex and contain ``x``; clipping to [0, 1] never lengthens the perturbation.
        """
        delta = perturbed - x
        if self.norm == "linf":
            delta = delta.clamp(-self.eps, self.eps)
        else:
            delta = delta * self._per_example((self.eps / self._norms(delta)).clamp(max=1.0), delta)
        return (x + delta).clamp(0.0, 1.0)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit step of this norm that raises a linear function most: sign, or the normalized gradient."""
        if self.norm == "linf":
            return gradient.sign()
        largest = gradient.flatten(1).abs().amax(1)  # (B,)
        scaled = gradient / self._per_example(largest.where(largest > 0, 1.0), gradient)  # so that no square underflows
        unit: Tensor = scaled / self._per_example(self._norms(scaled), scaled)
        return unit

    def contains(self, perturbed: Tensor, x: Tensor) -> Tensor:
        """Whether each example is inside the budget and inside [0, 1], up to float rounding. Shape (B,)."""
        near = self.distance(perturbed, x) <= self.eps * (1 + TOLERANCE) + 1e-6
        flat = perturbed.flatten(1)
        inside: Tensor = near & (flat >= 0).all(1) & (flat <= 1).all(1)
        return inside

    @staticmethod
    def _norms(delta: Tensor) -> Tensor:
        tiny = 1e-12  # a zero gradient has no direction: it stays zero instead of becoming NaN
        norms: Tensor = delta.flatten(1).norm(dim=1)
        return norms.clamp(min=tiny)  # (B,)

    @staticmethod
    def _per_example(values: Tensor, like: Tensor) -> Tensor:
        shaped: Tensor = values.reshape(-1, *[1] * (like.dim() - 1))  # (B, 1, ...)
        return shaped
