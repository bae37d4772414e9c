"""The inputs that an evaluation judged, kept beside its records so that anybody can judge them again.

A folder ``inputs`` beside the records has one file with the original inputs and their labels, and one file for each
batch of each attack with its adversarial inputs, all in safetensors format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from variate.errors import RecordError, UsageError
from variate.evaluation.evaluation import MEGABYTE, Evaluation
from variate.evaluation.suites import Suite
from variate.files.reading import reading, replace
from variate.hashing import fingerprint
from variate.inputs.modality import name_of
from variate.records.claim import Claim
from variate.records.rows import CLEAN
from variate.tasks.task import written

if TYPE_CHECKING:
    from variate.evaluation.plan import Plan
    from variate.evaluation.target import Target

FOLDER = "inputs"
ORIGINALS, FACTS = "originals", "facts"  # keys of the metadata: the file of the originals, and what they are
FIRST = "first"  # the inputs of the first deployment, which also serve all others that have none of their own
FREE = "free some space or choose another folder, then run the same command again to continue"


@dataclass(frozen=True)
class KeptInputs:
    """Where the inputs of an evaluation are kept.

    Attributes:
        folder: the folder.
        originals: name of the file with the original inputs.
    """

    folder: Path
    originals: str

    def add(self, claim: Claim, indices: Sequence[int], perturbed: Mapping[str, Tensor]) -> None:
        """Keep the adversarial inputs of one batch, by ``Deployment.source``. Raises ``RecordError``."""
        first, *_ = perturbed.values()
        others = {source: own for source, own in perturbed.items() if own is not first and not torch.equal(own, first)}
        tensors = {"index": torch.tensor(indices), FIRST: first, **others}
        _write(self.folder / f"{claim.id}-{indices[0]:07d}.safetensors", tensors, {ORIGINALS: self.originals})


@dataclass(frozen=True)
class Originals:
    """Original inputs with their labels, and what they are.

    Attributes:
        x: inputs in the form in which they were attacked, shape (N, ...).
        y: labels, shape (N, ...).
        inputs: hash of inputs and labels, as in the records.
        modality: name of the modality.
        details: its fields, as JSON values.
        task: what the labels mean.
    """

    x: Tensor
    y: Tensor
    inputs: str
    modality: str
    details: Mapping[str, Any]
    task: str


def keeping(
    target: Target,
    evaluation: Evaluation,
    path: Path | None,
    inputs: str,
    x: Tensor,
    y: Tensor,
    plans: Sequence[Plan | Suite],
) -> KeptInputs | None:
    """Where to keep inputs, after the originals were; None if none are kept.

    Args:
        target: the network, with the modality and the task.
        evaluation: its option ``keep_inputs`` is the limit in bytes.
        path: file of the records.
        inputs: hash of inputs and labels.
        x: inputs in the form in which they are attacked, shape (N, ...).
        y: labels, shape (N, ...).
        plans: attacks to run.

    Raises:
        UsageError: for records in memory only, and for inputs that do not fit into the limit.
        RecordError: if they cannot be written.
    """
    if evaluation.keep_inputs is None:
        return None
    if path is None:
        raise UsageError(
            "inputs are kept beside the records, and these are in memory only",
            todo="pass records='runs/a/records.jsonl', for example",
        )
    files = 1 + sum(_files(plan, evaluation, target) for plan in plans)
    size = files * x.numel() * x.element_size()
    if size > evaluation.keep_inputs:
        raise UsageError(
            f"the inputs to keep take up to {size / MEGABYTE:,.1f} MB",
            findings=[f"{len(x)} examples, originals and {files - 1} adversarial versions of each"],
            expected=f"at most {evaluation.keep_inputs / MEGABYTE:,.1f} MB, the limit that was given",
            todo="raise the limit (keep_inputs, in bytes; --keep-inputs, in MB), or evaluate fewer examples or attacks",
        )
    modality, folder = target.modality, path.parent / FOLDER
    details = {item.name: getattr(modality, item.name) for item in fields(modality)}
    facts = {"inputs": inputs, "modality": name_of(modality), "details": details, "task": written(target.task)}
    name = f"originals-{fingerprint([x, y])}-{inputs}.safetensors"
    if not (folder / name).exists():
        _write(folder / name, {"x": x, "y": y}, {FACTS: json.dumps(facts, default=list)})
    return KeptInputs(folder, name)


def _files(plan: Plan | Suite, evaluation: Evaluation, target: Target) -> int:
    """How many adversarial inputs of each example a plan leaves at most."""
    if isinstance(plan, Suite) and target.kind != "deterministic":
        return len(evaluation.deployments)
    return int(plan.attack != CLEAN)


def originals_in(path: Path) -> Originals:
    """Read a file of original inputs. Raises ``RecordError``."""
    tensors, metadata = _read(path)
    with reading(path, RecordError, todo="evaluate again into another folder"):
        return Originals(x=tensors["x"], y=tensors["y"], **json.loads(metadata[FACTS]))


def adversarial_in(folder: Path, claim: Claim) -> tuple[str, dict[str, dict[int, Tensor]]]:
    """The adversarial inputs of a claim: the file of their originals, and by deployment those of each example.

    Deployments that have no inputs of their own take those of ``FIRST``. Raises ``RecordError``.
    """
    originals, found = "", dict[str, dict[int, Tensor]]()
    for path in sorted(folder.glob(f"{claim.id}-*.safetensors"), key=lambda path: (path.stat().st_mtime_ns, path.name)):
        tensors, metadata = _read(path)
        with reading(path, RecordError):
            originals, index = metadata[ORIGINALS], tensors.pop("index").tolist()
            for source, own in tensors.items():
                found.setdefault(source, {}).update(zip(index, own, strict=True))
    return originals, found


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}

    def write(partial: Path) -> None:
        try:
            save_file(whole, partial, dict(metadata))
        except SafetensorError as error:  # a full disk, among others
            raise OSError(str(error)) from error

    replace(path, write, RecordError, todo=FREE)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with reading(path, RecordError, todo="evaluate again into another folder"), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
