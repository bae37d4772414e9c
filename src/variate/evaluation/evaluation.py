"""An evaluation: all of its options, each with its default and its help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from variate.errors import UsageError
from variate.fields import option
from variate.inputs.budget import BEGINNINGS, Budget

Draws = int | Literal["auto"]
MEGABYTE = 1_000_000


def draws_of(word: str) -> Draws:
    """``auto`` or a number. Raises ``UsageError``."""
    if word == "auto":
        return "auto"
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"cannot average over {word!r} draws", expected="auto, or a whole number from 1")
    return int(word)


@dataclass(frozen=True)
class Evaluation:
    """How a network is attacked and judged: the options of ``variate.evaluate``, of the commands, and of studies.

    A new option is one more field here, and its use.
    """

    budget: str | Budget | None = option(
        None, "NORM:SIZE, such as linf:8/255, l2:0.5, l1:12 or l0:20", choices=BEGINNINGS
    )
    attacks: Sequence[str | Mapping[str, Any]] = option(
        ("pgd",),
        "NAME or NAME(option=value), such as 'pgd(steps=100)': see `variate list attacks`",
        entries="attacks",
        singular="attack",
    )
    suite: str | None = option(
        None,
        "quick, standard or full, beside the attacks; none: the attacks alone",
        choices=("quick", "standard", "full", "none"),
    )
    target: str | None = option(
        None,
        "what the suite aims at: next, random, least-likely or a label; nothing without it",
        choices=("next", "random", "least-likely"),
    )
    draws: Draws = option(
        20, "draws that every query of an attack averages over; auto: until the accuracy is flat", parse=draws_of
    )
    verdict_draws: int = option(160, "fresh draws of the verdict, which no attack has seen", at_least=1)
    deployments: Sequence[str] = option(
        ("single", "mean-16", "majority-16", "survive-10"),
        "single, mean-S, majority-S, survive-N",
        choices=("single", "mean-", "majority-", "survive-"),
        singular="deployment",
    )
    batch_size: int = option(256, "examples at a time; changes no answer", at_least=1)
    memory: int | None = option(
        None,
        "most {unit} that an attack's inputs and draws may take at once in the network",
        unit="bytes",
        typed_unit="megabytes",
        factor=MEGABYTE,
        at_least=1,
    )
    time_limit: float | None = option(
        None, "seconds after which no batch is begun; the same call or command goes on", at_least=0
    )
    seed: int = option(0, "seed of everything random; the same seed gives the same records")
