"""Certify a network: choose a label by some draws, bound its probability by others, and say what follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from variate import registry
from variate.certificates.front import EXAMPLE
from variate.certificates.mechanism import Mechanism
from variate.certificates.proof import POPULATION, VOTE, Proof, check_deployments, proof_of
from variate.errors import UsageError
from variate.evaluation.claims import Look, judged, look_at
from variate.evaluation.probes import check_mode, device_of
from variate.hashing import fingerprint
from variate.inputs.budget import Budget
from variate.inputs.columns import columns_of
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_classes, check_inputs, check_module, precise
from variate.progress import progress
from variate.random.keys import Stream
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.certified import Certificate, Votes
from variate.records.file import Records
from variate.statistics.proved import draws_for, lowest

DEPLOYMENTS = (VOTE, "single", POPULATION, "survive-10", "majority-16")
RADII = (0.25, 0.5, 1.0)
INTERVAL = "interval"  # the last to be tried: it needs no noise
CHOOSING = 100  # votes that choose a label


@generators_as_found()
def certify(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    radii: Sequence[float | str] = RADII,
    norm: str | None = None,
    mechanism: str | None = None,
    draws: int = 1000,
    alpha: float = 0.001,
    deployments: Sequence[str] = DEPLOYMENTS,
    votes_of: int = 1,
    batch_size: int = 500,
    seed: int = 0,
    records: Records | None = None,
    name: str = "network",
    group: str | None = None,
    modality: str | Modality = "image",
    show_progress: bool = False,
) -> Proof:
    """Prove how often a random network is right, whatever an attacker does within a budget.

    The label of every example is chosen by 100 votes, and its probability bounded from below by ``draws`` other ones
    (Clopper & Pearson, at ``alpha`` an example). What an attacker can take of it depends on the noise alone:
    ``variate list certificates`` shows which noise proves what.

    Args:
        network: any module with random noise on its input, in the mode it will be used in: ``Shift``, ``Mask`` or the
            defense ``smoothing``.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        radii: sizes of the budgets.
        norm: norm of the budgets; by default the first one that the mechanism certifies.
        mechanism: name of the certificate (``variate list certificates``); by default the noise on the input decides,
            and a network without any is certified by interval bounds.
        draws: number of votes that bound the probability of a label.
        alpha: probability with which the certificate of an example may be wrong, in (0, 1).
        deployments: ``vote``, ``single``, ``single, by population``, ``survive-N``, ``majority-S``.
        votes_of: number of draws of the weights, under one noise on the input, whose mean probability casts a vote.
        batch_size: examples in a batch; memory grows with it.
        seed: seed of the draws, which are those of the verdict's stream.
        records: records that the votes are added to; votes that are there already are not cast again.
        name: name of the network in the records.
        group: name shared by networks that differ only in their training seed.
        modality: modality of the inputs.
        show_progress: show a progress bar on standard error.

    Returns:
        The certified label and radius of every example, and certified rates.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for a network without such noise or with fixed draws, and options that can prove nothing.
        RecordError: if the records cannot be written.

    Source: Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918, for the vote under Gaussian noise.
    """
    check_module(network)
    check_inputs(x, y)
    inputs, x, y = fingerprint([x, y]), precise(x.detach()), y.long()
    uses = check_deployments(deployments)
    for option, value in (("draws", draws), ("votes_of", votes_of), ("batch_size", batch_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{option} is {value!r}", expected="a whole number from 1")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha!r}", expected="a probability between 0 and 1, such as 0.001")
    kind = modality_of(modality)
    _check_columns(kind)
    store = Records() if records is None else records
    with left_as_found(network), store.held():
        look = look_at(network, x)
        check_classes(y, look.classes)
        found = mechanism_of(network, x, look, mechanism)
        norm = next((one for one in found.norms if one in kind.norms), found.norms[0]) if norm is None else norm
        budgets = _budgets(found, norm, radii)
        draws = draws if found.random else 1
        _check_draws(found, budgets, draws, alpha)
        kind.check_norm(budgets[0])
        certificate = Certificate(
            **judged(look, inputs, kind, name=name, seed=seed, batch_size=batch_size, memory=None),
            mechanism=found.name,
            noise=found.sentence(),
            choosing=CHOOSING if found.random else 1,
            draws=draws,
            alpha=alpha if found.random else 0.0,
            votes_of=votes_of,
            group=group,
            asked=len(x),
        )
        store.add([certificate])
        parts = [(found.within(budget), [budget]) for budget in budgets] if found.apart else [(found, budgets)]
        votes = [
            (part, within, _votes(found, part, within, certificate, network, x, y, store, batch_size, show_progress))
            for part, within in parts
        ]
        proof, line = proof_of(certificate, votes, uses)
        store.add([line])
    return proof


def mechanism_of(network: nn.Module, x: Tensor, look: Look | None = None, name: str | None = None) -> Mechanism:
    """What can be proved of a network, by one certificate or any. Raises ``UsageError`` if nothing can."""
    look = look_at(network, x) if look is None else look
    check_mode(network, look.kind)
    entries = registry.entries("certificates")
    chosen = sorted(entries, key=lambda entry: entry == INTERVAL) if name is None else [name]
    for one in chosen:
        mechanism: Mechanism | None = registry.get("certificates", one).load().find(network, x)
        if mechanism is None:
            continue
        if look.coupled is not None:
            raise UsageError(
                f"nothing is proved where answers depend on the batch: {look.coupled}", todo="call eval() first"
            )
        return mechanism
    needs = {one: registry.get("certificates", one).facts["needs"] for one in chosen}
    raise UsageError(
        "nothing can be proved of this network: it is not what certificates need",
        expected="; or ".join(f"{need} ({one})" for one, need in needs.items()),
        todo=EXAMPLE,
    )


def _check_columns(modality: Modality) -> None:
    """Raise ``UsageError`` for categories: changing one changes two columns, and its size is its declared cost."""
    columns = columns_of(getattr(modality, "features", ()))
    if any(column.group is not None and column.mutable for column in columns):
        raise UsageError(
            "tables with categories have no certificate: the budget counts a change of category as one, by its cost, "
            "but it changes two columns",
            expected="columns of numbers",
        )


def _votes(
    chooser: Mechanism,
    mechanism: Mechanism,
    budgets: Sequence[Budget],
    certificate: Certificate,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    store: Records,
    batch_size: int,
    show: bool,
) -> list[Votes]:
    """The votes on all examples, batch by batch; those in the records are taken from there.

    ``chooser`` is the mechanism without a budget, so that labels are elected by what the network answers.
    """
    stream, each = Stream("verdict", certificate.seed), certificate.votes_of
    choosing, bounding = stream.take(certificate.choosing * each), stream.take(certificate.draws * each)
    budget = budgets[0].text if mechanism.apart else None
    done = store.votes.get((certificate.id, budget), {})
    already = sum(len(batch.labels) for batch in done.values())
    start = 0
    with progress(f"{certificate.network}: certify", len(x), "examples", already=already, show=show) as report:
        while start < len(x):
            if start not in done:
                part, labels = x[start : start + batch_size].to(device_of(network, x)), y[start : start + batch_size]
                chosen = chooser.votes(network, part, choosing, each).mode(0).values.cpu()  # (b,)
                votes = mechanism.votes(network, part, bounding, each).cpu()  # (n, b)
                right = votes == labels.cpu()  # (n, b)
                batch = Votes(
                    certificate=certificate.id,
                    budget=budget,
                    first=start,
                    labels=labels.tolist(),
                    chosen=chosen.tolist(),
                    agreed=(votes == chosen).sum(0).tolist(),
                    right=right.sum(0).tolist(),
                    by_draw=right.sum(1).tolist(),
                )
                store.add([batch])
            start += len(store.votes[certificate.id, budget][start].labels)
            report(start)
    return [batch for _, batch in sorted(store.votes[certificate.id, budget].items())]


def _budgets(mechanism: Mechanism, norm: str, radii: Sequence[float | str]) -> list[Budget]:
    mechanism.check_norm(norm)
    budgets = [Budget.parse(f"{norm}:{size}") for size in radii]
    if not budgets:
        raise UsageError("there is no radius to certify", expected="one size or more, such as radii=[0.25, 0.5]")
    return budgets


def _check_draws(mechanism: Mechanism, budgets: Sequence[Budget], draws: int, alpha: float) -> None:
    """Raise ``UsageError`` if even draws that are all right could not certify the vote within any budget."""
    best = float(lowest(draws, draws, alpha)) if mechanism.random else 1.0
    if best <= 0.5:
        raise UsageError(
            f"{draws} draws can certify nothing at alpha = {alpha:g}",
            expected=f"at least {draws_for(0.5, alpha) + 1} draws",
        )
    if any(best > mechanism.probability(budget) for budget in budgets):
        return
    nearest = min(budgets, key=lambda budget: budget.eps)
    needed = mechanism.probability(nearest)
    if needed >= 1:
        raise UsageError(f"no number of draws can certify {nearest}", expected="a smaller radius, or more noise")
    raise UsageError(
        f"{draws} draws cannot certify the vote within {nearest}, even if all are right",
        expected=f"at least {draws_for(needed, alpha) + 1} draws, or a radius below "
        f"{float(mechanism.radius(np.array(best), nearest.norm)):.4g}",
    )
