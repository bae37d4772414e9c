"""The kinds of noise that a sampler makes, by name, in the order of ``enum kind`` in ``noise.c``."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["normal", "uniform", "laplace", "logistic", "unit", "bits"]
"""All have mean 0 and variance 1, except ``unit`` (uniform in (0, 1)) and ``bits`` (the 32-bit words as floats)."""

KINDS: tuple[Kind, ...] = get_args(Kind)
