"""The inputs of an evidence file: read, and held against the budget of each attack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from variate.datasets.parts.npz import arrays_of
from variate.errors import DataError, VariateError
from variate.evaluation.claims import fingerprint_of
from variate.evaluation.kept_inputs import FIRST
from variate.evidence.manifest import Manifest, Originals, Stored
from variate.evidence.verified import Check
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_inputs
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.tasks.task import Task, task_of


@dataclass(frozen=True)
class Inputs:
    """The inputs of one claim.

    Attributes:
        x: original inputs, shape (N, ...).
        y: labels, shape (N, ...).
        judged: by ``Deployment.source`` or ``FIRST``, the inputs that were judged, shape (N, ...).
        modality: what inputs are.
        task: what labels mean.
    """

    x: Tensor
    y: Tensor
    judged: dict[str, Tensor]
    modality: Modality
    task: Task


def inputs_of(
    manifest: Manifest, records: Records, claims: list[Claim], folder: Path
) -> tuple[dict[str, Inputs], list[str]]:
    """The inputs of each claim by its id, and what cannot be judged again. Raises ``DataError``."""
    originals = {name: _originals(one, folder / name) for name, one in manifest.originals.items()}
    found: dict[str, Inputs] = {}
    skipped = []
    for claim in claims:
        what = f"{claim.attack}{f' at {claim.budget}' if claim.budget else ''}"
        own = [stored for stored in manifest.stored if stored.claim == claim.id]
        same = next((one for name, one in originals.items() if manifest.originals[name].inputs == claim.inputs), None)
        if sorted(records.examples[claim.id]) != list(range(claim.asked or len(records.examples[claim.id]))):
            skipped.append(f"{what}: its evaluation is unfinished")
        elif claim.attack == CLEAN and same is not None and len(same.x) == len(records.examples[claim.id]):
            found[claim.id] = replace(same, judged={FIRST: same.x})
        elif "target" in claim.options or ("attacks" in claim.options and _aims(claim)):
            skipped.append(f"{what}: the labels that a targeted attack aims at are not in the archive")
        elif FIRST not in {stored.deployment for stored in own}:
            skipped.append(f"{what}: its inputs are not in the archive")
        else:
            found[claim.id] = _adversarial(own, originals, folder, len(records.examples[claim.id]))
    return found, skipped


def _aims(claim: Claim) -> bool:
    """Whether the attacks of a suite aim at labels."""
    return any("target" in attack for attack in claim.options["attacks"])


def _originals(one: Originals, path: Path) -> Inputs:
    task = task_of(one.task)
    try:
        modality = modality_of(one.modality, one.details)
    except VariateError as error:
        raise DataError(f"the manifest does not describe its {one.modality} inputs: {error.problem}") from error
    x, y = _arrays(path)
    labels = task.typed(y)
    check_inputs(x, labels, task.label_findings)
    return Inputs(x, labels, {}, modality, task)


def _adversarial(own: list[Stored], originals: dict[str, Inputs], folder: Path, count: int) -> Inputs:
    """The inputs of one attack on ``count`` examples. Raises ``DataError``."""
    base = originals.get(own[0].originals)
    if base is None or len({stored.originals for stored in own}) > 1:
        raise DataError(f"the originals of {own[0].member} are not in the archive")
    judged = {stored.deployment: _arrays(folder / stored.member)[0] for stored in own}
    for stored in own:
        if judged[stored.deployment].shape != (count, *base.x.shape[1:]) or count > len(base.x):
            raise DataError(f"{stored.member} does not have the shape of its originals")
        check_inputs(judged[stored.deployment], base.y[:count], base.task.label_findings)
    return replace(base, x=base.x[:count], y=base.y[:count], judged=judged)


def _arrays(path: Path) -> tuple[Tensor, Tensor]:
    if not path.is_file():
        raise DataError(f"the archive has no {path.name}, which its manifest names")
    x, y = arrays_of(path)
    return torch.from_numpy(x), torch.from_numpy(y)


def budgets_of(claims: list[Claim], inputs: dict[str, Inputs]) -> Iterator[Check]:
    """For each attack, whether every adversarial input is within its budget and changes nothing that is fixed."""
    for claim in claims:
        if claim.budget is None or claim.id not in inputs:
            continue
        own, budget = inputs[claim.id], Budget.parse(claim.budget)
        wrong = []
        if fingerprint_of(own.modality) != claim.allowed:
            wrong.append("what may change is not what the records say")
        reach = own.modality.reach(own.x, budget)
        for source, judged in own.judged.items():
            outside = (~reach.contains(judged)).nonzero()[:, 0].tolist()
            if outside:
                farthest = float(reach.distance(judged).amax())
                wrong.append(
                    f"{len(outside)} of {len(judged)} inputs ({source}) are outside, the first number {outside[0]}; "
                    f"largest distance {farthest:.6g}"
                )
        yield Check(f"every input of {claim.attack} is within {claim.budget}", not wrong, tuple(wrong))
