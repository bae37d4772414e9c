"""Random two-class networks with normal margins: the accuracy of the best attack is known.

One draw is right with probability Phi(r / sqrt(2)), where r is the margin in units of a logit's standard deviation. An
attacker who climbs an averaged loss finds the best input of the linear network, and misses that of ``GrowingNoise`` by
10 to 20 points: its expected cross-entropy is largest where the noise is, and there every other draw is right, while a
smaller change along the plane of the data, with little noise, leaves almost none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.inputs.budget import Budget
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize

FLOOR = 0.05  # standard deviation of a logit of ``GrowingNoise`` on the plane of the data
STARTS, STEPS = 10, 400  # descents of the exact probability, and steps of each


class GrowingNoise(nn.Module):
    """Logits 0 and w.x + b, each with normal noise of standard deviation .05 + growth * d(x).

    d(x) is the distance of x from a plane that the data lie in. The noise is the parameter ``noise``, random with a
    standard deviation of 1.

    Args:
        weight: w, shape (D,).
        bias: b.
        plane: orthonormal basis of the plane, which contains the point (1/2, ..., 1/2), shape (D, P).
        growth: increase of the standard deviation per unit of distance.
    """

    def __init__(self, weight: Tensor, bias: float, plane: Tensor, growth: float) -> None:
        super().__init__()
        self.noise = nn.Parameter(torch.zeros(2))
        self.weight, self.plane = nn.Buffer(weight), nn.Buffer(plane)
        self.bias, self.growth = bias, growth

    def score(self, x: Tensor) -> Tensor:
        """w.x + b: (B, D) to (B,)."""
        return x @ self.weight.to(x) + self.bias

    def spread(self, x: Tensor) -> Tensor:
        """Standard deviation of each logit: (B, D) to (B,)."""
        centered, plane = x - 0.5, self.plane.to(x)
        outside = centered - centered @ plane @ plane.T
        return FLOOR + self.growth * (outside.square().sum(1) + 1e-20).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, D) to logits of shape (B, 2)."""
        return nn.functional.pad(self.score(x)[:, None], (1, 0)) + self.noise * self.spread(x)[:, None]


class NormalLinear(nn.Module):
    """Logits W x, every weight normal with the same standard deviation s: that of a logit is s ||x||.

    Args:
        weight: mean of W, shape (2, D).
        std: s.
    """

    def __init__(self, weight: Tensor, std: float) -> None:
        super().__init__()
        self.weight, self.std = nn.Parameter(weight), std
        self.mean = nn.Buffer(weight.clone())

    def score(self, x: Tensor) -> Tensor:
        """The mean difference of the logits: (B, D) to (B,)."""
        return x @ (self.mean[1] - self.mean[0]).to(x)

    def spread(self, x: Tensor) -> Tensor:
        """Standard deviation of each logit: (B, D) to (B,)."""
        size: Tensor = x.norm(dim=1)
        return self.std * size

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, D) to logits of shape (B, 2)."""
        return x @ self.weight.T


def growing_noise(
    growth: float, *, examples: int = 100, values: int = 16, dimensions: int = 4, seed: int = 0
) -> tuple[RandomNetwork, Tensor, Tensor]:
    """A random ``GrowingNoise`` and examples of its plane, most of them right: inputs (B, D) and labels (B,)."""
    generator = torch.Generator().manual_seed(seed)
    plane = torch.linalg.qr(torch.randn(values, dimensions, generator=generator)).Q
    inside = torch.randn(dimensions, generator=generator)
    outside = torch.randn(values, generator=generator)
    outside -= plane @ (plane.T @ outside)
    weight = plane @ (inside / inside.norm()) + 0.5 * outside / outside.norm()
    x = 0.5 + 0.8 * (torch.rand(examples, dimensions, generator=generator) - 0.5) @ plane.T
    module = GrowingNoise(weight, -float(weight.sum()) / 2, plane, growth)
    return randomize(module, scale=1.0), x, (module.score(x) > 0).long()


def normal_linear(
    std: float, *, examples: int = 100, values: int = 16, seed: int = 0
) -> tuple[RandomNetwork, Tensor, Tensor]:
    """A random ``NormalLinear`` and examples, most of them right: inputs (B, D) and labels (B,)."""
    generator = torch.Generator().manual_seed(seed)
    module = NormalLinear(torch.randn(2, values, generator=generator), std)
    x = 0.2 + 0.6 * torch.rand(examples, values, generator=generator)
    return randomize(module, scale=std), x, (module.score(x) > 0).long()


def right_rate(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The probability that one draw is right: (B, D) and (B,) to (B,)."""
    rate: Tensor = 0.5 * (1 + torch.erf(_ratio(module, x.double(), y) / 2))
    return rate


def least_right_rate(module: nn.Module, x: Tensor, y: Tensor, budget: Budget) -> Tensor:
    """The smallest probability that one draw is right within a budget in linf or l2: (B,).

    The best of several descents of the exact probability in double precision, with steps that fall geometrically. On 50
    examples of ``growing_noise(2.0)``, L-BFGS-B from eleven starts gives the same mean to four digits.
    """
    origin, labels = x.double().repeat(STARTS, 1), y.repeat(STARTS)
    generator = torch.Generator().manual_seed(0)
    start = (2 * torch.rand(origin.shape, generator=generator, dtype=origin.dtype) - 1) * budget.eps
    start[: len(x)] = 0
    point, memory = budget.project(origin + start, origin), torch.zeros_like(origin)
    least = right_rate(module, point, labels)
    for step in range(STEPS):
        leaf = point.detach().requires_grad_(True)
        slope = torch.autograd.grad(_ratio(module, leaf, labels).sum(), leaf)[0]
        memory = 0.9 * memory + slope / slope.abs().amax(1, keepdim=True)
        point = budget.project(point - budget.eps * 0.5 * 1e-4 ** (step / STEPS) * budget.steepest(memory), origin)
        least = torch.minimum(least, right_rate(module, point, labels))
    return least.view(STARTS, -1).amin(0)


def _ratio(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The margin in units of a logit's standard deviation: (B, D) and (B,) to (B,)."""
    ratio: Tensor = module.score(x) * (2 * y - 1) / module.spread(x)  # type: ignore[operator]
    return ratio
