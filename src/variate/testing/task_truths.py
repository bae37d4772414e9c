"""Networks of other tasks than classes whose worst answers within a budget are known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.testing.linear import DUAL


def worst_error(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, budget: Budget) -> Tensor:
    """The largest error of a linear regression within a budget: |w.x + b - y| + eps * ||w||_dual.

    Exact as long as the worst input lies inside [0, 1].

    Args:
        weight: w, shape (D,).
        bias: b, shape ().
        x: inputs, shape (B, D).
        y: numbers, shape (B,).
        budget: the norm and the size eps.

    Returns:
        The largest error, shape (B,).
    """
    reach = budget.eps * torch.linalg.vector_norm(weight, DUAL[budget.norm])
    errors: Tensor = (x @ weight + bias - y).abs() + reach
    return errors


class PixelClassifier(nn.Module):
    """A segmenter that looks at one pixel at a time: two logits, 0 and slope * (x - threshold).

    Args:
        slope: slope of the second logit, above 0.
        threshold: the value from which on a pixel is of class 1.
    """

    def __init__(self, slope: float = 4.0, threshold: float = 0.5) -> None:
        super().__init__()
        if slope <= 0:
            raise UsageError(f"the slope is {slope:g}", expected="a number above 0")
        self.slope = nn.Parameter(torch.tensor(slope))
        self.threshold = nn.Parameter(torch.tensor(threshold))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 1, H, W) to logits (B, 2, H, W)."""
        second = self.slope * (x - self.threshold)
        return torch.cat([torch.zeros_like(second), second], 1)


def fewest_right(network: PixelClassifier, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """The smallest share of pixels that are right within linf, if no pixel has to stay in [0, 1]: (B,).

    Pixels are changed independently, so each is lost if its value is less than eps from the threshold, or wrong.

    Args:
        network: the segmenter.
        x: images, shape (B, 1, H, W).
        y: classes 0 and 1, shape (B, H, W).
        eps: size of the budget.
    """
    with torch.no_grad():
        gap = (x[:, 0] - network.threshold) * (2 * y - 1)  # above 0 where a pixel is right
    return (gap > eps).flatten(1).double().mean(1)


class NumberCoin(nn.Module):
    """Returns 0 for the true number 0, or 1 with probability ``error``, whatever the input.

    The mean of the input is added with a weight of 1e-3, so that the answer depends on it, as an attack requires.

    Args:
        error: the probability of a wrong number, in [0, 1].
        width: Q, how many numbers, each with a coin of its own.
    """

    def __init__(self, error: float, width: int = 1) -> None:
        super().__init__()
        if not 0 <= error <= 1:
            raise UsageError(f"an error of {error} is not a probability", expected="a number from 0 to 1")
        self.error, self.width = error, width
        self.scale = nn.Parameter(torch.tensor(1e-3))

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, ...) to numbers (B, Q)."""
        wrong = torch.rand(len(x), self.width, device=x.device) < self.error
        return wrong.to(x) + self.scale * x.flatten(1).mean(1, keepdim=True)


class PositionCoin(nn.Module):
    """Answers class 0 at every position, the true one, or class 1 with probability ``error``, whatever the input.

    Args:
        error: the probability of a wrong position, in [0, 1]; positions are independent.
    """

    def __init__(self, error: float) -> None:
        super().__init__()
        if not 0 <= error <= 1:
            raise UsageError(f"an error of {error} is not a probability", expected="a number from 0 to 1")
        self.error = error
        self.scale = nn.Parameter(torch.tensor(1e-3))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, 2, H, W)."""
        wrong = (torch.rand(len(x), *x.shape[2:], device=x.device) < self.error).to(x)  # (B, H, W)
        return torch.stack([1 - wrong, wrong], 1) * 4 + self.scale * x.mean((1, 2, 3))[:, None, None, None]
