"""Verify an evidence file: its hashes, the budget of every adversarial input, and each number on fresh draws."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import nn

from variate.errors import DataError, UsageError
from variate.evidence.again import judged_again
from variate.evidence.inputs import budgets_of, inputs_of
from variate.evidence.manifest import EXPECTED, NETWORK, RECORDS, Manifest, unpacked
from variate.evidence.verified import Check, Verified
from variate.evidence.write import PART, rates_of
from variate.files.reading import reading
from variate.inputs.modality import modality_of
from variate.inputs.validation import check_module
from variate.random.seeding import generators_as_found
from variate.records.file import Records
from variate.records.groups import shown
from variate.training.saved import load

NEEDS_NETWORK = "pass network=..., the module that was judged (--network FILE.py:callable)"


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
    examples are paired, draws are not (``variate.compare``), and the error over all numbers is nominally 1 %, or 0.1 %
    each for more than ten. A metric does not hold if the two values lie farther apart than their intervals allow.

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
            return Verified(manifest, checks, [], [], [], seed)
        with reading(path, DataError, expected=EXPECTED):  # whose writer may have written anything
            records = Records(folder / RECORDS)
            claims = [claim for claim in shown(records, PART) if claim.network == manifest.network]
            checks.append(_same_table(manifest, records))
            inputs, skipped = inputs_of(manifest, records, claims, folder)
            checks += budgets_of(claims, inputs)
        if not judge:
            return Verified(manifest, checks, [], [], [*skipped, "rates: only hashes and budgets were asked for"], seed)
        if network is None:
            if not manifest.saved:
                raise UsageError(f"{path} holds the fingerprint of its network alone", todo=NEEDS_NETWORK)
            network = load(folder / NETWORK.rstrip("/"), trust_code=trust_code)
        else:
            network = next((one.modality for one in inputs.values()), modality_of("image")).taken(network)
        check, rates, metrics = judged_again(network, records, claims, inputs, seed, batch_size)
    return Verified(manifest, [*checks, *check], rates, metrics, [*skipped, *_others(records)], seed)


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


def _others(records: Records) -> Iterator[str]:
    """What is in the records and cannot be judged again."""
    if records.convergences:
        yield "convergence in attack draws: it describes searches, which are not in the archive"
    if records.gradients:
        yield "the evidence for red flags: gradients and further attacks, whose inputs are not in the archive"
    if any(line.minus for line in records.metrics.values()):
        yield "metrics minus those of the mean network"
    if records.proofs:
        yield "certificates: `variate certify` casts fresh votes"
    if any(records.timings.values()):
        yield "queries, passes and seconds of attacks"
