"""Verify an evidence file: its hashes, the budget of every adversarial input, and each rate on fresh draws."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from variate.datasets.parts.npz import arrays_of
from variate.errors import DataError, UsageError, VariateError
from variate.evaluation.claims import fingerprint_of, look_at
from variate.evaluation.judge import by_strata, scores_by_source, verdict
from variate.evaluation.kept_inputs import FIRST
from variate.evaluation.probes import device_of
from variate.evidence.manifest import NETWORK, RECORDS, Manifest, Originals, Stored, unpacked
from variate.evidence.verified import ALPHA, Check, Rejudged, Verified
from variate.evidence.write import PART, rates_of
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_inputs, check_module
from variate.random.keys import Stream, hash_words
from variate.random.seeding import Kind, generators_as_found, left_as_found
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import deployments_of, shown
from variate.records.rows import CLEAN, rows_of
from variate.statistics.comparison import SMALLEST_P, compare
from variate.statistics.crossed import Scores
from variate.statistics.rates import Deployment, rate_of
from variate.tasks.task import Task, task_of
from variate.training.saved import load

NEEDS_NETWORK = "pass network=..., the module that was judged (--network FILE.py:callable)"


@dataclass(frozen=True)
class _Inputs:
    """The inputs of one claim: originals, labels, and by deployment what was judged."""

    x: Tensor
    y: Tensor
    judged: dict[str, Tensor]
    modality: Modality
    task: Task


@generators_as_found()
def verify(
    path: str | Path,
    network: nn.Module | None = None,
    *,
    judge: bool = True,
    seed: int | None = None,
    batch_size: int = 256,
    trust_code: bool = False,
) -> Verified:
    """Check an evidence file, and judge its inputs again on fresh draws.

    Checked are the SHA-256 of every file, that the rates in the manifest are those of the records, that every
    adversarial input is within its budget, and that the network is that of the records. Every rate is then judged
    again on the stored inputs with as many fresh draws as before, and does not hold if the difference is significant:
    examples are paired, draws are not (``variate.compare``), and the error over all rates is 1 % at most, for up to ten
    rates.

    Args:
        path: archive that ``write_evidence`` wrote. Nothing in it is unpickled or run.
        network: the network that was judged, in the mode in which it was; by default that in the archive.
        judge: whether to judge again, which needs the network; hashes and budgets are always checked.
        seed: seed of the fresh draws; by default one that nobody could know before.
        batch_size: examples per batch.
        trust_code: allow a network in the archive to run code that it names.

    Raises:
        DataError: for a file that is no evidence file, or cannot be read.
        UsageError: if judging needs a network, and none is given or in the archive.
    """
    if network is not None:
        check_module(network)
    seed = secrets.randbits(32) if seed is None else seed
    with tempfile.TemporaryDirectory() as unpacking:
        folder = Path(unpacking)
        manifest, wrong = unpacked(Path(path), folder)
        checks = [Check(f"{len(manifest.members)} files have the SHA-256 of the manifest", not wrong, tuple(wrong))]
        if wrong:  # whatever else it says is not what was written
            return Verified(manifest, checks, [], [], seed)
        records = Records(folder / RECORDS)
        claims = [claim for claim in shown(records, PART) if claim.network == manifest.network]
        checks.append(_same_table(manifest, records))
        inputs, skipped = _inputs_of(manifest, records, claims, folder)
        checks += _budgets(claims, inputs)
        if not judge:
            return Verified(manifest, checks, [], [*skipped, "rates: hashes and budgets alone were asked for"], seed)
        if network is None:
            if not manifest.saved:
                raise UsageError(f"{path} holds the fingerprint of its network alone", todo=NEEDS_NETWORK)
            network = load(folder / NETWORK.rstrip("/"), trust_code=trust_code)
        else:
            network = next((one.modality for one in inputs.values()), modality_of("image")).taken(network)
        check, rates = _judged_again(network, records, claims, inputs, seed, batch_size)
    return Verified(manifest, [*checks, *check], rates, [*skipped, *_others(records)], seed)


def _same_table(manifest: Manifest, records: Records) -> Check:
    """Whether the rates in the manifest are those that its records give."""
    found = {(rate["claim"], rate["deployment"]): rate for rate in rates_of(records)}
    wrong = []
    for rate in manifest.rates:
        ours = found.get((rate.get("claim"), rate.get("deployment")), {})
        if any(
            not np.isclose(float(rate.get(end, np.nan)), float(ours.get(end, np.nan)), atol=1e-9)
            for end in ("rate", "low", "high")
        ) or rate.get("examples") != ours.get("examples"):
            wrong.append(f"{rate.get('deployment')} under {rate.get('attack')}")
    wrong += [f"{len(found)} rates in the records, {len(manifest.rates)} in the table"] * (
        len(found) != len(manifest.rates)
    )
    return Check("the rates in the table are those of the records", not wrong, tuple(wrong))


def _inputs_of(
    manifest: Manifest, records: Records, claims: list[Claim], folder: Path
) -> tuple[dict[str, _Inputs], list[str]]:
    """The inputs of each claim by its id, and what cannot be judged again. Raises ``DataError``."""
    originals = {name: _originals(one, folder / name) for name, one in manifest.originals.items()}
    found: dict[str, _Inputs] = {}
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


def _originals(one: Originals, path: Path) -> _Inputs:
    task = task_of(one.task)
    try:
        modality = modality_of(one.modality, one.details)
    except VariateError as error:
        raise DataError(f"the manifest does not describe its {one.modality} inputs: {error.problem}") from error
    x, y = _arrays(path)
    labels = task.typed(y)
    check_inputs(x, labels, task.label_findings)
    return _Inputs(x, labels, {}, modality, task)


def _adversarial(own: list[Stored], originals: dict[str, _Inputs], folder: Path, count: int) -> _Inputs:
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


def _budgets(claims: list[Claim], inputs: dict[str, _Inputs]) -> Iterator[Check]:
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


def _judged_again(
    network: nn.Module,
    records: Records,
    claims: list[Claim],
    inputs: dict[str, _Inputs],
    seed: int,
    batch_size: int,
) -> tuple[list[Check], list[Rejudged]]:
    """Whether the network is that of the records, and each rate beside the one on fresh draws."""
    judged = [claim for claim in claims if claim.id in inputs]
    if not judged:
        return [], []
    first = inputs[judged[0].id]
    network = first.task.answers(network)
    with left_as_found(network):
        look = look_at(network, first.x)
        first.task.check(look.width, first.y)
        others = sorted({claim.fingerprint for claim in judged} - {look.fingerprint})
        found = [f"it is {look.fingerprint}, in the records {', '.join(others)}"] * bool(others)
        same = Check("the network is that of the records, in the same mode", not others, tuple(found))
        counts = [len(deployments_of(records, claim)) for claim in judged]
        level = 1 - max(ALPHA / sum(counts), SMALLEST_P)
        rates = [
            rate
            for claim in judged
            for rate in _rates(network, records, claim, inputs[claim.id], look.kind, seed, batch_size, level)
        ]
    return [same], rates


def _rates(
    network: nn.Module,
    records: Records,
    claim: Claim,
    own: _Inputs,
    kind: Kind,
    seed: int,
    batch_size: int,
    level: float,
) -> Iterator[Rejudged]:
    deployments = [Deployment.parse(text) for text in deployments_of(records, claim)]
    again = _answers(network, claim, own, deployments, kind, seed, batch_size)
    rows = {row.deployment: row for row in rows_of(records, claim)}
    for deployment in deployments:
        before, now = records.answers(claim, deployment.source), again[deployment.source]
        repeated = deployment.size if deployment.rule == "survive" else 1
        found = compare(now, before, repeated=repeated, level=level)
        yield Rejudged(rows[str(deployment)], rate_of(deployment, now), found, len(now), level)


def _answers(
    network: nn.Module,
    claim: Claim,
    own: _Inputs,
    deployments: list[Deployment],
    kind: Kind,
    seed: int,
    batch_size: int,
) -> dict[str, Scores]:
    """Scores on fresh draws by ``Deployment.source``, each deployment on its own inputs: (n, B)."""
    device, parts = device_of(network, own.x), dict[str, list[Scores]]()
    for start in range(0, len(own.judged[FIRST]), batch_size):
        rows = slice(start, start + batch_size)
        y = own.y[rows].to(device)
        for together, alike in by_strata(network, deployments).items():
            for deployment in {d.source: d for d in alike}.values():
                x = own.judged.get(deployment.source, own.judged[FIRST])[rows].to(device)
                judge = partial(verdict, draws=max(claim.verdict_draws, 1), kind=kind, together=together)
                outputs = judge(network, x, deployments=[], stream=Stream("verdict", hash_words("verify", seed)))
                scores = scores_by_source([deployment], outputs, y, own.task)
                parts.setdefault(deployment.source, []).append(scores[deployment.source])
    return {source: cast(Scores, np.concatenate(found, axis=1)) for source, found in parts.items()}


def _others(records: Records) -> Iterator[str]:
    """What is in the records and cannot be judged again."""
    if records.convergences:
        yield "convergence in attack draws: it describes searches, which are not in the archive"
    if records.gradients:
        yield "the evidence for red flags: gradients and further attacks, whose inputs are not in the archive"
    if records.metrics:
        yield "metrics: variate.metrics.measure.measure computes them from outputs"
    if records.proofs:
        yield "certificates: `variate certify` casts fresh votes"
    if any(records.timings.values()):
        yield "queries, passes and seconds of attacks"
