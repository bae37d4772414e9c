"""The draws that an objective with several forward passes uses."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from variate.training.inner_attack import InnerAttack


def shared_or_fresh_draws(perturb: InnerAttack, same: float) -> AbstractContextManager[None]:
    """One draw for the attack and all calls of the network if ``same`` is not 0, otherwise a fresh draw per call."""
    return perturb.one_draw() if same else nullcontext()
