"""Certify a network: choose a label by some draws, bound its probability by others, and say what follows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from variate.certificates.acceptance import check_acceptance, check_draws
from variate.certificates.mechanism import Mechanism
from variate.certificates.proof import POPULATION, VOTE, Proof, check_deployments, proof_of
from variate.certificates.subject import Casting, Subject, checked, subject_of
from variate.errors import UsageError
from variate.evaluation.probes import device_of
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.progress import progress
from variate.random.keys import Stream
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.certified import Votes
from variate.records.file import Records

DEPLOYMENTS = (VOTE, "single", POPULATION, "survive-10", "majority-16")
RADII = (0.25, 0.5, 1.0)


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
        deployments: ``vote``, ``single``, ``single, by population``, ``survive-N``, ``majority-S``; ``certified-R``
            answers only where its certificate at the received input reaches R, and else abstains.
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
    casting = Casting(draws, alpha, votes_of, batch_size, seed, mechanism)
    kind, uses = checked(network, x, y, modality), check_deployments(deployments)
    store = Records() if records is None else records
    with left_as_found(network), store.held():
        subject = subject_of(network, x, y, kind, casting, name=name, group=group)
        found, certificate = subject.mechanism, subject.certificate
        budgets = budgets_of(found, found.usual_norm(kind.norms) if norm is None else norm, radii)
        check_draws(found, budgets, certificate.draws, alpha)
        check_acceptance(found, budgets[0].norm, uses, certificate.draws, alpha)
        kind.check_norm(budgets[0])
        store.add([certificate])
        parts = [(found.within(budget), [budget]) for budget in budgets] if found.apart else [(found, budgets)]
        votes = [
            (part, within, _votes(subject, part, within, store, batch_size, show_progress)) for part, within in parts
        ]
        proof, line = proof_of(certificate, votes, uses)
        store.add([line])
    return proof


def _votes(
    subject: Subject, mechanism: Mechanism, budgets: Sequence[Budget], store: Records, batch_size: int, show: bool
) -> list[Votes]:
    """The votes on all examples, batch by batch; those in the records are taken from there.

    Labels are elected by the subject's own mechanism, which has no budget: by what the network answers.
    """
    network, x, y, certificate = subject.network, subject.x, subject.y, subject.certificate
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
                chosen = subject.mechanism.votes(network, part, choosing, each).mode(0).values.cpu()  # (b,)
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


def budgets_of(mechanism: Mechanism, norm: str, radii: Sequence[float | str]) -> list[Budget]:
    """The budgets of some sizes in a norm. Raises ``UsageError`` for a norm without certificate, and for none."""
    mechanism.check_norm(norm)
    budgets = [Budget.parse(f"{norm}:{size}") for size in radii]
    if not budgets:
        raise UsageError("there is no radius to certify", expected="one size or more, such as radii=[0.25, 0.5]")
    return budgets
