"""What `attack`, `evaluate` and `audit` have in common: a network and its inputs, judged, shown and doubted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from variate.cli.options import print_json, this_command
from variate.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from variate.evaluation.evaluate import Draws
    from variate.inputs.modality import Modality
    from variate.records.file import Records
    from variate.records.rows import Result
    from variate.records.schema import Record


DOUBTS = 20  # draws of the measurements for red flags, where those of the attacks are found out


@dataclass(frozen=True)
class Setting:
    """A network with labelled inputs, and where its records go."""

    network: nn.Module
    x: Tensor
    y: Tensor
    budget: str
    data: str
    name: str
    title: str
    folder: Path
    lines: Sequence[Record] = ()
    sources: Mapping[str, nn.Module] = field(default_factory=dict)
    modality: str | Modality = "image"


@dataclass(frozen=True)
class Asked:
    """What a setting is to be judged by; the names are those of the options."""

    attacks: Sequence[str | Mapping[str, Any]]
    draws: str
    verdict_draws: int
    deployments: Sequence[str] | None
    batch_size: int
    seed: int
    quiet: bool
    memory: int | None = None
    suite: str | None = None
    target: str | None = None
    time_limit: float | None = None
    layers: bool = False
    doubts: bool = False


def of_run(
    run: Path,
    *,
    examples: int,
    budget: str | None,
    data_folder: Path | None,
    accelerator: str,
    trust_code: bool,
    sources: Sequence[Path] = (),
) -> Setting:
    """The network that `variate train` wrote, and the test split of its data."""
    from variate.datasets.info import about
    from variate.datasets.load import labelled
    from variate.inputs.modality import modality_of
    from variate.options import names_code
    from variate.training.run_folder import describe
    from variate.training.saved import load, read_card

    card = read_card(run)
    device = _device(accelerator)
    network = load(run, trust_code=trust_code).to(device)
    if names_code(card.data) and not trust_code:
        raise UsageError(f"the data of {run} is {card.data}, which is yours to run", todo="pass --trust-code")
    x, y = labelled(card.data, folder=data_folder, cut=True)
    usual = budget or about(card.data, folder=data_folder).budget
    if not usual:
        raise UsageError(f"there is no usual budget for {card.data}", todo="say --budget, such as linf:8/255")
    name = f"{card.defense} {card.architecture}"
    return Setting(
        network,
        x[:examples],
        y[:examples],
        usual,
        card.data,
        name,
        f"{name} on {card.data}",
        run,
        describe(card, network, name),
        {source.name: load(source, trust_code=trust_code).to(device) for source in sources},
        modality_of(card.kind, card.details),
    )


def of_module(
    path: str,
    data: str,
    folder: Path,
    *,
    mode: str,
    examples: int,
    budget: str | None,
    data_folder: Path | None,
    accelerator: str,
    sources: Sequence[str] = (),
) -> Setting:
    """A network of the user's own, and labelled inputs from wherever they are. Raises ``UsageError``."""
    from variate.datasets.info import about
    from variate.datasets.load import is_own, labelled
    from variate.inputs.modality import modality_of

    device = _device(accelerator)
    network = build(path).to(device)
    if mode != "as-is":
        network.train(mode == "train")
    x, y = labelled(data, folder=data_folder)
    known = None if is_own(data) else about(data, folder=data_folder)
    if budget is None and known is None:
        raise UsageError(f"there is no usual budget for {data}", todo="say --budget, such as linf:8/255")
    kind = modality_of("image") if known is None else known.modality
    held = {source: kind.taken(build(source)).to(device).eval() for source in sources}
    return Setting(
        kind.taken(network),
        x[:examples],
        y[:examples],
        budget or (known.budget if known else ""),
        data,
        path,
        f"{path} on {data}",
        folder,
        sources=held,
        modality=kind,
    )


def build(path: str) -> nn.Module:
    """The module that the user's callable returns. Raises ``UsageError``."""
    from torch import nn

    from variate import registry

    function = registry.import_callable(path)
    try:
        made = function()
    except TypeError as error:
        raise UsageError(
            f"{path} cannot be called without arguments: {error}", expected="a callable that needs none"
        ) from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{path} returned {type(made).__name__}", expected="a torch.nn.Module")
    return made


def spread(devices: int) -> bool:
    """Whether the work went to several processes, and is done. Raises ``VariateError`` if one of them failed."""
    import sys

    from variate.cli.settings import without
    from variate.evaluation.processes import spawn, this_shard

    if devices == 1 or this_shard()[1] > 1:  # alone, or one of those that were started
        return False
    spawn(without(sys.argv[1:], "--devices"), devices)
    return True


def judged(setting: Setting, asked: Asked) -> tuple[Records, Result]:
    """Evaluate a setting as one of the processes that do: the whole records, and the rates of what was asked."""
    from variate.evaluation.evaluate import DEPLOYMENTS, evaluate
    from variate.evaluation.processes import leave, merge, this_shard, wait_for_all
    from variate.records.file import RECORDS, Records
    from variate.records.rows import result_of
    from variate.training.run_folder import run_record

    number, count = shard = this_shard()
    path = setting.folder / RECORDS
    records = Records(path, shard=number if count > 1 else None)
    records.add(
        [run_record(command=this_command(), title=setting.title, data=setting.data, seed=asked.seed, x=setting.x)]
    )
    records.add(setting.lines)
    common: dict[str, Any] = {
        "budget": setting.budget, "seed": asked.seed, "batch_size": asked.batch_size, "records": records,
        "shard": shard, "show_progress": not asked.quiet, "modality": setting.modality,
        "memory": None if asked.memory is None else asked.memory * 1_000_000,
    }  # fmt: skip
    result = evaluate(
        setting.network, setting.x, setting.y, attacks=asked.attacks, suite=asked.suite, target=asked.target,
        draws=draws_of(asked.draws), deployments=asked.deployments or DEPLOYMENTS, verdict_draws=asked.verdict_draws,
        source=setting.sources, name=setting.name, pictures=True, time_limit=asked.time_limit, **common,
    )  # fmt: skip
    if asked.doubts:
        from variate.evaluation.diagnostics import doubt

        doubt(
            setting.network, setting.x, setting.y, name=setting.name, verdict_draws=asked.verdict_draws,
            source=setting.sources, draws=DOUBTS if asked.draws == "auto" else int(asked.draws), **common,
        )  # fmt: skip
    if asked.layers:
        _by_layer(setting, asked.verdict_draws, common)
    wait_for_all(shard)
    if count > 1 and number == 0:
        records = merge(path, count)
    wait_for_all(shard)
    leave(shard)
    return records, result_of(records, result.claims)


def show(setting: Setting, records: Records, result: Result, *, json: bool) -> None:
    """The table, the red flags and where the rest is; or all of it as JSON."""
    from variate.evaluation.processes import this_shard
    from variate.flags.raise_flags import raised
    from variate.records.file import RECORDS
    from variate.report.table import print_rows, shown_rows, study_rows

    if this_shard()[0] > 0:
        return
    flags = raised(records)
    if json:
        print_json({"rates": result.as_json(), "flags": [flag.as_json() for flag in flags]})
        return
    print_rows(shown_rows(records, result.claims), setting.title)
    rows = study_rows(records, "layers")
    if rows:
        print_rows(rows, "noise by layer")
    for flag in flags:
        typer.echo(f"{flag.level}: {flag.flag}, {flag.network}")
        for line in (*flag.findings, f"do: {flag.remedy}"):
            typer.echo(f"  {line}")
    typer.echo(f"every answer: {setting.folder / RECORDS}; page: variate report {setting.folder}")


def draws_of(word: str) -> Draws:
    """``auto`` or a number. Raises ``UsageError``."""
    if word == "auto":
        return "auto"
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"cannot average over {word!r} draws", expected="auto, or a whole number from 1")
    return int(word)


def _device(accelerator: str) -> torch.device:
    """The device of this process: one for each, where several share a machine."""
    import torch

    from variate.training.processes import device_of

    device = device_of(accelerator)
    local = os.environ.get("LOCAL_RANK")
    if device.type == "cuda" and local is not None:
        return torch.device("cuda", int(local) % torch.cuda.device_count())
    return device


def _by_layer(setting: Setting, verdict_draws: int, common: Mapping[str, Any]) -> None:
    """Clean and robust accuracy with each layer's noise off and alone on, beside the network and its mean."""
    from variate.evaluation.evaluate import evaluate
    from variate.random.ablation import variations
    from variate.random.network import RandomNetwork

    if not isinstance(setting.network, RandomNetwork):
        raise UsageError(
            f"{setting.name} has no layers with noise of their own", expected="a network of variate.randomize"
        )
    networks = {
        "all noise": setting.network,
        "mean network": setting.network.mean(),
        **dict(variations(setting.network)),
    }
    for name, network in networks.items():
        evaluate(
            network, setting.x, setting.y, attacks=[{"name": "pgd", "steps": 20}], deployments=["single"],
            verdict_draws=verdict_draws, name=f"{setting.name}, {name}", part="layers", **common,
        )  # fmt: skip
