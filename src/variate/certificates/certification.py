"""How a network is certified: all options, each with its default and its help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from variate.errors import UsageError
from variate.fields import check_limits, option
from variate.statistics.proved_names import POPULATION, VOTE

DEPLOYMENTS = (VOTE, "single", POPULATION, "survive-10", "majority-16")
RADII = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Casting:
    """How votes are cast: the options that certifying and judging ``certified-R`` share."""

    norm: str | None = option(None, "norm of the radii; by default the first one that the certificate gives")
    mechanism: str | None = option(
        None,
        "certificate to use (see `variate list certificates`); by default the noise on the input decides, and a "
        "network without any is certified by interval bounds",
        entries="certificates",
    )
    draws: int = option(1000, "number of votes that bound the probability of a label", at_least=1)
    alpha: float = option(
        0.001, "probability with which the certificate of an example may be wrong, above 0", at_least=0
    )
    votes_of: int = option(
        1, "draws of the weights, under one noise on the input, whose mean probability casts a vote", at_least=1
    )
    batch_size: int = option(500, "examples per batch; memory grows with it", at_least=1)
    seed: int = option(0, "seed of the draws")

    def check(self) -> None:
        """Raise ``UsageError`` for an option that makes no sense."""
        check_limits(self)
        if not 0 < self.alpha < 1:
            raise UsageError(f"alpha is {self.alpha!r}", expected="a probability between 0 and 1, such as 0.001")


@dataclass(frozen=True)
class Certification(Casting):
    """How a network is certified: the options of ``variate.certify``, of ``variate certify``, and of studies.

    To add an option, add a field here and use it.
    """

    radii: Sequence[float | str] = option(RADII, "sizes of the budgets; on the command line, one after another")
    deployments: Sequence[str] = option(
        DEPLOYMENTS,
        "what is certified: vote, single, survive-N, majority-S, 'single, by population'; or certified-R, which "
        "answers only where its certificate at the received input reaches R, and else abstains",
        singular="deployment",
    )
    early_stop: bool = option(
        False,
        "end the votes on an example as soon as they tell whether its label is certified, after all draws at most: for "
        "the vote alone",
    )
