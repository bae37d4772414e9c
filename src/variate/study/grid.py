"""The grid of a study: one network at each place, with a folder of its own, and all their records as one file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from variate import registry
from variate.datasets.info import about
from variate.datasets.load import is_own, registered
from variate.errors import UsageError
from variate.evaluation.plan import Plan, bounds
from variate.evaluation.processes import gather
from variate.fields import built
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.options import said_of
from variate.records.file import RECORDS, Records
from variate.records.schema import RunLine
from variate.study.file import Curves, Defense, EvaluationTable, Study
from variate.training.cell import Cell
from variate.training.run_folder import train_cell
from variate.training.saved import CARD, read_card

JUDGED = "judged.json"  # what a place's records hold in full
TWINS = ("mean network", "one frozen draw")
Folders = str | Path | Mapping[str, str | Path] | None  # of the data sets' files: one for all, or by name


@dataclass(frozen=True)
class Place:
    """One network of a study.

    Attributes:
        name: in the records.
        group: the name that it shares with the networks of other seeds; None in a study of one seed.
        folder: of the network, and of its own records.
        cell: how it is trained.
        budgets: that it is attacked within.
        sources: the places whose networks an attacker holds.
    """

    name: str
    group: str | None
    folder: Path
    cell: Cell
    budgets: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def twins(self) -> dict[str, str]:
        """The names of what is made of its network, if that is random."""
        return {twin: f"{self.name}, {twin}" for twin in TWINS}


class Judged(BaseModel):
    """What a place was judged on, beside what its folder says itself: nothing is done again while it is the same."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: str
    sources: dict[str, str]
    budgets: list[str]
    evaluation: EvaluationTable
    sizes: list[str]
    curves: Curves


def folder_for(folders: Folders, data: str) -> Path | None:
    """The folder of a data set's files, where there is one for all or one for each."""
    found = said_of(data, folders) if isinstance(folders, Mapping) else folders
    return None if found is None else Path(found)


def places(study: Study, out: Path, *, folders: Folders = None, accelerator: str = "auto") -> dict[str, Place]:
    """The networks of a study by name, in the order of its grid: data, then architecture, defense and seed."""
    points = study.points()
    found = {}
    for data, network, defense, seed in points:
        name = name_of(study, data, network, defense, seed)
        own = study.settings(defense, data)
        own |= {"start": own["start"].absolute()} if own.get("start") is not None else {}
        own |= {"data": data, "network": network, "defense": defense.defense, "seed": seed}
        own |= {"data_folder": folder_for(folders, data), "accelerator": accelerator}
        cell = built(Cell, own)
        asking = points if study.evaluation.suite else ()
        sources = tuple(name_of(study, *p) for p in asking if _is_held(study, (data, network, defense, seed), p))
        group = name_of(study, data, network, defense) if len(study.seeds) > 1 else None
        found[name] = Place(name, group, out / folder_of(name), cell, tuple(study.budgets_for(data)), sources)
    return found


def _is_held(study: Study, target: tuple[str, str, Defense, int], other: tuple[str, str, Defense, int]) -> bool:
    """Whether whoever attacks one network holds another: the other defenses of its seed, and its own of the next."""
    (data, network, defense, seed), (other_data, other_network, other_defense, other_seed) = target, other
    if (data, network) != (other_data, other_network):
        return False
    if defense is not other_defense:
        return seed == other_seed
    following = study.seeds[(study.seeds.index(seed) + 1) % len(study.seeds)]
    return other_seed == following != seed


def name_of(study: Study, data: str, network: str, defense: Defense, seed: int | None = None) -> str:
    """A network's name in the records: its defense's and whatever else varies; without a seed, that of all seeds."""
    words = [(network, len(study.networks_for(data))), (data, len(study.data))]
    words += [(f"seed {seed}", len(study.seeds))] if seed is not None else []
    return ", ".join([defense.shown, *(word for word, count in words if count > 1)])


def folder_of(name: str) -> str:
    """The folder's name of a network: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def kind_of_data(data: str) -> Modality:
    """The modality of a data set, without its details."""
    if is_own(data):
        return about(data).modality
    return modality_of(registered(data)[0].facts["modality"])


def fits(attack: str | Mapping[str, object], budget: str, data: str) -> bool:
    """Whether an attack bounds a budget on a data set. Raises ``UsageError`` for what is no attack or no budget."""
    plan, modality, bound = Plan.of(attack, 1), kind_of_data(data), Budget.parse(budget)
    held = (
        registry.get("attacks", plan.attack).facts["variants"].get(modality.norm(bound), ())
        if "attack" in plan.options
        else ()
    )
    return bounds(plan.attack, bound, modality) and (not held or plan.options["attack"] in held)


def left_out(study: Study) -> list[str]:
    """The attacks that are not run within a budget, in words."""
    budgets = dict.fromkeys((budget, data) for data in study.data for budget in study.budgets_for(data))
    pairs = [(Plan.of(attack, 1).attack, budget) for attack in study.evaluation.attacks for budget, data in budgets
             if not fits(attack, budget, data)]  # fmt: skip
    return [f"{attack} does not bound {Budget.parse(budget).norm}: not run at {budget}" for attack, budget in
            dict.fromkeys(pairs)]  # fmt: skip


def to_judge(study: Study, place: Place, fingerprint: str, sources: Mapping[str, str]) -> Judged:
    """What a place is judged on: its own network and those that an attacker holds, by their fingerprints."""
    return Judged(
        fingerprint=fingerprint,
        sources=dict(sources),
        budgets=list(place.budgets),
        evaluation=study.evaluation,
        sizes=study.curves.sizes_for(place.cell.data),
        curves=study.curves,
    )


def is_trained(place: Place) -> bool:
    """Whether its network is there. Raises ``UsageError`` if it was trained otherwise."""
    if not (place.folder / CARD).exists():
        return False
    train_cell(place.cell, place.folder)  # what is there is not trained again, only compared
    return True


def is_judged(study: Study, place: Place, grid: Mapping[str, Place]) -> bool:
    """Whether its records hold all that the study asks of its network."""
    needed = [place, *(grid[name] for name in place.sources)]
    if not all((one.folder / CARD).exists() for one in needed) or not (place.folder / RECORDS).exists():
        return False
    own, *held = (read_card(one.folder).fingerprint for one in needed)
    try:
        there = Judged.model_validate_json((place.folder / JUDGED).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return False
    return there == to_judge(study, place, own, dict(zip(place.sources, held, strict=True)))


def state(study: Study, place: Place, grid: Mapping[str, Place]) -> str:
    """How far a place is, in words."""
    try:
        trained = is_trained(place)
    except UsageError:
        return "trained otherwise: delete its folder, or choose another --out"
    if not trained:
        return "training begun" if (place.folder / "training.safetensors").exists() else "to do"
    if is_judged(study, place, grid):
        return "done"
    begun = (place.folder / RECORDS).exists()
    return "trained, judging begun" if begun else "trained"


def adopt(grid: Iterable[Place], whole: Records) -> None:
    """Give each place without records of its own those that a file of the whole holds of it."""
    for place in grid:
        own = Records(place.folder / RECORDS)
        names = {place.name, *place.twins.values()}
        claims = [claim for claim in whole.claims.values() if claim.network in names]
        if own.path is None or own.path.exists() or not claims:
            continue
        part = Records()
        part.networks = {name: line for name, line in whole.networks.items() if name in names}
        part.scales = [line for line in whole.scales if line.network in names]
        part.convergences = [line for line in whole.convergences if line.network in names]
        part.claims = {claim.key: claim for claim in claims}
        part.examples = {claim.id: whole.examples.get(claim.id, {}) for claim in claims}
        part.timings = {claim.id: whole.timings.get(claim.id, {}) for claim in claims}
        part.pictures = [line for line in whole.pictures if line.claim in part.examples]
        part.gradients = {at: line for at, line in whole.gradients.items() if line.network in names}
        gather([part], own)


def merge(grid: Iterable[Place], runs: Sequence[RunLine], out: Path) -> Records:
    """Write the records of all places into one file, in the order of the grid, all of it or none.

    Args:
        grid: the places; one that has no records yet adds none.
        runs: how the records were made.
        out: the folder of the study.

    Returns:
        The whole.
    """
    path = out / RECORDS
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    whole = Records(fresh)
    whole.add(runs)
    gather([Records(place.folder / RECORDS) for place in grid], whole)
    os.replace(fresh, path)
    whole.path = path
    return whole
