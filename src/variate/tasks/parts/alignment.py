"""The most likely alignment of a transcript: which class every frame has if the whole spells it."""

from __future__ import annotations

import torch
from torch import Tensor


def alignment(logs: Tensor, symbols: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """The most likely of the paths that collapse to the symbols (the algorithm of Viterbi; Graves et al. 2006).

    Frames collapse to a transcript by merging repeats, then dropping blanks.

    Args:
        logs: log-probabilities of every frame, shape (B, T, K).
        symbols: classes of the transcript, shape (B, L), anything beyond its length.
        lengths: number of symbols, shape (B,), few enough that the frames can spell them: see ``frames_needed``.
        blank: the class between symbols.

    Returns:
        The class of every frame, shape (B, T), without a gradient.
    """
    logs, rows = logs.detach(), torch.arange(len(logs), device=logs.device)
    states = torch.full((len(symbols), 2 * symbols.shape[1] + 1), blank, device=logs.device)  # (B, N)
    states[:, 1::2] = symbols
    may_skip = (states != blank) & (states != states.roll(2, 1))
    may_skip[:, :2] = False
    emitted = logs.gather(2, states[:, None].expand(-1, logs.shape[1], -1))  # (B, T, N)
    best = emitted[:, 0].clone()
    best[:, 2:] = -torch.inf
    steps = []  # how many states each state was entered from below
    for frame in emitted[:, 1:].unbind(1):
        one, two = (_shifted(best, by) for by in (1, 2))
        best, step = torch.stack([best, one, two.masked_fill(~may_skip, -torch.inf)]).max(0)  # (B, N)
        best = best + frame
        steps.append(step)
    last = 2 * lengths  # the blank after the last symbol, or that symbol
    state = torch.where(best[rows, last] > best[rows, last - 1], last, last - 1)  # (B,)
    path = [state]
    for step in reversed(steps):
        state = state - step[rows, state]
        path.append(state)
    return states.gather(1, torch.stack(path[::-1], 1))


def frames_needed(symbols: Tensor, lengths: Tensor) -> Tensor:
    """The fewest frames that can spell a transcript, one for every symbol and one between two equal ones: (B,)."""
    within = torch.arange(1, symbols.shape[1], device=symbols.device) < lengths[:, None]
    return lengths + ((symbols[:, 1:] == symbols[:, :-1]) & within).sum(1)


def _shifted(values: Tensor, by: int) -> Tensor:
    """Each value at the place ``by`` later, minus infinity before: (B, N)."""
    shifted = values.roll(by, 1)
    shifted[:, :by] = -torch.inf
    return shifted
