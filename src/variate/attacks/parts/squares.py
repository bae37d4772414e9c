"""The moves of the Square Attack: windows of an input that are set to an end of the budget, or get more of it."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.plane import as_plane, plane_of
from variate.inputs.budget import ORDERS, Budget
from variate.oracle.randomness import Coins

HALVED = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # progress, in (0, 1), at which windows are halved
TILES = 5  # tiles per side of the starting point in l2 and l1
MIN_SIDE = 3  # minimum side of a window in l2 and l1, from the authors' code; the side of a tile if that is smaller
TINY = 1e-12


def sides(share: float, height: int, width: int, least: int = 1) -> tuple[int, int]:
    """Height and width of a square that covers a fraction of a plane, or of a rectangle if the plane is too narrow."""
    area = share * height * width
    side = min(max(round(area**0.5), least), height, width)
    longest = max(height, width)
    other = side if side < min(height, width) else min(max(round(area / side), least, side), longest)
    return (side, other) if height <= width else (other, side)


def share_of(share: float, progress: float) -> float:
    """Fraction of the values in a window, halved nine times during the search (section 3, "size of squares")."""
    halvings = sum(progress > point for point in HALVED)
    return share * 0.5**halvings


def stripes(coins: Coins, x: Tensor, budget: Budget) -> Tensor:
    """Starting point in linf: every column of every channel at one end of the budget: (B, ...)."""
    channels, _, width = plane_of(x.shape[1:])
    signs = coins.signs("stripes", (channels, 1, width))
    return budget.project((as_plane(x) + budget.eps * signs).view_as(x), x)


def tiles(coins: Coins, x: Tensor, budget: Budget) -> Tensor:
    """Starting point in l2 and l1: tiles of pyramids of random sign, scaled to the budget: (B, ...)."""
    channels, height, width = plane_of(x.shape[1:])
    rows, columns = _axes(height, width, x)
    tall, wide = -(-height // TILES), -(-width // TILES)  # size of one tile
    ones = torch.ones(1, dtype=torch.long, device=x.device)
    pattern = _pyramids(rows % tall, columns % wide, tall * ones, wide * ones, 0 * ones)[0].to(x)  # (H, W)
    signs = coins.signs("tiles", (channels, TILES, TILES))
    signs = signs.repeat_interleave(tall, 2)[:, :, :height].repeat_interleave(wide, 3)[..., :width]  # (B, C, H, W)
    return _within(signs * pattern, x, budget)


@final
class Corners:
    """Windows whose values all move to one end of an linf budget, with one sign per channel (algorithm 2).

    A window that would change nothing moves to the opposite end.

    Args:
        coins: the attacker's random numbers.
        x: the original inputs, shape (B, ...).
        budget: a budget in linf.
        share: fraction of the values that the first window covers.
        tries: number of moves.
    """

    opposites: Final = False

    def __init__(self, coins: Coins, x: Tensor, budget: Budget, share: float, tries: int) -> None:
        self._low, self._high = (budget.project(x + side * budget.eps, x) for side in (-1, 1))
        self._plane = plane_of(x.shape[1:])
        self._share = share
        self._coins = coins.uniform("windows", (tries, 2 + self._plane[0]))  # (B, T, 2 + C)

    def propose(self, points: Tensor, rows: Tensor, tries: Tensor, progress: float) -> Tensor:
        """Top, left, height, width, and a sign for each channel: (N, M, 4 + C)."""
        _, height, width = self._plane
        tall, wide = sides(share_of(self._share, progress), height, width)
        drawn = self._coins[rows[:, None], tries]  # (N, M, 2 + C)
        positions = [_position(drawn[..., 0], height - tall), _position(drawn[..., 1], width - wide)]
        sizes = [torch.full_like(tries, tall), torch.full_like(tries, wide)]
        signs = (drawn[..., 2:] < 0.5).long() * 2 - 1
        moves = torch.cat([torch.stack(positions + sizes, -1), signs], -1)
        count = tries.shape[1]
        repeated = points.repeat_interleave(count, 0)
        moved = self.make(repeated, rows.repeat_interleave(count), moves.flatten(0, 1))
        unchanged = (repeated == moved).flatten(1).all(1).view_as(tries)
        moves[..., 4:] *= 1 - 2 * unchanged[..., None].long()
        return moves

    def make(self, points: Tensor, rows: Tensor, moves: Tensor) -> Tensor:
        """Set one window of each point to an end of the budget: (N, ...)."""
        _, height, width = self._plane
        axes = _axes(height, width, points)
        window = _window(axes, *moves[:, :4].unbind(1))[:, None]  # (N, 1, H, W)
        upward = window & (moves[:, 4:, None, None] > 0)  # (N, C, H, W)
        moved = torch.where(upward, as_plane(self._high[rows]), as_plane(self._low[rows]))
        return torch.where(window, moved, as_plane(points)).view_as(points)


@final
class Masses:
    """Windows that take over the perturbation of another window and the unused budget (algorithm 3).

    The perturbation in a window becomes a mix of its own direction and a pair of pyramids of random sign. Its size is
    the sum of its own, that of the other window, and the unused budget; sizes add as squares in l2 and plainly in l1
    (Croce & Hein 2021, arXiv:2103.01208, section 5).

    Args:
        coins: the attacker's random numbers.
        x: the original inputs, shape (B, ...).
        budget: a budget in l2 or l1.
        share: fraction of the values that the first window covers.
        tries: number of moves.
    """

    opposites: Final = False

    def __init__(self, coins: Coins, x: Tensor, budget: Budget, share: float, tries: int) -> None:
        self._x, self._budget, self._share = x, budget, share
        self._plane = plane_of(x.shape[1:])
        self._coins = coins.uniform("windows", (tries, 5 + self._plane[0]))  # (B, T, 5 + C)

    def propose(self, points: Tensor, rows: Tensor, tries: Tensor, progress: float) -> Tensor:
        """Size of the windows, top and left of both, orientation of the pyramids, and signs: (N, M, 7 + C)."""
        _, height, width = self._plane
        least = min(MIN_SIDE, -(-min(height, width) // TILES))
        tall, wide = sides(share_of(self._share, progress), height, width, least)
        drawn = self._coins[rows[:, None], tries]  # (N, M, 5 + C)
        positions = [_position(drawn[..., i], (height - tall, width - wide)[i % 2]) for i in range(4)]
        sizes = [torch.full_like(tries, tall), torch.full_like(tries, wide)]
        turned = (drawn[..., 4] < 0.5).long()
        signs = (drawn[..., 5:] < 0.5).long() * 2 - 1
        return torch.cat([torch.stack([*sizes, *positions, turned], -1), signs], -1)

    def make(self, points: Tensor, rows: Tensor, moves: Tensor) -> Tensor:
        """Move the perturbation of one window of each point to another window: (N, ...)."""
        _, height, width = self._plane
        axes = _axes(height, width, points)
        tall, wide, top, left, other_top, other_left, turned = moves[:, :7].unbind(1)
        window = _window(axes, top, left, tall, wide)[:, None]  # (N, 1, H, W)
        other = _window(axes, other_top, other_left, tall, wide)[:, None]
        x = self._x[rows]
        now = as_plane(points - x)  # (N, C, H, W)
        shape = _pyramids(axes[0] - top[:, None], axes[1] - left[:, None], tall, wide, turned).to(now)
        pattern = torch.where(window, shape[:, None], 0.0) * moves[:, 7:, None, None]  # (N, C, H, W)
        kept = torch.where(window, now, 0.0)
        mixed = self._unit(pattern, (1, 2, 3), now.shape[1]) + self._unit(kept, (2, 3), 1)
        mixed = self._unit(mixed, (2, 3), 1) * self._available(now, window | other)
        moved = torch.where(window, mixed, torch.where(other, 0.0, now))
        return _within(moved, x, self._budget)

    def _unit(self, values: Tensor, dims: tuple[int, ...], count: int) -> Tensor:
        """Normalize to length 1 over the given dimensions; over all channels, to length 1 per channel."""
        order = ORDERS[self._budget.norm]
        length = (values.abs() ** order).sum(dims, keepdim=True) / count
        return values / (length ** (1 / order)).clamp(min=TINY)

    def _available(self, now: Tensor, windows: Tensor) -> Tensor:
        """Size available to each channel in the two windows together: (N, C, 1, 1)."""
        order = ORDERS[self._budget.norm]
        sizes = now.abs() ** order  # (N, C, H, W)
        unused = (self._budget.eps**order - sizes.sum((1, 2, 3), keepdim=True)).clamp(min=0)
        used = torch.where(windows, sizes, 0.0).sum((2, 3), keepdim=True)
        available: Tensor = (used + unused / now.shape[1]) ** (1 / order)
        return available


def _position(drawn: Tensor, room: int) -> Tensor:
    """Map a uniform number in (0, 1) to an integer from 0 to ``room``."""
    return (drawn * (room + 1)).long().clamp(max=room)


def _axes(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    return torch.arange(height, device=like.device), torch.arange(width, device=like.device)


def _window(axes: tuple[Tensor, Tensor], top: Tensor, left: Tensor, tall: Tensor, wide: Tensor) -> Tensor:
    """Mask of the values inside a window: (N,) to (N, H, W)."""
    rows, columns = axes
    down = (rows >= top[:, None]) & (rows < (top + tall)[:, None])  # (N, H)
    across = (columns >= left[:, None]) & (columns < (left + wide)[:, None])  # (N, W)
    return down[:, :, None] & across[:, None, :]


def _pyramids(rows: Tensor, columns: Tensor, tall: Tensor, wide: Tensor, turned: Tensor) -> Tensor:
    """Two pyramids of opposite sign side by side (equation 2): the halves of a window that begins at 0, 0.

    Where the larger distance from the center of the half is r, the height is the sum of 1 / (n + 1 - k)^2 over
    k from 0 to n - r, with n half the larger side; that is the sum of 1 / j^2 over j from r + 1 to n + 1.

    Args:
        rows: rows of the values, counted from the top of the window, shape (H,) or (N, H).
        columns: columns of the values, counted from its left, shape (W,) or (N, W).
        tall: height of the window, shape (N,).
        wide: width of the window, shape (N,).
        turned: whether the pyramids stand one above the other rather than side by side, shape (N,).

    Returns:
        Heights, shape (N, H, W), undefined outside the window.
    """
    across = ((turned == 0) & (wide > 1)) | (tall < 2)
    rows, columns = rows.expand(len(tall), -1), columns.expand(len(tall), -1)  # (N, H), (N, W)
    down, half_tall, lower = _half(rows, tall, ~across)
    right, half_wide, later = _half(columns, wide, across)
    distance = torch.maximum(down[:, :, None], right[:, None, :])  # (N, H, W)
    half = torch.maximum(half_tall[:, :, None], half_wide[:, None, :]) // 2
    squares = torch.arange(1, int(half.max()) + 3, device=rows.device, dtype=torch.float64) ** -2.0
    sums = torch.cat([squares.new_zeros(1), squares.cumsum(0)])  # sum of 1 / j^2 over j up to the index
    height = sums[half + 1] - sums[torch.minimum(distance.clamp(min=0), half + 1)]
    return torch.where(lower[:, :, None] ^ later[:, None, :], -height, height)


def _half(positions: Tensor, length: Tensor, halved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance of positions from the center of their half of a side, length of that half, whether it is the second.

    A side that is not halved is one half.
    """
    first = torch.where(halved, length // 2, length)[:, None]  # (N, 1)
    second = positions >= first
    own = torch.where(second, length[:, None] - first, first)  # (N, L)
    offset = positions - torch.where(second, first, 0)
    return (offset - own // 2).abs(), own, second


def _within(delta: Tensor, x: Tensor, budget: Budget) -> Tensor:
    """Scale a perturbation to the budget, add it to ``x`` and clip to [0, 1]: (N, C, H, W) to the shape of ``x``."""
    flat = delta.reshape(len(x), -1)
    length = flat.norm(p=ORDERS[budget.norm], dim=1).clamp(min=TINY)
    return (x + delta.reshape(x.shape) * unsqueeze_to(budget.eps / length, x)).clamp(0.0, 1.0)
