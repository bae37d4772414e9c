"""Which draws an objective that compares two answers takes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from variate.training.inner_attack import InnerAttack


def one_or_each(perturb: InnerAttack, same: float) -> AbstractContextManager[None]:
    """One draw for the attack and all calls of the network where ``same`` is not 0; a fresh one each otherwise."""
    return perturb.one_draw() if same else nullcontext()
