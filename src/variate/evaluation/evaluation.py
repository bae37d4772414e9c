"""An evaluation: all of its options, each with its default and its help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from variate.errors import UsageError
from variate.fields import option
from variate.inputs.budget import BEGINNINGS, Budget
from variate.options import counted

Draws = int | Literal["auto"]
MEGABYTE = 1_000_000


def draws_of(word: str) -> Draws:
    """``auto`` or a number of draws. Raises ``UsageError``."""
    if word == "auto":
        return "auto"
    try:
        return counted(word)
    except ValueError:
        raise UsageError(f"cannot average over {word!r:.80} draws", expected="auto, or a whole number from 1") from None


@dataclass(frozen=True)
class Evaluation:
    """How a network is attacked and judged: the options of ``variate.evaluate``, of the commands, and of studies.

    To add an option, add a field here and use it.
    """

    budget: str | Budget | None = option(
        None, "NORM:SIZE, such as linf:8/255, l2:0.5, l1:12 or l0:20", choices=BEGINNINGS
    )
    attacks: Sequence[str | Mapping[str, Any]] = option(
        ("pgd",),
        "NAME or NAME(option=value), such as 'pgd(steps=100)'; `variate list attacks` shows all",
        entries="attacks",
        singular="attack",
    )
    detector: str | None = option(
        None,
        "detector of similar queries that attacks with access labels face, such as similar or 'similar(queries=500)'; "
        "needs the attack oars, which adapts to it",
    )
    suite: str | None = option(
        None,
        "quick, standard or full, or attacks joined by +, in addition to the attacks; none: only the attacks",
        choices=("quick", "standard", "full", "none"),
    )
    target: str | None = option(
        None,
        "answer that the suite aims at: next, random, least-likely or a label; of other tasks as docs/tasks.md says; "
        "untargeted by default",
        choices=("next", "random", "least-likely"),
    )
    draws: Draws = option(
        20,
        "draws that every query of an attack averages over; auto: raise them until the accuracy is flat",
        parse=draws_of,
    )
    verdict_draws: int = option(160, "number of fresh draws for the verdict, which no attack has seen", at_least=1)
    deployments: Sequence[str] = option(
        ("single", "mean-16", "majority-16", "survive-10"),
        "single, mean-S, majority-S, survive-N",
        choices=("single", "mean-", "majority-", "survive-"),
        singular="deployment",
    )
    metrics: Sequence[str] = option(
        (),
        "metrics of the task beside the rates, over all examples: auto chooses those that fit the labels; "
        "auto(ordinal=yes), auto(costs='0 1; 5 0') or auto(small_structures=yes) say what labels do not; "
        "`variate list metrics` shows all",
        entries="metrics",
        choices=("auto",),
        singular="metric",
    )
    batch_size: int = option(
        256, "examples per batch; does not change answers unless the network couples them", at_least=1
    )
    memory: int | None = option(
        None,
        "limit, in {unit}, on the inputs and draws of an attack that are in the network at once",
        unit="bytes",
        typed_unit="megabytes",
        factor=MEGABYTE,
        at_least=1,
    )
    keep_inputs: int | None = option(
        None,
        "keep the inputs that are judged beside the records, for `variate evidence`, if they take at most so many "
        "{unit}; none are kept by default",
        unit="bytes",
        typed_unit="megabytes",
        factor=MEGABYTE,
        at_least=1,
    )
    time_limit: float | None = option(
        None, "seconds after which no new batch starts; repeat the call or command to continue", at_least=0
    )
    seed: int = option(0, "seed of the search and the verdict; the same seed gives the same records")
