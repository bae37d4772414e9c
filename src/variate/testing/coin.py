"""Coins: random networks whose error no attack can change, so that the true rates of every report are known.

The true label of every input is 0. The mean of the input is added to all logits alike: the logits depend on the input,
as an attack requires, but the answer does not.
"""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize

GAP = 4.0  # difference between the logit of the answer and the others


class Coin(nn.Module):
    """Predicts 0, or 1 with probability ``error``, independently for each example, from torch's global generator.

    Args:
        error: the probability of a wrong answer, in [0, 1].
        classes: number of logits, at least 2.
    """

    answers: Tensor

    def __init__(self, error: float = 0.05, classes: int = 2) -> None:
        super().__init__()
        self.error = _checked(error, closed=True)
        self.register_buffer("answers", _answers(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        wrong = torch.rand(len(x), device=x.device) < self.error  # (B,)
        return _logits(self.answers, wrong, x)


class SharedCoin(nn.Module):
    """Predicts 0 for the whole batch, or 1 for the whole batch if its one parameter exceeds the threshold.

    Args:
        threshold: value of the parameter above which the answer is 1.
        classes: number of logits, at least 2.
    """

    answers: Tensor
    threshold: Tensor

    def __init__(self, threshold: float, classes: int = 2) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))
        self.register_buffer("threshold", torch.tensor(threshold))
        self.register_buffer("answers", _answers(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        wrong = (self.level > self.threshold).expand(len(x))  # (B,)
        return _logits(self.answers, wrong, x)


def shared_coin(error: float = 0.05, classes: int = 2) -> RandomNetwork:
    """A random network whose draws are right or wrong on all examples together; wrong with probability ``error``.

    Its one parameter is N(0, 1), and the threshold is the normal quantile at 1 - error.

    Args:
        error: the probability of a wrong draw, in (0, 1).
        classes: number of logits, at least 2.
    """
    threshold = NormalDist().inv_cdf(1 - _checked(error, closed=False))
    return randomize(SharedCoin(threshold, classes), "normal", scale=1.0)


def _answers(classes: int) -> Tensor:
    """Logits of a right and of a wrong answer: shape (2, K)."""
    if classes < 2:
        raise UsageError(f"a coin cannot have {classes} classes", expected="2 or more")
    return GAP * torch.eye(2, classes)


def _logits(answers: Tensor, wrong: Tensor, x: Tensor) -> Tensor:
    return answers[wrong.long()].to(x) + x.flatten(1).mean(1, keepdim=True)  # (B, K)


def _checked(error: float, *, closed: bool) -> float:
    if not 0 <= error <= 1 or (not closed and error in (0, 1)):
        raise UsageError(f"an error of {error} is not a probability", expected="a number between 0 and 1")
    return error
