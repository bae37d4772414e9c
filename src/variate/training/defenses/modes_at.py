"""Several networks trained as one random network, whose every draw is near one of them."""

from __future__ import annotations

from typing import cast

from torch import nn

from variate.errors import UsageError
from variate.random.as_modes import as_modes
from variate.random.families.modes import Around
from variate.random.scale import Share
from variate.registry import defense
from variate.training.defenses.parts.members import permuted_copy
from variate.training.defenses.parts.ranges import check_at_least
from variate.training.defenses.parts.surgery import seeded_by


@defense(
    random=True,
    group="ours",
    adversarial=True,
    cite="ours; an ensemble attacked and trained as one network: Grefenstette et al. 2018, arXiv:1811.09300",
)
def modes_at(
    network: nn.Module,
    *,
    modes: int = 4,
    around: str = "normal",
    scale: float = 0.05,
    share: str = "tensor",
    apart: float = 1.0,
) -> tuple[nn.Module, str]:
    """One of K networks per draw, with small noise around it; adversarial training of their mean as one network.

    The training runs every mode at each step: the loss is that of the mean of all modes, plus the mean of their own,
    and the inner attack climbs that of their mean (``deployed``, by default ``mean-K`` here). Judge it as ``mean-K``,
    which costs K passes: compare it with K independently trained networks, and with one of K times the parameters.

    Args:
        network: the architecture, initialized or trained.
        modes: number of modes, K, at least 2.
        around: ``normal`` noise around each mode, or ``fixed``: none.
        scale: initial standard deviation of that noise, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel`` or ``tensor``, or one for the whole ``network``.
        apart: how far the other modes start from the network: 1 permutes the values of every tensor, as independent
            initializations do; use about 0.1 for a trained network (``start``).

    Returns:
        The network to train and its objective.
    """
    check_at_least("modes", modes, 2)
    if not 0 < apart <= 1:
        raise UsageError(f"apart is {apart!r}", expected="a number above 0, up to 1")
    with seeded_by(network):
        others = [permuted_copy(network, apart) for _ in range(modes - 1)]
    return as_modes(
        [network, *others], around=cast(Around, around), scale=scale, share=cast(Share, share)
    ), "adversarial"
