"""Networks that draw, contain random networks, or couple the examples of a batch."""

from __future__ import annotations

import numpy as np
import torch
from brought.network import SCALE, Brought, asks, mlp
from brought.truths import Noised
from torch import Tensor, nn

import variate

SPREAD = 0.6  # of noise in the logits


class Noisy(nn.Module):
    """The plain network with noise in its logits, from any source."""

    def __init__(self, noise: object) -> None:
        super().__init__()
        self.inner, self.noise = mlp(), noise

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        return out + SPREAD * self.noise(out)


class Generator:
    """A source of its own, which no seed of the process reaches."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def __call__(self, out: Tensor) -> Tensor:
        return torch.randn(out.shape, generator=self.generator)


def of_numpy(out: Tensor) -> Tensor:
    return torch.as_tensor(np.random.randn(*out.shape), dtype=out.dtype)


def dropout() -> nn.Module:
    net = mlp()
    return nn.Sequential(net[0], net[1], nn.Dropout(0.3), net[2])


def normed(*, learned: bool = False, track: bool = True) -> nn.Module:
    net = mlp()
    made = nn.Sequential(net[0], nn.BatchNorm1d(16, track_running_stats=track), net[1], net[2])
    if learned:
        made[1].num_batches_tracked += 1
    return made.train()


class Normalize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5) / 0.5


class Two(nn.Module):
    """Two networks whose answers are added."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.other(1 - x)


class Embedded(nn.Module):
    """Numbers in [0, 1] as words of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(6, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.words((5 * x).long()).mean(1))


def resized() -> nn.Module:
    net = variate.randomize(Embedded())
    net.words.weight = nn.Parameter(torch.cat([net.words.weight.detach(), torch.rand(2, 4)]))
    return net


def random_mlp() -> nn.Module:
    return variate.randomize(mlp(), scale=SCALE)


TORCH = "draws from the generator of torch"
ALREADY = "is a random network already|it is random already"
RESIZED = r"words.weight has the shape \(8, 4\), but its scale has \(6, 4\)"
OUTSIDE = dict.fromkeys(("export", "export, random", "serve", "serve, random"), "random numbers outside torch")
NOISE = {
    "dropout that is on": Brought(dropout, dropout, finds=(rf"2 \(Dropout\) {TORCH}",), noisy=True),
    "torch.randn in forward": Brought(
        lambda: Noisy(torch.randn_like), lambda: Noisy(torch.randn_like), finds=(TORCH,), noisy=True
    ),
    "NumPy's noise in forward": Brought(
        lambda: Noisy(of_numpy),
        lambda: Noisy(torch.randn_like),
        finds=("draws from the generator of NumPy",),
        noisy=True,
        refuses=OUTSIDE,
    ),
    "noise of its own generator": Brought(
        lambda: Noisy(Generator()),
        lambda: Noisy(torch.randn_like),
        finds=("its outputs differ under one key",),
        noisy=True,
        refuses=OUTSIDE,
    ),
    "batch norm in train mode": Brought(
        normed,
        normed,
        still=("0.bias",),
        finds=("1 is batch norm in train mode",),
        warns="batch norm '1' is in train mode",
    ),
    "batch norm left in train mode": Brought(
        lambda: normed(learned=True),
        normed,
        still=("0.bias",),
        finds=("1 is batch norm in train mode",),
        refuses={"evaluate": r"batch norm '1' is in train mode.*eval\(\)"},
        warns="batch norm '1' is in train mode",
    ),
    "batch norm without running statistics": Brought(
        lambda: normed(track=False),
        lambda: normed(track=False),
        still=("0.bias",),
        finds=("1 is batch norm in train mode",),
        warns="batch norm '1' has no running statistics",
    ),
    "a random network behind a normalization": Brought(
        lambda: nn.Sequential(Normalize(), random_mlp()),
        lambda: nn.Sequential(Normalize(), Noised(mlp())),
        finds=(ALREADY,),
        refuses={"randomize": ALREADY},
        noisy=True,
    ),
    "two random backbones": Brought(
        lambda: Two(random_mlp(), random_mlp()),
        lambda: Two(Noised(mlp()), Noised(mlp())),
        finds=(ALREADY, ALREADY),
        refuses={"randomize": ALREADY},
        noisy=True,
    ),
    "an embedding resized after randomize": Brought(
        resized, Embedded, finds=(RESIZED,), refuses={"randomize": ALREADY} | asks(RESIZED)
    ),
}
