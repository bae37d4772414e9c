"""Which attacks fit: the tasks, the modalities and the norms that they work on."""

from __future__ import annotations

from variate import registry
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, name_of
from variate.tasks.task import Task
from variate.tasks.task import name_of as task_name


def bounds(attack: str, budget: Budget, modality: Modality) -> bool:
    """Whether an attack supports a modality and a budget's norm there."""
    facts = registry.get("attacks", attack).facts
    return name_of(modality) in facts["modality"] and modality.norm(budget) in facts["norms"]


def serves(attack: str, task: Task) -> bool:
    """Whether an attack works on a task."""
    return task_name(task) in (registry.get("attacks", attack).facts["tasks"] or [task_name(task)])
