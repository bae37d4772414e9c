"""The kinds of noise that a sampler makes, by name; their order is that of ``enum kind`` in ``noise.c``."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["normal", "uniform", "laplace", "logistic", "unit", "bits"]
"""All have mean 0 and variance 1, but ``unit``, uniform in (0, 1), and ``bits``, whose floats are the 32-bit words."""

KINDS: tuple[Kind, ...] = get_args(Kind)
