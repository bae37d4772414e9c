"""Certify a network: choose a label by some draws, bound its probability by others, and say what follows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from variate.certificates.acceptance import check_acceptance, check_draws
from variate.certificates.mechanism import Mechanism, usual_norm
from variate.certificates.proof import VOTE, Proof, check_deployments, proof_of
from variate.certificates.subject import Casting, checked, subject_of
from variate.certificates.voting import cast_votes
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.file import Records
from variate.records.population import POPULATION

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
    early_stop: bool = False,
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
        early_stop: end the votes on an example as soon as they tell whether its label is certified at the radius, after
            ``draws`` at most; each radius has votes of its own, and the vote is the only deployment. The bound holds
            after every vote (``variate.statistics.sequential.lowest_always``), so alpha covers the whole procedure.
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
    casting = Casting(draws, alpha, votes_of, batch_size, seed, mechanism, early_stop)
    uses = check_deployments(_decided_early(deployments) if early_stop else deployments)
    kind = checked(network, x, y, modality)
    store = Records() if records is None else records
    with left_as_found(network), store.held():
        subject = subject_of(network, x, y, kind, casting, name=name, group=group)
        found, certificate = subject.mechanism, subject.certificate
        budgets = budgets_of(found, usual_norm(found.norms, kind.norms) if norm is None else norm, radii)
        check_draws(found, budgets, certificate.draws, alpha, early_stop=certificate.early_stop)
        check_acceptance(found, budgets[0].norm, uses, certificate.draws, alpha)
        kind.check_norm(budgets[0])
        store.add([certificate])
        apart = found.apart or certificate.early_stop
        parts = [(found.within(budget), [budget]) for budget in budgets] if apart else [(found, budgets)]
        votes = [
            (part, within, cast_votes(subject, part, within, store, batch_size, show_progress))
            for part, within in parts
        ]
        proof, line = proof_of(certificate, votes, uses)
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
