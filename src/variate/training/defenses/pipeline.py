"""A pipeline of stages, some of them random: any stage may raise the alarm, or most of them decide."""

from __future__ import annotations

from typing import cast

from torch import nn

from variate.random.pipeline import Pipeline, PipelineRule
from variate.random.randomize import randomize
from variate.registry import defense
from variate.training.defenses.parts.members import permuted_copy
from variate.training.defenses.parts.ranges import check_at_least
from variate.training.defenses.parts.surgery import seeded_by


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="ours; detectors in a row: MLSEC 2021, https://mlsec.io; attacked as one: Carlini & Wagner 2017, "
    "arXiv:1705.07263",
    differs="All stages see the same input, and each learns from a random share of every batch, so together they cost "
    "as much training as one network.",
)
def pipeline(
    network: nn.Module,
    *,
    stages: int = 3,
    random: int = 1,
    rule: str = "veto",
    positive: int = 1,
    family: str = "normal",
    scale: float = 0.2,
) -> tuple[nn.Module, str]:
    """Networks of one architecture in a row, some with every parameter random; together they answer each query.

    The other stages start from the values of the first, with each tensor randomly permuted. Do not start from a trained
    network. Networks that are trained already are joined by ``variate.pipeline``.

    Args:
        network: the architecture, initialized.
        stages: number of stages, at least 2.
        random: number of stages with random parameters, at least 1: the last ones.
        rule: ``veto``: any stage that answers ``positive`` decides; ``majority``: the most frequent answer does.
        positive: the class that raises the alarm.
        family: family of the distributions.
        scale: initial standard deviation, relative to each tensor's size.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: for fewer stages, more random ones than stages, and an unknown rule or family.
    """
    check_at_least("stages", stages, 2)
    check_at_least("random", random, 1)
    check_at_least("stages", stages, random)
    with seeded_by(network):
        plain = [network, *(permuted_copy(network) for _ in range(stages - 1))]
    kept = stages - random
    members = [*plain[:kept], *(randomize(stage, family, scale=scale) for stage in plain[kept:])]
    return Pipeline(members, cast(PipelineRule, rule), positive=positive), "cross-entropy+snr"
