"""Networks whose weights are not where torch looks for them, or are computed on the way."""

from __future__ import annotations

import torch
from brought.network import CLASSES, HIDDEN, Brought, Then, Written, core, frozen, layers, mlp
from torch import Tensor, nn
from torch.func import functional_call

LISTED = "is in a plain list or dictionary|belongs to a module in a plain list or dictionary"


def closure() -> nn.Module:
    net = Written()
    old = net.second.forward
    net.second.forward = lambda h: old(h)
    return net


class Bound(Written):
    """A layer whose forward is a method of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.first.forward = self.affine

    def affine(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.first.weight, self.first.bias)


def replaced() -> nn.Module:
    net = Written()
    old = net.forward
    net.forward = lambda x: old(x)
    return net


class Lists(nn.Module):
    """The second layer as two parameters in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.first, second = core()
        self.kept = [second.weight, second.bias]

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(torch.tanh(self.first(x)), *self.kept)


class Dictionary(nn.Module):
    """The second layer in a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.first, second = core()
        self.layers = {"second": second}

    def forward(self, x: Tensor) -> Tensor:
        return self.layers["second"](torch.tanh(self.first(x)))


class Asking(Written):
    """A forward that goes through ``self.parameters()``."""

    def forward(self, x: Tensor) -> Tensor:
        first, bias, second, other = self.parameters()
        return nn.functional.linear(torch.tanh(nn.functional.linear(x, first, bias)), second, other)


class Cached(Written):
    """Weights that are prepared once."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = self.first.weight.detach().T.clone()
        return self.second(torch.tanh(x @ self.kept + self.first.bias))


def hooked() -> nn.Module:
    net = Written()
    net.register_forward_pre_hook(lambda _, args: (args[0] - 0.5,))
    return net


class Hyper(nn.Module):
    """A network that makes the weights of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.target = core()
        self.maker = layers((4, CLASSES * HIDDEN))[0]
        self.register_buffer("code", torch.linspace(-1, 1, 4, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        made = self.maker(self.code).view(CLASSES, HIDDEN)
        return functional_call(self.target, {"weight": made}, torch.tanh(self.first(x)))


class PlainHyper(Hyper):
    def forward(self, x: Tensor) -> Tensor:
        made = (self.maker.weight @ self.code + self.maker.bias).view(CLASSES, HIDDEN)
        return torch.tanh(self.first(x)) @ made.T + self.target.bias


class Adapting(Written):
    """MAML: one step of gradient descent on the batch, then an answer with the weights that it gives."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            weights = dict(self.second.named_parameters())
            hidden = torch.tanh(self.first(x))
            loss = self.second(hidden).square().mean()
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            fast = {name: w - 0.1 * slope for (name, w), slope in zip(weights.items(), slopes, strict=True)}
            return functional_call(self.second, fast, hidden)


class PlainAdapting(Written):
    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        slope = 2 * self.second(hidden) / (len(x) * CLASSES)  # of the mean of squares
        weight = self.second.weight - 0.1 * slope.T @ hidden
        return hidden @ weight.T + self.second.bias - 0.1 * slope.sum(0)


def last_frozen() -> nn.Module:
    return frozen("2.weight", "2.bias")()


WEIGHTS = {
    "works in place on its input": Brought(
        lambda: Then(before=lambda x: x.sub_(0.5).mul_(2)), lambda: Then(before=lambda x: 2 * (x - 0.5))
    ),
    "a layer's forward is a closure": Brought(closure, mlp),
    "a layer's forward is a bound method": Brought(Bound, mlp),
    "its own forward was replaced": Brought(
        replaced,
        mlp,
        finds=("its forward is an attribute of the instance",),
        refuses={"randomize": "its forward is an attribute of the instance"},
    ),
    "parameters in a list": Brought(
        Lists, mlp, trained=last_frozen, finds=(LISTED,) * 2, refuses={"randomize": LISTED}
    ),
    "modules in a dictionary": Brought(
        Dictionary, mlp, trained=last_frozen, finds=(LISTED,) * 2, refuses={"randomize": LISTED}
    ),
    "self.parameters() in forward": Brought(Asking, mlp),
    "cached weights": Brought(
        Cached, mlp, unfit=True, trained=frozen("0.weight"), finds=("first.weight: its draw does not reach",)
    ),
    "forward pre-hook": Brought(hooked, lambda: Then(before=lambda x: x - 0.5)),
    "hypernetwork (functional_call)": Brought(Hyper, PlainHyper, finds=("target.weight: its draw does not reach",)),
    "MAML (a gradient step inside)": Brought(
        Adapting,
        PlainAdapting,
        refuses={"export, random": "does not require grad"},
        finds=("depends on the rest of the batch",),
        warns="other examples in the batch",
    ),
}
