"""Studies: networks trained by recipe into folders, attacked and judged, every answer in one file of records."""

from __future__ import annotations

import platform
import time
import tomllib
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from variate import registry
from variate.checkpoint import CARD, Card, build, families_of, load, read_card, save, versions
from variate.datasets._batches import Batches
from variate.errors import UsageError, unknown_name
from variate.evaluation import evaluate
from variate.network import RandomNetwork
from variate.randomness import hash_words
from variate.record import Network, Record, Records, Run, Scale, fingerprint
from variate.training import train

PACKAGED = Path(__file__).parent / "studies"
RECORDS = "records.jsonl"
FROZEN_KEY = 0  # the draw of the frozen twin


@dataclass(frozen=True)
class Cell:
    """One network to train: everything that decides what comes out.

    ``objective``, ``budget`` and ``scale`` left at None are those of the defense and of the data set.
    """

    data: str
    network: str
    defense: str
    seed: int = 0
    epochs: int = 10
    batch_size: int = 128
    lr: float = 2e-3
    budget: str | None = None
    attack_steps: int = 7
    objective: str | None = None
    precision: str = "32-true"
    data_folder: Path | None = None
    devices: int = 1
    accelerator: str = "auto"

    def training(self) -> dict[str, Any]:
        """What decides the numbers, as the card keeps it: places and devices do not."""
        left_out = ("data_folder", "devices", "accelerator")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}

    def split(self, name: str) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a split of the cell's data."""
        x, y = registry.get("datasets", self.data).load()(name, folder=self.data_folder)
        return x, y


def train_cell(cell: Cell, out: Path, *, show_progress: bool = False) -> Card:
    """Train a cell into a folder; what is there already, finished or not, is not done again.

    Returns:
        The card of the saved network.
    """
    if (out / CARD).exists():
        card = read_card(out)
        if card.training == cell.training():
            return card
        now = cell.training()
        raise UsageError(
            f"{out} holds a network that was trained otherwise",
            findings=[f"{k}: {v!r} there, {now.get(k)!r} now" for k, v in card.training.items() if now.get(k) != v],
            todo="choose another --out, or delete the folder",
        )
    facts = registry.get("datasets", cell.data).facts
    defend = registry.get("defenses", cell.defense).load()
    with torch.random.fork_rng():
        torch.manual_seed(hash_words("initialize", cell.seed) % 2**32)
        plain = build(cell.network, facts["shape"], facts["classes"], list(facts["mean"]), list(facts["std"]))
    network, objective = defend(plain)
    x, y = cell.split("train")
    state = out / "training.safetensors"
    started = time.monotonic()
    history = train(
        network,
        Batches(x, y, batch_size=cell.batch_size, seed=cell.seed),
        objective=cell.objective or objective,
        epochs=cell.epochs,
        lr=cell.lr,
        budget=cell.budget or facts["budget"],
        attack_steps=cell.attack_steps,
        seed=cell.seed,
        validation=cell.split("validation"),
        devices=cell.devices,
        accelerator=cell.accelerator,
        precision=cell.precision,
        checkpoint=state,
        name=cell.defense,
        show_progress=show_progress,
    )
    network.cpu()
    card = Card(
        architecture=cell.network,
        shape=list(facts["shape"]),
        classes=facts["classes"],
        mean=list(facts["mean"]),
        std=list(facts["std"]),
        families=families_of(network),
        defense=cell.defense,
        objective=cell.objective or objective,
        data=cell.data,
        seed=cell.seed,
        training=cell.training(),
        history={"losses": history.losses, "validation": history.validation},
        seconds=round(time.monotonic() - started, 1),
        versions=versions(),
        fingerprint=fingerprint(network.state_dict()),
    )
    save(network, out, card)
    state.unlink(missing_ok=True)
    return card


def describe(card: Card, network: nn.Module, name: str) -> list[Record]:
    """The records of a trained network: how it was made, and the scales that it learned."""
    lines: list[Record] = [
        Network(
            network=name,
            architecture=card.architecture,
            defense=card.defense,
            objective=card.objective,
            parameters=sum(p.numel() for p in network.parameters()),
            random=isinstance(network, RandomNetwork),
            epochs=len(card.history["losses"]),
            seed=card.seed,
            fingerprint=card.fingerprint,
            training=card.training,
            validation=card.history["validation"][-1] if card.history["validation"] else None,
            seconds=card.seconds,
        )
    ]
    if isinstance(network, RandomNetwork):
        sizes = network.sizes()
        for parameter, std in network.stds().items():
            values = std.detach()
            lines.append(
                Scale(
                    network=name,
                    parameter=parameter,
                    elements=values.numel(),
                    mean_rms=float(sizes[parameter]),
                    std_rms=float(values.square().mean().sqrt()),
                    std_min=float(values.min()),
                    std_max=float(values.max()),
                )
            )
    return lines


def run_record(*, command: str, title: str, data: str, seed: int, x: Tensor) -> Run:
    """How the records that follow are made: command, date, machine, versions."""
    return Run(
        command=command,
        title=title,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.machine()}, {torch.get_num_threads()} threads, {platform.system()}",
        versions=versions(),
        seed=seed,
        data=data,
        shape=list(x.shape[1:]),
        examples=len(x),
    )


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
    examples: int | None = Field(None, ge=1)
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

    def cell(self, defense: str, data_folder: Path | None) -> Cell:
        """The network of one defense."""
        return Cell(
            data=self.data,
            network=self.network,
            defense=defense,
            seed=self.seed,
            budget=self.budget,
            data_folder=data_folder,
            **self.training.model_dump(),
        )


def packaged_studies() -> list[str]:
    """The names of the studies that come with Variate."""
    return sorted(path.stem for path in PACKAGED.glob("*.toml"))


def read_study(source: str) -> Study:
    """A study from a TOML file, or by the name of one that comes with Variate. Raises ``UsageError``."""
    path = PACKAGED / f"{source}.toml" if source in packaged_studies() else Path(source)
    try:
        return Study.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, IsADirectoryError):
        raise unknown_name("study file, and no packaged study,", source, packaged_studies()) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise UsageError(f"{path} is not a study", findings=found) from error


def run_study(
    study: Study, out: Path, *, command: str, data_folder: Path | None = None, show_progress: bool = False
) -> Records:
    """Train, attack and judge; what ``out`` holds already is not computed again.

    Args:
        study: what to do.
        out: one folder per defense, and ``records.jsonl``.
        command: the command that runs it, for the records.
        data_folder: where the data set's files are.
        show_progress: show progress bars on standard error.
    """
    cells = {defense: study.cell(defense, data_folder) for defense in study.defenses}
    for cell in cells.values():
        registry.get("defenses", cell.defense)
    x, y = next(iter(cells.values())).split("test")
    x, y = x[: study.evaluation.examples], y[: study.evaluation.examples]
    records = Records(out / RECORDS)
    if not records.runs:
        run = run_record(command=command, title=study.title, data=study.data, seed=study.seed, x=x)
        records.add([run])
    for defense, cell in cells.items():
        card = train_cell(cell, out / defense, show_progress=show_progress)
        network = load(out / defense, trust_code=True)
        records.add(describe(card, network, defense))
        _judge_network(study, network, defense, x, y, records, show_progress)
    return records


def _judge_network(
    study: Study, network: nn.Module, name: str, x: Tensor, y: Tensor, records: Records, show_progress: bool
) -> None:
    """The table, the curves and the twins of one network."""
    plan = study.evaluation
    common: dict[str, Any] = {"seed": study.seed, "records": records, "show_progress": show_progress}
    table = {**common, "attacks": plan.attacks, "draws": plan.draws, "verdict_draws": plan.verdict_draws}
    evaluate(network, x, y, budget=study.budget, deployments=plan.deployments, name=name, pictures=True, **table)
    if isinstance(network, RandomNetwork):
        twins = {f"{name}, mean network": network.mean(), f"{name}, one frozen draw": network.at(FROZEN_KEY)}
        for twin_name, twin in twins.items():
            evaluate(
                twin.eval(), x, y, budget=study.budget, deployments=["single"], name=twin_name, part="twins", **table
            )
    few = (x[: study.curves.examples], y[: study.curves.examples])
    norm = study.budget.partition(":")[0]
    pgd = {"name": "pgd", "steps": study.curves.steps}
    curve = {**common, "deployments": ["single"], "verdict_draws": plan.verdict_draws, "name": name}
    for size in study.curves.sizes:
        attacks = [{**pgd, "draws": plan.draws}]
        evaluate(network, *few, budget=f"{norm}:{size}", attacks=attacks, part="sizes", **curve)
    if isinstance(network, RandomNetwork):
        attacks = [{**pgd, "draws": draws} for draws in study.curves.draws]
        evaluate(network, *few, budget=study.budget, attacks=attacks, part="draws", **curve)
