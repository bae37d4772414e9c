"""Words replaced where the gradient says that it pays."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.steps import check_steps
from variate.attacks.parts.words import Replacing, best_change
from variate.inputs.budget import Budget
from variate.inputs.words import RADIUS, smooth, vectors_of
from variate.oracle.losses import Loss, aimed, loss_named
from variate.oracle.oracle import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("words", "chars"),
    modality=("text",),
    cite="Ebrahimi et al. 2018, arXiv:1712.06751; averaged over draws, and candidates checked, by us",
    targeted=True,
    quick={"beam": 2},
)
def hotflip(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    beam: int = 6,
    loss: str | Loss = "cross-entropy",
) -> Tensor:
    """One word after another is replaced by what raises the loss most for its cost, to first order and then in truth.

    The gain of a replacement is (e' - e) . g: the difference of the two words' vectors along the gradient g of the
    averaged loss, retaken on fresh draws after every replacement. The ``beam`` largest gains are then asked about,
    beside changing nothing, all under the same draws, and the best is taken. The vectors are the network's own; of a
    random one, their means; of an ensemble, the mean of its members'. The published attack trusts the first order, or
    searches a beam of whole texts.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: the most words, or characters.
        target: the labels to reach, shape (B,); None to leave ``y``.
        beam: replacements that are tried in each round, from 1.
        loss: the loss to raise: ``cross-entropy``, ``margin`` or ``dlr``, or a function like those of
            ``variate.oracle.losses``.

    Returns:
        Inputs, shape (B, T, 1).
    """
    check_steps("hotflip", beam=beam)
    raised, labels = aimed(loss_named(loss) if isinstance(loss, str) else loss, y, target)
    state = Replacing(oracle, x, budget)
    vectors = vectors_of(oracle.network)  # (V, E)
    for _ in range(min(int(budget.size), x.shape[1])):  # a word is replaced at most once
        _, gradient = oracle.gradient(smooth(state.inputs, vectors.shape[1]), labels, raised)
        gains = _gains(state, vectors, gradient[..., 1:] / (2 * RADIUS))  # (B, T, C)
        _take_best(oracle, state, gains, labels, raised, beam)
    return state.inputs


def _gains(state: Replacing, vectors: Tensor, slope: Tensor) -> Tensor:
    """What each replacement promises for its cost, to first order: (B, T, C); minus infinity where none is possible."""
    now = (vectors[state.ids] * slope).sum(-1, keepdim=True)  # (B, T, 1)
    each = [(vectors[numbers.clamp(min=0)] * slope).sum(-1) for numbers in state.candidates.unbind(-1)]
    return ((torch.stack(each, -1) - now) / state.costs.clamp(min=1)).masked_fill(~state.open, -torch.inf)


def _take_best(
    oracle: GradientOracle, state: Replacing, gains: Tensor, labels: Tensor, raised: Loss, beam: int
) -> None:
    """Try the most promising replacements of every text, and take the best of them."""
    promising = gains.flatten(1).topk(min(beam, gains[0].numel()), 1)  # (B, M)
    rows = torch.arange(len(gains), device=gains.device)[:, None].expand_as(promising.indices)
    place, choice = promising.indices // gains.shape[2], promising.indices % gains.shape[2]
    tried = state.with_change(rows.flatten(), place.flatten(), choice.flatten()).view(*rows.shape, -1)  # (B, M, T)
    tried = torch.where(promising.values.isfinite()[..., None], tried, state.ids[:, None])
    texts = torch.cat([state.ids[:, None], tried], 1)  # (B, 1 + M, T), what is there first
    asked = texts.shape[1]
    everyone = torch.arange(len(texts), device=texts.device).repeat_interleave(asked)
    values = oracle.loss(state.as_inputs(texts.flatten(0, 1)), labels[everyone], raised, rows=everyone)
    costs = state.costs[rows, place, choice]
    best = best_change(values.view(-1, asked), promising.values.isfinite(), costs)
    winners = (best > 0).nonzero()[:, 0]
    at = best[winners] - 1
    state.take(winners, place[winners, at], choice[winners, at])
