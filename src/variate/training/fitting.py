"""Fit an architecture to the facts of data: what it takes, what it answers, and in which unit."""

from __future__ import annotations

from torch import nn

from variate import registry
from variate.datasets.info import Facts
from variate.errors import UsageError
from variate.models.parts.rescaled import Rescaled
from variate.registry import Entry
from variate.tasks.task import name_of, task_of


def check_serves(architecture: str, entry: Entry, facts: Facts) -> None:
    """Check that an architecture takes inputs of a modality, and serves a task.

    Raises ``UsageError`` that names those that do.
    """
    task, kind = name_of(task_of(facts.task)), facts.kind
    takes = [other for other in registry.entries("networks").values() if kind in other.facts["modality"]]
    if entry not in takes:
        names = ", ".join(other.name for other in takes)
        raise UsageError(f"{architecture} takes no {kind} inputs", expected=f"one of {names}")
    if task not in entry.facts["tasks"]:
        serving = ", ".join(other.name for other in takes if task in other.facts["tasks"])
        raise UsageError(
            f"{architecture} does not serve the task {task}, only {', '.join(entry.facts['tasks'])}",
            expected=f"one of {serving}" if serving else f"a network of your own for {kind} inputs: module:callable",
        )


def in_units(network: nn.Module, facts: Facts) -> nn.Module:
    """A network that returns numbers in the unit of the labels, where data say how these are spread."""
    target = facts.details.get("target") if name_of(task_of(facts.task)) == "regression" else None
    return network if target is None else Rescaled(network, target["mean"], target["std"])
