"""Cast the votes of a certificate: some choose the label of an example, others bound its probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from variate.certificates.mechanism import Mechanism
from variate.certificates.reading import Reading
from variate.certificates.subject import Subject
from variate.evaluation.probes import device_of
from variate.inputs.budget import Budget
from variate.progress import progress
from variate.random.keys import Stream
from variate.records.certified import Votes
from variate.records.file import Records
from variate.statistics.sequential import decided

PARTS = 20_000  # parts of answers in a batch, at most
FIRST = 16  # bounding votes before the first look, where they may end early; twice as many before the next


def cast_votes(
    subject: Subject, mechanism: Mechanism, budgets: Sequence[Budget], store: Records, batch_size: int, show: bool
) -> list[Votes]:
    """The votes on all examples, batch by batch; those in the records are taken from there.

    Labels are elected by the subject's own mechanism, which has no budget: by what the network answers.

    Args:
        subject: the network, its inputs and the certificate.
        mechanism: what the proof rests on.
        budgets: the budgets that the votes are for; one only, if each has votes of its own.
        store: records that the votes are added to.
        batch_size: examples in a batch.
        show: show a progress bar.
    """
    network, x, y, certificate = subject.network, subject.x, subject.y, subject.certificate
    stream, each = Stream("verdict", certificate.seed), certificate.votes_of
    choosing, bounding = stream.take(certificate.choosing * each), stream.take(certificate.draws * each)
    budget = budgets[0].text if mechanism.apart or certificate.early_stop else None
    done = store.votes.get((certificate.id, budget), {})
    already = sum(batch.examples for batch in done.values())
    start, size = 0, max(1, min(batch_size, PARTS // Reading(subject.task, y).parts))
    with progress(f"{certificate.network}: certify", len(x), "examples", already=already, show=show) as report:
        while start < len(x):
            if start not in done:
                part, labels = (values[start : start + size].to(device_of(network, x)) for values in (x, y))
                reading = Reading(subject.task, labels)
                electing = subject.mechanism.votes(network, part, choosing, each, reading)  # (n, b * P)
                chosen = electing.mode(0).values.cpu()
                if certificate.early_stop:
                    counts = _ended_early(subject, mechanism, budgets[0], part, reading, chosen, bounding)
                else:
                    counts = _counted(reading, chosen, mechanism.votes(network, part, bounding, each, reading).cpu())
                facts = {"certificate": certificate.id, "budget": budget, "first": start, "parts": reading.parts}
                elected = {"labels": reading.right.tolist(), "chosen": chosen.tolist()}
                store.add([Votes.model_validate({**facts, **elected, **counts})])
            start += store.votes[certificate.id, budget][start].examples
            report(start)
    return [batch for _, batch in sorted(store.votes[certificate.id, budget].items())]


def _counted(reading: Reading, chosen: Tensor, votes: Tensor) -> dict[str, list[int]]:
    """The counts of votes (n, b * P), as ``Votes`` keeps them."""
    labels, agreed = reading.right.cpu(), (votes == chosen).sum(0)
    right = votes == labels
    by_draw = right.sum(1)
    if reading.parts > 1:
        counted = (labels >= 0).view(-1, reading.parts)  # (b, P)
        scores = right.view(len(votes), *counted.shape).sum(2) / counted.sum(1)  # (n, b)
        by_draw = scores.double().sum(1)
    return {"agreed": agreed.tolist(), "right": right.sum(0).tolist(), "by_draw": by_draw.tolist()}


def _ended_early(
    subject: Subject,
    mechanism: Mechanism,
    budget: Budget,
    x: Tensor,
    reading: Reading,
    chosen: Tensor,
    keys: Sequence[int],
) -> dict[str, list[int]]:
    """The counts of votes: on each example until they tell whether its label is certified, or all are cast."""
    certificate, threshold, labels = subject.certificate, mechanism.probability(budget), reading.right.cpu()
    agreed, right, cast = (np.zeros(len(x), dtype=np.int64) for _ in range(3))
    undecided, start, stop = np.arange(len(x)), 0, FIRST
    while len(undecided) and start < certificate.draws:
        stop = min(stop, certificate.draws)
        used = keys[start * certificate.votes_of : stop * certificate.votes_of]
        rows = torch.from_numpy(undecided).to(x.device)
        votes = mechanism.votes(subject.network, x[rows], used, certificate.votes_of, reading.at(rows)).cpu()  # (n, u)
        agreed[undecided] += (votes == chosen[undecided]).sum(0).numpy()
        right[undecided] += (votes == labels[undecided]).sum(0).numpy()
        cast[undecided] = stop
        undecided = undecided[~decided(agreed[undecided], stop, threshold, certificate.alpha)]
        start, stop = stop, 2 * stop
    return {"agreed": agreed.tolist(), "right": right.tolist(), "by_draw": [], "cast": cast.tolist()}
