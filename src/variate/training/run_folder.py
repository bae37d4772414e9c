"""One network of a study: trained by a defense's recipe into a folder, and described in records."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate import registry
from variate.datasets.batches import Batches
from variate.datasets.info import About, about
from variate.datasets.load import labelled
from variate.errors import UsageError
from variate.hashing import fingerprint
from variate.options import parse
from variate.random import measures
from variate.random.keys import hash_words
from variate.random.network import RandomNetwork
from variate.records.schema import Network, Record, Run, Scale
from variate.training.defense import defended, teacher_of
from variate.training.history import History
from variate.training.processes import is_first_process
from variate.training.saved import CARD, Card, build, families_of, load, load_start, read_card, save, versions
from variate.training.train import train

TEACHER = "teacher"  # its folder within the cell's


@dataclass(frozen=True)
class Cell:
    """One network to train: everything that decides what comes out.

    ``objective`` and ``budget`` left at None are those of the defense and of the data set. ``start`` is the folder of a
    deterministic network, whose parameters the defense then makes random: its scales are relative to them.
    ``train_examples`` trains on the first so many of the training split. The rest is as ``variate.train`` has it.
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
    optimizer: str = "adamw"
    warmup: float = 0.0
    accumulate: int = 1
    ema: float | None = None
    swa: int = 0
    patience: int | None = None
    keep: str = "last"
    validation_steps: int = 10
    validation_examples: int = 512
    augment: str | None = None
    train_examples: int | None = None
    start: Path | None = None
    log: str | None = None
    data_folder: Path | None = None
    devices: int = 1
    accelerator: str = "auto"

    def training(self) -> dict[str, Any]:
        """What decides the numbers, as the card keeps it: places and devices do not, and a start is its fingerprint."""
        left_out = ("data_folder", "devices", "accelerator", "log")
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        return {**chosen, "start": read_card(self.start).fingerprint if self.start is not None else None}

    def split(self, name: str) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a split of the cell's data."""
        return labelled(self.data, folder=self.data_folder, split=name, cut=True)


def train_cell(cell: Cell, out: Path, *, show_progress: bool = False) -> Card:
    """Train a cell into a folder; what is there already, finished or not, is not done again.

    Returns:
        The card of the saved network.
    """
    if (out / CARD).exists():
        card = read_card(out)
        now = cell.training()
        there = {f.name: f.default for f in fields(Cell) if f.name in now} | card.training  # it may lack newer options
        if there == now:
            return card
        raise UsageError(
            f"{out} holds a network that was trained otherwise",
            findings=[f"{k}: {v!r} there, {now.get(k)!r} now" for k, v in there.items() if now.get(k) != v],
            todo="choose another --out, or delete the folder",
        )
    facts = about(cell.data, folder=cell.data_folder)
    taught = teacher_of(cell.defense) if cell.objective is None else None
    if taught is not None:
        lesson = replace(cell, defense="deterministic", objective=taught)
        train_cell(lesson, out / TEACHER, show_progress=show_progress)
    network, objective = made(cell, facts)
    x, y = (part[: cell.train_examples] for part in cell.split("train"))
    state = out / "training.safetensors"
    started = time.monotonic()
    history = train(
        network,
        Batches(x, y, batch_size=cell.batch_size, seed=cell.seed),
        objective=cell.objective or objective,
        teacher=load(out / TEACHER, trust_code=True) if taught is not None else None,
        epochs=cell.epochs,
        lr=cell.lr,
        budget=budget_of(cell, facts),
        modality=facts.modality,
        attack_steps=cell.attack_steps,
        seed=cell.seed,
        validation=cell.split("validation"),
        optimizer=cell.optimizer,
        warmup=cell.warmup,
        accumulate=cell.accumulate,
        ema=cell.ema,
        swa=cell.swa,
        patience=cell.patience,
        keep=cell.keep,
        validation_steps=cell.validation_steps,
        validation_examples=cell.validation_examples,
        augment=cell.augment,
        log=cell.log,
        log_folder=out / "tensorboard",
        devices=cell.devices,
        accelerator=cell.accelerator,
        precision=cell.precision,
        checkpoint=state,
        origin=cell.training(),
        name=cell.defense,
        show_progress=show_progress,
    )
    network.cpu()
    card = Card(
        architecture=cell.network,
        shape=list(facts.shape),
        classes=facts.classes,
        mean=list(facts.mean),
        std=list(facts.std),
        kind=facts.kind,
        labels=list(facts.labels),
        details=dict(facts.details),
        families=families_of(network),
        defense=cell.defense,
        objective=cell.objective or objective,
        data=cell.data,
        seed=cell.seed,
        training=cell.training(),
        history={name: points for name, points in asdict(history).items() if points},
        seconds=round(time.monotonic() - started, 1),
        versions=versions(),
        fingerprint=fingerprint(network.state_dict()),
    )
    if is_first_process():
        save(network, out, card)
        state.unlink(missing_ok=True)
    return card


def made(cell: Cell, facts: About) -> tuple[nn.Module, str]:
    """The network of a cell before it is trained, always the same one, and the objective of its defense."""
    with torch.random.fork_rng():
        torch.manual_seed(hash_words("initialize", cell.seed) % 2**32)
        plain = build(cell.network, facts)
    if cell.start is not None:
        load_start(plain, cell.start, cell.network)
    return defended(cell.defense, plain)


def budget_of(cell: Cell, facts: About) -> str | None:
    """Of the inner attack and of the validation's: the cell's own, or what its data is trained within, if anything."""
    return cell.budget or facts.budget or None


def validation_accuracy(card: Card) -> float | None:
    """The accuracy on the validation split after the epoch that was kept; None without a split."""
    history = History(**card.history)
    if not history.validation:
        return None
    return history.validation[history.best if card.training.get("keep") == "best" else -1]


def describe(card: Card, network: nn.Module, name: str) -> list[Record]:
    """The records of a trained network: how it was made, and the scales that it learned."""
    lines: list[Record] = [
        Network(
            network=name,
            architecture=card.architecture,
            defense=card.defense,
            objective=card.objective,
            parameters=sum(p.numel() for p in network.parameters()),
            random=bool(registry.get("defenses", parse(card.defense, "a defense")[0]).facts["random"]),
            epochs=len(card.history["losses"]),
            seed=card.seed,
            fingerprint=card.fingerprint,
            training=card.training,
            validation=validation_accuracy(card),
            seconds=card.seconds,
        )
    ]
    if isinstance(network, RandomNetwork):
        sizes = measures.sizes(network)
        for parameter, std in measures.stds(network).items():
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
