"""Studies: networks of one architecture trained, attacked and judged alike, every answer in one file of records."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from variate import packaged, registry
from variate.budget import Budget
from variate.cell import Cell, describe, run_record, train_cell
from variate.checkpoint import load
from variate.doubts import doubt
from variate.errors import UsageError, unknown_name
from variate.evaluation import evaluate
from variate.judge import check_draws
from variate.network import RandomNetwork
from variate.plan import Plan
from variate.processes import device_of
from variate.rates import Deployment
from variate.record import RECORDS, Records
from variate.suites import suite_of

FROZEN_KEY = 0  # the draw of the frozen twin
CLEAN_DRAWS = 32  # fresh draws for the unattacked test split


class Training(BaseModel):
    """The ``[training]`` table of a study: the same for every network."""

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=1)
    lr: float = Field(2e-3, gt=0)
    attack_steps: int = Field(7, ge=1)
    precision: str = "32-true"


class Evaluation(BaseModel):
    """The ``[evaluation]`` table of a study."""

    model_config = ConfigDict(extra="forbid")

    attacks: list[dict[str, Any]]
    suite: str | None = None
    doubts: bool = False
    examples: int | None = Field(None, ge=1)
    batch_size: int = Field(256, ge=1)
    draws: int = Field(20, ge=1)
    verdict_draws: int = Field(160, ge=2)
    deployments: list[str] = ["single", "mean-16", "majority-16", "survive-10"]


class Curves(BaseModel):
    """The ``[curves]`` table of a study: accuracy against the budget's size and against the attack's draws, by PGD."""

    model_config = ConfigDict(extra="forbid")

    examples: int = Field(200, ge=1)
    steps: int = Field(20, ge=1)
    sizes: list[str] = []
    draws: list[int] = []


class Study(BaseModel):
    """A study as a TOML file: networks of one architecture, one training budget, one evaluation."""

    model_config = ConfigDict(extra="forbid")

    title: str
    data: str
    network: str
    defenses: list[str] = Field(min_length=1)
    budget: str
    seed: int = 0
    training: Training = Training()  # type: ignore[call-arg]
    evaluation: Evaluation
    curves: Curves = Curves()  # type: ignore[call-arg]

    def cell(self, defense: str, data_folder: Path | None, accelerator: str) -> Cell:
        """The network of one defense."""
        return Cell(
            data=self.data,
            network=self.network,
            defense=defense,
            seed=self.seed,
            budget=self.budget,
            data_folder=data_folder,
            accelerator=accelerator,
            **self.training.model_dump(),
        )


def read_study(source: str) -> Study:
    """A study from a TOML file, or by the name of one that comes with Variate. Raises ``UsageError``."""
    path = packaged.FOLDER / f"{source}.toml" if source in packaged.packaged_studies() else Path(source)
    try:
        return Study.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, IsADirectoryError):
        raise unknown_name("study file, and no packaged study,", source, packaged.packaged_studies()) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise UsageError(f"{path} is not a study", findings=found) from error


def check_study(study: Study) -> None:
    """Whether everything that a study names exists and fits, before hours are spent. Raises ``UsageError``."""
    names = [("datasets", study.data), *(("defenses", defense) for defense in study.defenses)]
    names += [("networks", study.network)] if ":" not in study.network else []
    for kind, name in names:
        registry.get(kind, name)
    budget = Budget.parse(study.budget)
    for attack in study.evaluation.attacks:
        Plan.of(attack, study.evaluation.draws).check_norm(budget)
    if study.evaluation.suite is not None:
        suite_of(study.evaluation.suite, budget, draws=study.evaluation.draws, transfers=[])
    check_draws([Deployment.parse(text) for text in study.evaluation.deployments], study.evaluation.verdict_draws)
    for size in study.curves.sizes:
        budget.with_size(size)


def run_study(
    study: Study,
    out: Path,
    *,
    command: str,
    data_folder: Path | None = None,
    accelerator: str = "auto",
    show_progress: bool = False,
) -> Records:
    """Train, attack and judge; what ``out`` holds already is not computed again.

    Args:
        study: what to do.
        out: one folder per defense, and ``records.jsonl``.
        command: the command that runs it, for the records.
        data_folder: where the data set's files are.
        accelerator: ``auto``, ``cpu``, ``cuda`` and so on, for training and attacks.
        show_progress: show progress bars on standard error.
    """
    check_study(study)
    cells = {defense: study.cell(defense, data_folder, accelerator) for defense in study.defenses}
    x, y = next(iter(cells.values())).split("test")
    records = Records(out / RECORDS)
    if not records.runs:
        run = run_record(
            command=command, title=study.title, data=study.data, seed=study.seed, x=x[: study.evaluation.examples]
        )
        records.add([run])
    networks: dict[str, nn.Module] = {}
    for defense, cell in cells.items():
        card = train_cell(cell, out / defense, show_progress=show_progress)
        trusted = card.architecture == study.network  # the study names the code itself
        networks[defense] = load(out / defense, trust_code=trusted).to(device_of(accelerator))
        records.add(describe(card, networks[defense], defense))
    for defense, network in networks.items():
        others = {name: other for name, other in networks.items() if name != defense} if study.evaluation.suite else {}
        _judge_network(study, network, defense, x, y, records, others, show_progress)
    return records


def _judge_network(
    study: Study,
    network: nn.Module,
    name: str,
    x: Tensor,
    y: Tensor,
    records: Records,
    sources: Mapping[str, nn.Module],
    show_progress: bool,
) -> None:
    """The whole test split unattacked, then the table, the twins and the curves of one network."""
    plan, curves = study.evaluation, study.curves
    judged = partial(evaluate, seed=study.seed, records=records, show_progress=show_progress)
    judged(network, x, y, budget=study.budget, attacks=[], verdict_draws=CLEAN_DRAWS, name=name, part="test split")
    few = slice(plan.examples)
    table = partial(
        judged,
        attacks=plan.attacks,
        draws=plan.draws,
        verdict_draws=plan.verdict_draws,
        batch_size=plan.batch_size,
        source=sources,
    )
    whole = {"deployments": plan.deployments, "name": name, "suite": plan.suite, "pictures": True}
    table(network, x[few], y[few], budget=study.budget, **whole)
    if plan.doubts:
        doubt(
            network, x[few], y[few], budget=study.budget, records=records, name=name, seed=study.seed,
            draws=plan.draws, verdict_draws=plan.verdict_draws, batch_size=plan.batch_size, source=sources,
            show_progress=show_progress,
        )  # fmt: skip
    if isinstance(network, RandomNetwork):
        twins = {f"{name}, mean network": network.mean(), f"{name}, one frozen draw": network.at(FROZEN_KEY)}
        for twin, module in twins.items():
            table(module, x[few], y[few], budget=study.budget, deployments=["single"], name=twin, part="twins")
    few = slice(curves.examples)
    curve = partial(
        judged, network, x[few], y[few], deployments=["single"], verdict_draws=plan.verdict_draws, name=name
    )
    pgd = {"name": "pgd", "steps": curves.steps}
    norm = Budget.parse(study.budget).norm
    for size in curves.sizes:
        curve(budget=f"{norm}:{size}", attacks=[{**pgd, "draws": plan.draws}], part="sizes")
    if isinstance(network, RandomNetwork):
        curve(budget=study.budget, attacks=[{**pgd, "draws": draws} for draws in curves.draws], part="draws")
