"""The shared parts of `attack`, `evaluate` and `audit`: load a network and its inputs, judge it, show the result."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from variate.cli import options
from variate.cli.gate import check_requirements
from variate.cli.options import this_command
from variate.cli.own_module import build, fitted
from variate.errors import BatchWarning, UsageError
from variate.evaluation.evaluation import Evaluation
from variate.inputs.budget import Budget
from variate.training.cell import Cell
from variate.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from variate.evaluation.processes import Shard
    from variate.inputs.modality import Modality
    from variate.records.file import Records
    from variate.records.rows import Result
    from variate.records.schema import Record


@dataclass(frozen=True)
class Setting:
    """A network with labelled inputs, and the folder of its records."""

    network: nn.Module
    x: Tensor
    y: Tensor
    budget: str | Budget
    data: str
    name: str
    title: str
    folder: Path
    lines: Sequence[Record] = ()
    sources: Mapping[str, nn.Module] = field(default_factory=dict)
    modality: str | Modality = "image"
    task: str = "classes"
    labels: Sequence[str] = ()

    def run_line(self, seed: int) -> Record:
        """The record of this command."""
        from variate.training.run_folder import run_record

        return run_record(
            command=this_command(), title=self.title, data=self.data, seed=seed, x=self.x, labels=self.labels
        )


@dataclass(frozen=True)
class SharedOptions:
    """The options of all three commands other than those of the evaluation."""

    examples: options.Examples = 1000
    data_folder: options.DataFolder = Cell.data_folder
    task: options.Task = Cell.task
    accelerator: options.Accelerator = Recipe.accelerator
    dry_run: options.DryRun = False
    require: options.Require = None
    config: options.Config = None
    show_config: options.ShowConfig = False
    json: options.Json = False
    quiet: options.Quiet = False


@dataclass(frozen=True)
class Extras:
    """What to do in addition to the attacks, and in how many processes."""

    layers: options.Layers = False
    doubts: options.Doubts = True
    devices: options.Devices = 1


STANDARD = Evaluation(suite="standard", attacks=(), draws="auto", batch_size=128)  # defaults of `evaluate` and `audit`
ATTACKS_ALONE = Extras(doubts=False)


def check_something_is_run(evaluation: Evaluation) -> None:
    """Raise ``UsageError`` for an evaluation without a suite or an attack."""
    if evaluation.suite is None and not evaluation.attacks:
        raise UsageError("there is no suite and no attack to run", todo="--suite none --attack NAME")


def begin(text: str, shared: SharedOptions) -> None:
    """Say what the command begins, before it loads anything heavy, and check what it requires."""
    options.begin(f"{'planning' if shared.dry_run else 'attacking'} {text}", quiet=shared.quiet, json=shared.json)
    check_requirements(shared.require)


def named(evaluation: Evaluation) -> str:
    """The suite and the attacks of an evaluation, in words."""
    suite = [] if evaluation.suite is None else [f"suite {evaluation.suite}"]
    return ", ".join([*suite, *map(str, evaluation.attacks)])


def of_run(
    run: Path,
    shared: SharedOptions,
    *,
    budget: str | Budget | None,
    trust_code: bool,
    sources: Sequence[Path] = (),
) -> Setting:
    """A network that `variate train` wrote, and the test split of its data."""
    from variate.datasets.info import about
    from variate.datasets.load import labelled
    from variate.inputs.modality import modality_of
    from variate.options import names_code
    from variate.training.run_folder import check_same_data, describe
    from variate.training.saved import load, read_card

    card = read_card(run)
    device = _device(shared.accelerator)
    network = load(run, trust_code=trust_code).to(device)
    if names_code(card.data) and not trust_code:
        raise UsageError(f"the data of {run} is {card.data}, code that would be run", todo="pass --trust-code")
    x, y = labelled(card.data, folder=shared.data_folder, cut=True, task=card.task)
    facts = about(card.data, folder=shared.data_folder, task=card.task)
    check_same_data(card, facts, run)
    allowed = budget or facts.budget
    if not allowed:
        raise UsageError(f"{card.data} has no default budget", todo="pass --budget, such as linf:8/255")
    name = f"{card.defense} {card.architecture}"
    return Setting(
        network,
        x[: shared.examples],
        y[: shared.examples],
        allowed,
        card.data,
        name,
        f"{name} on {card.data}",
        run,
        describe(card, network, name),
        {source.name: load(source, trust_code=trust_code).to(device) for source in sources},
        modality_of(card.kind, card.details),
        shared.task or card.task,
        facts.labels,
    )


def of_module(
    path: str,
    data: str,
    folder: Path,
    shared: SharedOptions,
    *,
    mode: str,
    budget: str | Budget | None,
    sources: Sequence[str] = (),
) -> Setting:
    """The user's own network, and labelled inputs. Raises ``UsageError``."""
    from variate.datasets.info import about
    from variate.datasets.load import is_of_classes, labelled
    from variate.datasets.parts.own import is_encoded, is_own
    from variate.inputs.modality import modality_of

    device = _device(shared.accelerator)
    network = build(path).to(device)
    if mode != "as-is":
        network.train(mode == "train")
    x, y = labelled(data, folder=shared.data_folder, task=shared.task)
    has_facts = not is_own(data) or is_encoded(data, of_classes=is_of_classes(shared.task))
    facts = about(data, folder=shared.data_folder, task=shared.task) if has_facts else None
    if budget is None and facts is None:
        raise UsageError(f"{data} has no default budget", todo="pass --budget, such as linf:8/255")
    input_kind = modality_of("image") if facts is None else facts.modality
    loaded = {source: fitted(build(source), input_kind).to(device).eval() for source in sources}
    return Setting(
        fitted(network, input_kind),
        x[: shared.examples],
        y[: shared.examples],
        budget or (facts.budget if facts else ""),
        data,
        path,
        f"{path} on {data}",
        folder,
        sources=loaded,
        modality=input_kind,
        task=shared.task or (facts.task if facts else "classes"),
        labels=facts.labels if facts else (),
    )


def spread(devices: int) -> bool:
    """Run the command in several processes; False if there is only one. Raises ``VariateError`` if one failed."""
    import sys

    from variate.cli.settings import without
    from variate.evaluation.processes import spawn, this_shard

    if devices == 1 or this_shard()[1] > 1:  # a single process, or one of those started here
        return False
    status = spawn(without(sys.argv[1:], "--devices"), devices)
    if status:
        raise typer.Exit(status)
    return True


def judged(setting: Setting, evaluation: Evaluation, shared: SharedOptions, extras: Extras) -> tuple[Records, Result]:
    """Evaluate a setting, in one of possibly several processes: all records, and the rates of this evaluation."""
    from variate.evaluation.processes import leave, merge, this_shard, wait_for_all
    from variate.records.file import RECORDS, Records
    from variate.records.rows import result_of

    index, count = shard = this_shard()
    path = setting.folder / RECORDS
    records = Records(path, shard=index if count > 1 else None)
    with records.held(), warnings.catch_warnings():
        warnings.simplefilter("ignore", BatchWarning)  # shown as a flag
        result = _measured(setting, evaluation, shared, extras, records, shard)
    wait_for_all(shard)
    if count > 1 and index == 0:
        records = merge(path, count)
    wait_for_all(shard)
    leave(shard)
    return records, result_of(records, result.claims)


def _measured(
    setting: Setting, evaluation: Evaluation, shared: SharedOptions, extras: Extras, records: Records, shard: Shard
) -> Result:
    """The table, the evidence for red flags, and the noise by layer, into records that this process holds."""
    from variate.evaluation.diagnostics import doubt
    from variate.evaluation.evaluate import evaluate

    records.add([setting.run_line(evaluation.seed), *setting.lines])
    evaluation = replace(evaluation, budget=setting.budget)
    judge = partial(
        evaluate, modality=setting.modality, task=setting.task, records=records, shard=shard,
        show_progress=not shared.quiet,
    )  # fmt: skip
    result = judge(
        setting.network, setting.x, setting.y, evaluation=evaluation, source=setting.sources, name=setting.name,
        pictures=True,
    )  # fmt: skip
    if extras.doubts:
        doubt(
            setting.network, setting.x, setting.y, evaluation=evaluation, source=setting.sources, name=setting.name,
            modality=setting.modality, task=setting.task, records=records, shard=shard,
            show_progress=not shared.quiet,
        )  # fmt: skip
    if extras.layers:
        attacks = [{"name": "pgd", "steps": 20}]
        by_layer = Evaluation(
            budget=setting.budget, attacks=attacks, deployments=("single",), verdict_draws=evaluation.verdict_draws,
            batch_size=evaluation.batch_size, memory=evaluation.memory, seed=evaluation.seed,
        )  # fmt: skip
        for name, network in _by_layer(setting).items():
            judge(network, setting.x, setting.y, evaluation=by_layer, name=f"{setting.name}, {name}", part="layers")
    return result


def _device(accelerator: str) -> torch.device:
    """The device of this process; processes on one machine each have their own."""
    import torch

    from variate.training.processes import device_of

    device = device_of(accelerator)
    local = os.environ.get("LOCAL_RANK")
    if device.type == "cuda" and local is not None:
        return torch.device("cuda", int(local) % torch.cuda.device_count())
    return device


def _by_layer(setting: Setting) -> dict[str, nn.Module]:
    """Variants of a network by name: itself, its mean, and without or with only the noise of each layer."""
    from variate.random.ablation import variations
    from variate.random.network import RandomNetwork
    from variate.random.plain import mean

    if not isinstance(setting.network, RandomNetwork):
        raise UsageError(
            f"{setting.name} has no random layers to compare", expected="a network made by variate.randomize"
        )
    return {
        "all noise": setting.network,
        "mean network": mean(setting.network),
        **dict(variations(setting.network)),
    }
