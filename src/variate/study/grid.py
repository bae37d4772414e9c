"""The grid of a study: each place is one network with its own folder; their records are merged into one file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from variate import registry
from variate.datasets.info import about
from variate.datasets.load import registered
from variate.datasets.parts.own import is_own
from variate.errors import UsageError
from variate.evaluation.fitting import bounds
from variate.evaluation.plan import Plan
from variate.evaluation.suites import suite_transfers
from variate.fields import built
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.options import entry_for
from variate.records.file import RECORDS, Records
from variate.records.merging import gather, of_networks
from variate.records.schema import RunLine
from variate.study.file import Average, Certification, Curves, Defense, EvaluationTable, Point, Study
from variate.training.cell import Cell
from variate.training.run_folder import train_cell
from variate.training.saved import CARD, read_card

JUDGED = "judged.json"  # what the complete records of a place were measured with
TWINS = ("mean network", "one frozen draw")
Folders = str | Path | Mapping[str, str | Path] | None  # folders of the data sets' files: one for all, or by name


@dataclass(frozen=True)
class Place:
    """A place in the grid of a study: one network to train, attack and judge.

    Attributes:
        name: name of the network in the records.
        group: name shared with the networks of other seeds; None in a study of one seed.
        folder: folder of the network and its records.
        cell: how the network is trained.
        budgets: budgets to attack it within.
        sources: names of the places whose networks the attacker transfers from.
        members: names of the places whose networks are averaged here; none for a network that is trained here.
    """

    name: str
    group: str | None
    folder: Path
    cell: Cell
    budgets: tuple[str, ...]
    sources: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def twins(self) -> dict[str, str]:
        """Names of the deterministic twins of its network, if that is random; none for an average."""
        return {} if self.members else {twin: f"{self.name}, {twin}" for twin in TWINS}


class JudgedWith(BaseModel):
    """The settings and networks that a place was judged with; it is judged again only if they change."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: str
    sources: dict[str, str]
    budgets: list[str]
    evaluation: EvaluationTable
    sizes: list[str]
    curves: Curves
    certify: list[Certification] = []


def folder_for(folders: Folders, data: str) -> Path | None:
    """The folder of a data set's files; None to use its default."""
    folder = entry_for(data, folders) if isinstance(folders, Mapping) else folders
    return None if folder is None else Path(folder)


def places(study: Study, out: Path, *, folders: Folders = None, accelerator: str = "auto") -> dict[str, Place]:
    """The places of a study by name, ordered by data set, architecture, defense and seed."""
    points = study.points()
    grid = {}
    transferring = transfers(study)
    for data, network, defense, seed in points:
        name = name_of(study, data, network, defense, seed)
        own = study.settings(defense, data)
        own |= {"start": own["start"].absolute()} if own.get("start") is not None else {}
        own |= {"data": data, "network": network, "defense": defense.defense, "seed": seed}
        own |= {"data_folder": folder_for(folders, data), "accelerator": accelerator}
        cell = built(Cell, own)
        candidates = points if transferring else ()
        target = (data, network, defense, seed)
        sources = tuple(name_of(study, *point) for point in candidates if _is_source(study, target, point))
        group = name_of(study, data, network, defense) if len(study.seeds) > 1 else None
        grid[name] = Place(name, group, out / folder_of(name), cell, tuple(study.budgets_for(data)), sources)
    return grid | _averages(study, points, grid, out)


def _averages(study: Study, points: Sequence[Point], grid: Mapping[str, Place], out: Path) -> dict[str, Place]:
    """The places where networks of several seeds are averaged, by name."""
    found = {}
    for average, (data, network, defense, seed) in averaged_points(study, points):
        start, several = study.seeds.index(seed), len(study.seeds)
        seeds = [study.seeds[(start + i) % several] for i in range(average.networks)]
        members = tuple(name_of(study, data, network, defense, own) for own in seeds)
        alike = [point for point in points if transfers(study) and point[:2] == (data, network) and point[3] == seed]
        name = name_of(study, data, network, average, seed)
        found[name] = replace(
            grid[members[0]],
            name=name,
            group=name_of(study, data, network, average) if several > 1 else None,
            folder=out / folder_of(name),
            sources=tuple(name_of(study, *point) for point in alike),
            members=members,
        )
    return found


def averaged_points(study: Study, points: Sequence[Point]) -> list[tuple[Average, Point]]:
    """The points where networks of that and the next seeds are averaged: only the first if all seeds take part."""
    return [
        (average, point)
        for average, point in product(study.averages, points)
        if point[2].shown == average.of and (average.networks < len(study.seeds) or point[3] == study.seeds[0])
    ]


def transfers(study: Study) -> bool:
    """Whether networks of the study are attacked from others: by a suite that transfers, or for red flags."""
    suite = study.evaluation.suite
    return suite is not None and (study.evaluation.doubts or suite_transfers(suite))


def _is_source(study: Study, target: Point, other: Point) -> bool:
    """Whether a network is a transfer source of the target: another defense, same seed; or same defense, next seed."""
    (data, network, defense, seed), (other_data, other_network, other_defense, other_seed) = target, other
    if (data, network) != (other_data, other_network):
        return False
    if defense is not other_defense:
        return seed == other_seed
    following = study.seeds[(study.seeds.index(seed) + 1) % len(study.seeds)]
    return other_seed == following != seed


def name_of(study: Study, data: str, network: str, defense: Defense | Average, seed: int | None = None) -> str:
    """The name of a network in the records: its defense and whatever else varies; without a seed, that of the group."""
    words = [(network, len(study.networks_for(data))), (data, len(study.data))]
    words += [(f"seed {seed}", len(study.seeds))] if seed is not None else []
    return ", ".join([defense.shown, *(word for word, count in words if count > 1)])


def folder_of(name: str) -> str:
    """The folder name of a network: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def kind_of_data(data: str) -> Modality:
    """The modality of a data set, without its details."""
    if is_own(data):
        return about(data).modality
    return modality_of(registered(data)[0].facts["modality"])


def fits(attack: str | Mapping[str, object], budget: str, data: str) -> bool:
    """Whether an attack supports a budget on a data set. Raises ``UsageError`` for an unknown attack or budget."""
    plan, modality, bound = Plan.of(attack, 1), kind_of_data(data), Budget.parse(budget)
    variants = (
        registry.get("attacks", plan.attack).facts["variants"].get(modality.norm(bound), ())
        if "attack" in plan.options
        else ()
    )
    return bounds(plan.attack, bound, modality) and (not variants or plan.options["attack"] in variants)


def left_out(study: Study) -> list[str]:
    """Messages about attacks that are not run within a budget."""
    budgets = dict.fromkeys((budget, data) for data in study.data for budget in study.budgets_for(data))
    pairs = [(Plan.of(attack, 1).attack, budget) for attack in study.evaluation.attacks for budget, data in budgets
             if not fits(attack, budget, data)]  # fmt: skip
    return [f"{attack} does not support {Budget.parse(budget).norm}: not run at {budget}" for attack, budget in
            dict.fromkeys(pairs)]  # fmt: skip


def judged_with(study: Study, place: Place, fingerprint: str, sources: Mapping[str, str]) -> JudgedWith:
    """The settings and the fingerprints of the networks that a place is judged with."""
    return JudgedWith(
        fingerprint=fingerprint,
        sources=dict(sources),
        budgets=list(place.budgets),
        evaluation=study.evaluation,
        sizes=study.curves.sizes_for(place.cell.data),
        curves=study.curves,
        certify=study.certify,
    )


def is_trained(place: Place) -> bool:
    """Whether its network is trained. Raises ``UsageError`` if it was trained with other settings."""
    if not (place.folder / CARD).exists():
        return False
    if not place.members:
        train_cell(place.cell, place.folder)  # compares the settings; a network that exists is not trained again
    return True


def is_judged(study: Study, place: Place, grid: Mapping[str, Place]) -> bool:
    """Whether its records hold everything that the study asks for."""
    required = [place, *(grid[name] for name in place.sources)]
    if not all((p.folder / CARD).exists() for p in required) or not (place.folder / RECORDS).exists():
        return False
    own, *sources = (read_card(p.folder).fingerprint for p in required)
    try:
        saved = JudgedWith.model_validate_json((place.folder / JUDGED).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return False
    return saved == judged_with(study, place, own, dict(zip(place.sources, sources, strict=True)))


def state(study: Study, place: Place, grid: Mapping[str, Place]) -> str:
    """The progress of a place, in words."""
    try:
        trained = is_trained(place)
    except UsageError:
        return "trained otherwise: delete its folder, or choose another --out"
    if not trained:
        return "training begun" if (place.folder / "training.safetensors").exists() else "to do"
    if is_judged(study, place, grid):
        return "done"
    started = (place.folder / RECORDS).exists()
    return "trained, judging begun" if started else "trained"


def progress_of(study: Study, out: Path, *, folders: Folders = None, accelerator: str = "auto") -> dict[str, str]:
    """The progress of every network of a study, by name, as far as the folders in ``out`` show it."""
    grid = places(study, out, folders=folders, accelerator=accelerator)
    return {name: state(study, place, grid) for name, place in grid.items()}


def adopt(grid: Iterable[Place], whole: Records) -> None:
    """Give each place without its own records those that the merged file holds for it."""
    for place in grid:
        own = Records(place.folder / RECORDS)
        names = {place.name, *place.twins.values()}
        claims = [claim for claim in whole.claims.values() if claim.network in names]
        if own.path is None or own.path.exists() or not claims:
            continue
        gather([of_networks(whole, names)], own)


def merge(grid: Iterable[Place], runs: Sequence[RunLine], out: Path) -> Records:
    """Merge the records of all places into one file, in the order of the grid; the file is replaced atomically.

    Args:
        grid: the places; those without records add none.
        runs: lines on how the records were made.
        out: folder of the study.

    Returns:
        The merged records.
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
