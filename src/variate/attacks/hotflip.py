"""Word replacement guided by gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.words import EditedTexts, best_change
from variate.inputs.budget import Budget
from variate.inputs.words import RADIUS, smooth, vectors_of
from variate.limits import Count
from variate.oracle.losses import Loss, aimed, loss_named
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("words", "chars"),
    modality=("text",),
    cite="Ebrahimi et al. 2018, arXiv:1712.06751; here with averages over draws and checked candidates",
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
    beam: Count = 6,
    loss: str | Loss = "cross-entropy",
) -> Tensor:
    """Replace one word after another by the candidate that raises the loss most for its cost.

    The first-order gain of a replacement is (e' - e) . g: the difference of the two word vectors along the gradient g
    of the averaged loss, recomputed on fresh draws after every replacement. The ``beam`` candidates with the largest
    gains are then compared with changing nothing, all under the same draws, and the best is accepted. The vectors are
    the network's own embeddings; for a random network their means, and for an ensemble the mean over its members. The
    published attack relies on the first order alone, or runs a beam search over whole texts.

    Args:
        oracle: returns the averaged loss and its gradient.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: maximum number of replaced words, or of edited characters.
        target: target labels, shape (B,); None for an untargeted attack.
        beam: number of replacements to query in each round, at least 1.
        loss: the loss to maximize: ``cross-entropy``, ``margin`` or ``dlr``, or a function like those of
            ``variate.oracle.losses``.

    Returns:
        Inputs, shape (B, T, 1).
    """
    objective, labels = aimed(loss_named(loss) if isinstance(loss, str) else loss, y, target)
    edited = EditedTexts(oracle, x, budget)
    vectors = vectors_of(oracle.network)  # (V, E)
    for _ in range(min(int(budget.size), x.shape[1])):  # a word is replaced at most once
        _, gradient = oracle.gradient(smooth(edited.inputs, vectors.shape[1]), labels, objective)
        gains = _gains(edited, vectors, gradient[..., 1:] / (2 * RADIUS))  # (B, T, C)
        _take_best(oracle, edited, gains, labels, objective, beam)
    return edited.inputs


def _gains(edited: EditedTexts, vectors: Tensor, slope: Tensor) -> Tensor:
    """First-order gain of each replacement per cost: (B, T, C); minus infinity where it is not allowed."""
    current = (vectors[edited.ids] * slope).sum(-1, keepdim=True)  # (B, T, 1)
    replaced = [(vectors[ids.clamp(min=0)] * slope).sum(-1) for ids in edited.candidates.unbind(-1)]
    return ((torch.stack(replaced, -1) - current) / edited.costs.clamp(min=1)).masked_fill(~edited.allowed, -torch.inf)


def _take_best(
    oracle: GradientOracle, edited: EditedTexts, gains: Tensor, labels: Tensor, objective: Loss, beam: int
) -> None:
    """Query the most promising replacements of every text and accept the best."""
    promising = gains.flatten(1).topk(min(beam, gains[0].numel()), 1)  # (B, M)
    rows = torch.arange(len(gains), device=gains.device)[:, None].expand_as(promising.indices)
    position, choice = promising.indices // gains.shape[2], promising.indices % gains.shape[2]
    tried = edited.with_change(rows.flatten(), position.flatten(), choice.flatten()).view(*rows.shape, -1)  # (B, M, T)
    tried = torch.where(promising.values.isfinite()[..., None], tried, edited.ids[:, None])
    texts = torch.cat([edited.ids[:, None], tried], 1)  # (B, 1 + M, T), the current text first
    count = texts.shape[1]
    examples = torch.arange(len(texts), device=texts.device).repeat_interleave(count)
    values = oracle.loss(edited.as_inputs(texts.flatten(0, 1)), labels[examples], objective, rows=examples)
    costs = edited.costs[rows, position, choice]
    best = best_change(values.view(-1, count), promising.values.isfinite(), costs)
    winners = (best > 0).nonzero()[:, 0]
    accepted = best[winners] - 1
    edited.take(winners, position[winners, accepted], choice[winners, accepted])
