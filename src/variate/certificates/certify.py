"""Certify a network: choose a label by some draws, bound its probability by others, and say what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from variate import registry
from variate.certificates.front import EXAMPLE
from variate.certificates.mechanism import Bits, Mechanism
from variate.certificates.proof import POPULATION, VOTE, Proof, check_deployments, empty_labels, proved_rates
from variate.errors import UsageError
from variate.evaluation.probes import check_mode, coupling_of, device_of
from variate.inputs.budget import Budget
from variate.inputs.validation import check_inputs, check_module, precise
from variate.progress import progress
from variate.random.keys import Stream
from variate.random.seeding import generators_as_found, kind_of, left_as_found
from variate.statistics.proved import draws_for, lowest

DEPLOYMENTS = (VOTE, "single", POPULATION, "survive-10", "majority-16")
CHOOSING = 100  # votes that choose a label


@generators_as_found()
def certify(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    radii: Sequence[float | str] = (0.25, 0.5, 1.0),
    norm: str | None = None,
    draws: int = 1000,
    alpha: float = 0.001,
    deployments: Sequence[str] = DEPLOYMENTS,
    votes_of: int = 1,
    batch_size: int = 500,
    seed: int = 0,
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
        norm: norm of the budgets; by default the first one that the noise certifies.
        draws: number of votes that bound the probability of a label.
        alpha: probability with which the certificate of an example may be wrong, in (0, 1).
        deployments: ``vote``, ``single``, ``single, by population``, ``survive-N``, ``majority-S``.
        votes_of: number of draws of the weights, under one noise on the input, whose mean probability casts a vote.
        batch_size: examples in a batch; memory grows with it.
        seed: seed of the draws, which are those of the verdict's stream.
        show_progress: show a progress bar.

    Returns:
        The certified label and radius of every example, and certified rates.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for a network without such noise or with fixed draws, and options that can prove nothing.

    Source: Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918, for the vote under Gaussian noise.
    """
    check_module(network)
    check_inputs(x, y)
    x = precise(x.detach())
    uses = check_deployments(deployments)
    for name, value in (("draws", draws), ("votes_of", votes_of), ("batch_size", batch_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name} is {value!r}", expected="a whole number from 1")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha!r}", expected="a probability between 0 and 1, such as 0.001")
    mechanism = mechanism_of(network, x)
    norm = mechanism.norms[0] if norm is None else norm
    mechanism.check_norm(norm)
    budgets = [Budget.parse(f"{norm}:{size}") for size in radii]
    if not budgets:
        raise UsageError("there is no radius to certify", expected="one size or more, such as radii=[0.25, 0.5]")
    _check_draws(mechanism, budgets, draws, alpha)
    stream = Stream("verdict", seed)
    choosing, bounding = stream.take(CHOOSING * votes_of), stream.take(draws * votes_of)
    labels, agreed, right = [], [], []
    with (
        left_as_found(network),
        progress("certify", len(x), "examples", already=0, show=show_progress) as report,
    ):
        for start in range(0, len(x), batch_size):
            part = x[start : start + batch_size].to(device_of(network, x))
            label = mechanism.votes(network, part, choosing, votes_of).mode(0).values.cpu()  # (b,)
            votes = mechanism.votes(network, part, bounding, votes_of).cpu()  # (n, b)
            labels.append(label)
            agreed.append((votes == label).sum(0))
            right.append((votes == y[start : start + batch_size].cpu()).numpy())
            report(len(part))
    label, bits = torch.cat(labels), np.concatenate(right, axis=1)
    return _proof(mechanism, label, torch.cat(agreed), bits, y.cpu(), budgets, uses, alpha, votes_of, seed, norm)


def mechanism_of(network: nn.Module, x: Tensor) -> Mechanism:
    """What can be proved of a network. Raises ``UsageError`` if nothing can, with the reason."""
    kind = kind_of(network, x[:2])
    check_mode(network, kind)
    for entry in registry.entries("certificates").values():
        mechanism: Mechanism | None = entry.load().find(network, x)
        if mechanism is not None:
            coupled = coupling_of(network, x, kind, generator=False) if kind != "unkeyed" else None
            if coupled is not None:
                raise UsageError(
                    f"the noise proves nothing where answers depend on the batch: {coupled}",
                    todo="call eval() first",
                )
            return mechanism
    needs = {name: entry.facts["needs"] for name, entry in registry.entries("certificates").items()}
    raise UsageError(
        "nothing can be proved of this network: no certificate finds its noise",
        expected="; or ".join(f"{need} ({name})" for name, need in needs.items()),
        todo=EXAMPLE,
    )


def _check_draws(mechanism: Mechanism, budgets: Sequence[Budget], draws: int, alpha: float) -> None:
    """Raise ``UsageError`` if even draws that are all right could not certify the vote within any budget."""
    best = float(lowest(draws, draws, alpha))
    if best <= 0.5:
        raise UsageError(
            f"{draws} draws can certify nothing at alpha = {alpha:g}",
            expected=f"at least {draws_for(0.5, alpha) + 1} draws",
        )
    possible = [budget for budget in budgets if best > mechanism.probability(budget)]
    if not possible:
        nearest = min(budgets, key=lambda budget: budget.eps)
        needed = mechanism.probability(nearest)
        if needed >= 1:
            raise UsageError(f"no number of draws can certify {nearest}", expected="a smaller radius, or more noise")
        raise UsageError(
            f"{draws} draws cannot certify the vote within {nearest}, even if all are right",
            expected=f"at least {draws_for(needed, alpha) + 1} draws, or a radius below "
            f"{float(mechanism.radius(np.array(best), nearest.norm)):.4g}",
        )


def _proof(
    mechanism: Mechanism,
    label: Tensor,
    agreed: Tensor,
    right: Bits,
    y: Tensor,
    budgets: Sequence[Budget],
    uses: Sequence[str],
    alpha: float,
    votes_of: int,
    seed: int,
    norm: str,
) -> Proof:
    low = lowest(agreed.numpy(), len(right), alpha)  # (B,)
    radius = mechanism.radius(low, norm)
    certified = np.where((label == y).numpy(), low, 0.0)
    rows = proved_rates(mechanism, right, certified, budgets, uses, alpha)
    facts: dict[str, Any] = {"alpha": alpha, "votes_of": votes_of, "seed": seed, "norm": norm}
    return Proof(
        mechanism,
        empty_labels(label, radius),
        torch.from_numpy(radius),
        torch.from_numpy(low),
        right,
        y,
        rows,
        **facts,
    )
