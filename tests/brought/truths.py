"""The right numbers, in plain torch: noise in the weights, rates, and a training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from brought.network import SCALE, Brought
from torch import Tensor, nn
from torch.func import functional_call

EPOCHS, LR, MOMENTUM = 2, 0.1, 0.9
FLIPPED = 6  # every so many labels are wrong, so that clean rates are known and below 1


def classes_in(output: object, unit: float = 1.0) -> Tensor:
    """Probabilities of an output of any form, in single precision, with its logits divided by a unit."""
    logits = logits_in(output).float() / unit
    return (
        torch.cat([logits, torch.zeros_like(logits)], -1).softmax(-1) if logits.shape[-1] == 1 else logits.softmax(-1)
    )


def logits_in(output: object) -> Tensor:
    """The logits of an output of any form."""
    if isinstance(output, dict):
        return output["logits"] if "logits" in output else next(iter(output.values()))
    if isinstance(output, tuple):
        return output[0]
    return output if isinstance(output, Tensor) else output.logits


class Noised(nn.Module):
    """A network whose every parameter gets fresh Gaussian noise at every call, one for the whole batch."""

    def __init__(self, inner: nn.Module, scale: float = SCALE) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale

    def forward(self, x: Tensor) -> object:
        drawn = {
            name: parameter + self.scale * self.size(name) * torch.randn(parameter.shape, dtype=parameter.dtype)
            for name, parameter in self.inner.named_parameters()
        }
        return functional_call(self.inner, drawn, (x,))

    def size(self, name: str) -> float:
        """Root mean square of a parameter; of its largest neighbor if it is 0, or 1 / sqrt(fan in) if that is too."""
        path = name.rpartition(".")[0]
        own = {n: p.detach() for n, p in self.inner.get_submodule(path).named_parameters(recurse=False)}
        sizes = {n: float(p.square().mean().sqrt()) for n, p in own.items()}
        fan = max(p[0].numel() if p.dim() > 1 else 1 for p in own.values())
        return sizes[name.rpartition(".")[2]] or max(sizes.values()) or fan**-0.5


def in_mode(make: Callable[[], nn.Module], training: bool) -> nn.Module:
    return make().train(training)


@torch.no_grad()
def sampled(net: Callable[[Tensor], object], x: Tensor, count: int, unit: float = 1.0) -> Tensor:
    """Probabilities of many calls: (N, B, K)."""
    return torch.stack([classes_in(net(x.clone()), unit) for _ in range(count)])


@cache
def _truth(
    plain: Callable[[], nn.Module], x: Callable[[], Tensor], training: bool, scale: float, count: int, unit: float
) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = in_mode(plain, training)
        return sampled(Noised(net, scale) if scale else net, x(), count, unit)


def truth(entry: Brought, training: bool, scale: float, count: int, unit: float | None = None) -> Tensor:
    """Probabilities of the plain network in a mode, with noise in its weights or without: (N, B, K)."""
    return _truth(entry.plain, entry.inputs, training, scale, count, entry.unit if unit is None else unit)


def labels(entry: Brought) -> Tensor:
    """What the plain network answers, but for every sixth example another class."""
    mean = truth(entry, False, 0.0, 100 if entry.noisy else 1).mean(0)  # (B, K)
    flipped = torch.arange(len(mean)) % FLIPPED == 0
    return (mean.argmax(1) + flipped) % mean.shape[1]


def clean_rate(entry: Brought, training: bool, scale: float = 0.0) -> float:
    """Share of right answers of the plain network."""
    count = 400 if entry.noisy or scale else 1
    found = truth(entry, training, scale, count)
    return float((found.argmax(2) == labels(entry)).float().mean())


def batches(entry: Brought, dtype: torch.dtype = torch.float32) -> list[tuple[Tensor, Tensor]]:
    """Two batches, in a fixed order."""
    x, y = entry.inputs().to(dtype), labels(entry)
    half = len(x) // 2
    return [(x[:half], y[:half]), (x[half:], y[half:])]


def loop(net: nn.Module, loader: Sequence[tuple[Tensor, Tensor]], seed: int = 0) -> list[float]:
    """SGD with Nesterov momentum and a cosine, as a plain loop: the mean loss of every epoch."""
    net.train()
    optimizer = torch.optim.SGD(
        [p for p in net.parameters() if p.requires_grad], lr=LR, momentum=MOMENTUM, nesterov=True
    )
    losses, step, total = [], 0, EPOCHS * len(loader)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(EPOCHS):
            values = []
            for x, y in loader:
                optimizer.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * step / total))
                loss = nn.functional.cross_entropy(logits_in(net(x.clone())).float(), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                values.append(float(loss))
                step += 1
            losses.append(sum(values) / len(values))
    net.eval()
    return losses
