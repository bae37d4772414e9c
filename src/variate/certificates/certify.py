"""Certify a network: choose a label by some draws, bound its probability by others, and say what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from variate.certificates.acceptance import check_acceptance, check_draws
from variate.certificates.certifiable import certifiable, check_abstaining
from variate.certificates.certification import DEPLOYMENTS, Certification
from variate.certificates.mechanism import Mechanism, usual_norm
from variate.certificates.proof import Proof, check_deployments, proof_of
from variate.certificates.reading import Reading
from variate.certificates.subject import checked, subject_of
from variate.certificates.voting import cast_votes
from variate.errors import UsageError
from variate.fields import overridden, takes_options
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.file import Records
from variate.statistics.accepted import certified_radius
from variate.statistics.proved_names import VOTE
from variate.tasks.task import Task


@takes_options(Certification)
@generators_as_found()
def certify(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    certification: Certification = Certification(),
    records: Records | None = None,
    name: str = "network",
    group: str | None = None,
    modality: str | Modality = "image",
    task: str | Task = "classes",
    show_progress: bool = False,
    **overrides: Any,
) -> Proof:
    """Prove how often a random network is right, whatever an attacker does within a budget.

    The label of every example is chosen by 100 votes, and its probability bounded from below by ``draws`` other ones
    (Clopper & Pearson, at ``alpha`` an example). What an attacker can take of it depends on the noise alone:
    ``variate list certificates`` shows which noise proves what.

    Args:
        network: any module with random noise on its input, in the mode it will be used in: ``Shift``, ``Mask`` or the
            defense ``smoothing``.
        x: inputs, shape (B, ...).
        y: labels, shape (B,), or as the task says.
        certification: all options; early stop holds after every vote (``variate.statistics.sequential.lowest_always``),
            so alpha covers the whole procedure, and each radius has votes of its own.
        records: records that the votes are added to; votes that are there already are not cast again.
        name: name of the network in the records.
        group: name shared by networks that differ only in their training seed.
        modality: modality of the inputs.
        task: what the answers mean: any task whose score is the mean of parts that are right or wrong. Each label,
            position or number is certified by itself, at ``alpha`` each.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Certification`` by name, which replace those of ``certification``: ``radii=[0.25, 0.5]``,
            ``draws=10_000``.

    Returns:
        The certified label and radius of every example, or of every part of its answer, and certified rates.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for a network without such noise or with fixed draws, another task, and options that can prove
            nothing.
        RecordError: if the records cannot be written.

    Source: Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918, for the vote under Gaussian noise.
    """
    asked = overridden(certification, overrides, certify)
    uses = check_deployments(_decided_early(asked.deployments) if asked.early_stop else asked.deployments)
    answering = certifiable(task)
    network = answering.answers(network)
    kind = checked(network, x, y, modality, answering, asked)
    if any(certified_radius(use) is not None for use in uses):
        check_abstaining(answering)
    store = Records() if records is None else records
    with left_as_found(network), store.held():
        subject = subject_of(network, x, y, kind, answering, asked, name=name, group=group, early_stop=asked.early_stop)
        found, certificate = subject.mechanism, subject.certificate
        if certificate.early_stop and Reading(answering, y).parts > 1:
            raise UsageError("early_stop is for answers of one part", todo="leave it out")
        norm = usual_norm(found.norms, kind.norms) if asked.norm is None else asked.norm
        budgets = budgets_of(found, norm, asked.radii)
        check_draws(found, budgets, certificate.draws, asked.alpha, early_stop=certificate.early_stop)
        check_acceptance(found, budgets[0].norm, uses, certificate.draws, asked.alpha)
        kind.check_norm(budgets[0])
        store.add([certificate])
        apart = found.apart or certificate.early_stop
        parts = [(found.within(budget), [budget]) for budget in budgets] if apart else [(found, budgets)]
        votes = [
            (part, within, cast_votes(subject, part, within, store, asked.batch_size, show_progress))
            for part, within in parts
        ]
        proof, line = proof_of(certificate, votes, uses, y.shape)
        store.add([line])
    return proof


def _decided_early(deployments: Sequence[str]) -> Sequence[str]:
    """The vote, by default. Raises ``UsageError`` for others, whose rates take all votes on every example."""
    if tuple(deployments) not in (DEPLOYMENTS, (VOTE,)):
        raise UsageError(
            f"early_stop decides the vote alone, not {', '.join(deployments)}",
            expected="deployments=['vote']",
            todo="leave out early_stop, so that every example gets all votes",
        )
    return (VOTE,)


def budgets_of(mechanism: Mechanism, norm: str, radii: Sequence[float | str]) -> list[Budget]:
    """The budgets of some sizes in a norm. Raises ``UsageError`` for a norm without certificate, and for none."""
    mechanism.check_norm(norm)
    budgets = [Budget.parse(f"{norm}:{size}") for size in radii]
    if not budgets:
        raise UsageError("there is no radius to certify", expected="one size or more, such as radii=[0.25, 0.5]")
    return budgets
