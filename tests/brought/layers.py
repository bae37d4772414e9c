"""Networks with layers of unusual kinds: tied, normalized, low-rank, recurrent, checkpointed, lazy."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from brought.network import CLASSES, FEATURES, HIDDEN, Brought, Written, core, layers, mlp
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.code, self.back = layers((FEATURES, FEATURES), (FEATURES, FEATURES))
        self.back.weight = self.code.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.back(torch.tanh(self.code(x)))


class PlainTied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.code, back = layers((FEATURES, FEATURES), (FEATURES, FEATURES))
        self.bias = back.bias

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.code(x)) @ self.code.weight.T + self.bias


class Recurrent(nn.Module):
    """An LSTM whose weights may lie in one block, as after a visit to a GPU."""

    def __init__(self, *, flat: bool) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.lstm = nn.LSTM(2, 8, batch_first=True)
        self.head = layers((8, CLASSES))[0]
        with torch.no_grad():
            for parameter in self.lstm.parameters():
                parameter.mul_(3)
        if flat:
            block, place = torch.cat([p.detach().flatten() for p in self.lstm.parameters()]), 0
            for p in self.lstm.parameters():
                p.data, place = block[place : place + p.numel()].view_as(p), place + p.numel()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.view(len(x), 4, 2))[0][:, -1])


class PlainWeightNorm(nn.Module):
    """The direction and the length of the first weight as two parameters."""

    def __init__(self) -> None:
        super().__init__()
        first, self.second = core()
        self.bias, self.v = first.bias, first.weight
        self.length = nn.Parameter(first.weight.detach().norm(dim=1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.length * self.v / self.v.norm(dim=1, keepdim=True)
        return self.second(torch.tanh(x @ weight.T + self.bias))


class PlainSpectralNorm(nn.Module):
    """The first weight divided by its largest singular value, as one step of the power iteration has it."""

    def __init__(self) -> None:
        super().__init__()
        made = spectral()
        self.first, self.second = made.first, made.second
        vectors = self.first.parametrizations.weight[0]
        self.register_buffer("u", vectors._u.clone())
        self.register_buffer("v", vectors._v.clone())
        weight = self.first.parametrizations.weight.original.detach().clone()
        nn.utils.parametrize.remove_parametrizations(self.first, "weight")
        self.first.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.first.weight
        if self.training:
            with torch.no_grad():
                self.u = nn.functional.normalize(weight @ self.v, dim=0)
                self.v = nn.functional.normalize(weight.T @ self.u, dim=0)
        weight = weight / (self.u @ weight @ self.v)
        return self.second(torch.tanh(x @ weight.T + self.first.bias))


def normed(norm: Callable[[nn.Module], object]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        net = Written()
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            norm(net.first)
        return net

    return make


spectral = normed(parametrizations.spectral_norm)
weight_norm = normed(parametrizations.weight_norm)
old_weight_norm = normed(nn.utils.weight_norm)


class LoRA(Written):
    """A frozen layer with a correction of rank 2 that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first.requires_grad_(False)
        self.a, self.b = layers((FEATURES, 2), (2, HIDDEN))
        with torch.no_grad():
            self.b.weight.zero_()
            self.b.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x) + self.b(self.a(x))))


class Checkpointed(Written):
    """Blocks whose activations are computed again in the backward pass."""

    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(super().forward, x, use_reentrant=self.reentrant)


class Recursive(Written):
    """A forward that calls itself."""

    def forward(self, x: Tensor, again: bool = True) -> Tensor:
        out = super().forward(x)
        return out + self(1 - x, again=False) if again else out


class PlainRecursive(Written):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + super().forward(1 - x)


class Counting(Written):
    """A forward that writes into its own buffers and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(FEATURES, dtype=torch.float32))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen += x.detach().float().mean(0)
        self.register_buffer("last", x.detach().clone())
        return super().forward(x)


class Filled(nn.LazyLinear):
    """A lazy layer that starts with known weights."""

    cls_to_become = nn.Linear

    def reset_parameters(self) -> None:
        if self.in_features and not self.has_uninitialized_params():
            with torch.no_grad():
                layer = core()[0 if self.out_features == HIDDEN else 1]
                self.weight.copy_(layer.weight)
                self.bias.copy_(layer.bias)


def lazy() -> nn.Module:
    return nn.Sequential(Filled(HIDDEN), nn.Tanh(), Filled(CLASSES))


LAZY = "not initialized yet: run one forward pass first"
LAYERS = {
    "tied weights": Brought(Tied, PlainTied),
    "flattened LSTM": Brought(lambda: Recurrent(flat=True), lambda: Recurrent(flat=False)),
    "weight_norm (parametrized)": Brought(weight_norm, PlainWeightNorm),
    "weight_norm (hooks)": Brought(old_weight_norm, PlainWeightNorm),
    "spectral_norm (parametrized)": Brought(lambda: spectral().eval(), lambda: PlainSpectralNorm().eval()),
    "LoRA, zero at first": Brought(LoRA, LoRA),
    "checkpointed": Brought(lambda: Checkpointed(reentrant=False), mlp),
    "checkpointed (reentrant)": Brought(
        lambda: Checkpointed(reentrant=True),
        mlp,
        refuses={
            **dict.fromkeys(("evaluate", "evaluate, random"), "backward pass of the network fails.*use_reentrant=True"),
            **dict.fromkeys(("train", "train, random"), "nothing to train"),
        },
    ),
    "calls itself": Brought(Recursive, PlainRecursive),
    "writes its own buffers": Brought(Counting, mlp),
    "lazy": Brought(lazy, mlp, finds=(LAZY,) * 4, refuses={"randomize": LAZY}),
}
