"""Networks whose numbers are of another type, or of no type that can be computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from brought.network import Brought, Then, Written, asks, mlp
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor


@contextmanager
def default_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


class Coded(nn.Module):
    """A network that keeps something of another type in front of its weights."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.codes = nn.Parameter(codes, requires_grad=False)
        self.inner = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + 0 * self.codes.real.sum()


class Autocast(Written):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x)


def parameters_as(kind: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    """The plain network with every parameter as another kind of tensor."""

    def make() -> nn.Module:
        net = mlp()
        for part in net:
            for name, parameter in list(part.named_parameters()):
                setattr(part, name, nn.Parameter(kind(parameter.detach())))
        return net

    return make


class Marked(torch.Tensor):
    """A tensor of another class with nothing else to it."""


def fake() -> nn.Module:
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    return parameters_as(mode.from_tensor)()


PRECISION = {
    "float16": Brought(lambda: mlp().half(), mlp, dtype=torch.float16, rounding=2e-2),
    "bfloat16": Brought(lambda: mlp().bfloat16(), mlp, dtype=torch.bfloat16, rounding=6e-2),
    "float64": Brought(lambda: mlp().double(), mlp, dtype=torch.float64),
    "float64 as the default": Brought(mlp, lambda: mlp().float(), dtype=torch.float64, around=default_double),
    "float32 where float64 is the default": Brought(
        lambda: mlp().float(), lambda: mlp().float(), around=default_double
    ),
    "autocast inside": Brought(Autocast, mlp, rounding=6e-2),
    "logits of doubles": Brought(lambda: Then(lambda out: out.double()), mlp),
    "an int8 parameter first": Brought(
        lambda: Coded(torch.ones(3, dtype=torch.int8)),
        mlp,
        finds=("codes is torch.int8, and only real",),
        refuses={"randomize": "codes is torch.int8, and only real"},
    ),
    "a complex parameter first": Brought(
        lambda: Coded(torch.ones(3, dtype=torch.cfloat)),
        mlp,
        finds=("codes is torch.complex64, and only real",),
        refuses={"randomize": "codes is torch.complex64, and only real"},
    ),
    "meta device": Brought(
        parameters_as(lambda t: t.to("meta")),
        mlp,
        finds=("meta device",) * 4,
        refuses={"randomize": "meta device"} | asks("meta device"),
    ),
    "fake tensors": Brought(
        fake, mlp, finds=("FakeTensor",) * 4, refuses={"randomize": "FakeTensor"} | asks("FakeTensor")
    ),
    "wrapper subclass": Brought(
        parameters_as(lambda t: TwoTensor(t, t.clone())),
        mlp,
        finds=("TwoTensor, which has no memory of its own",) * 4,
        refuses={"randomize": "TwoTensor, which has no memory of its own"}
        | dict.fromkeys(("evaluate", "export", "serve"), "the network returned a TwoTensor"),
    ),
    "subclass of Tensor": Brought(
        parameters_as(lambda t: t.as_subclass(Marked)),
        mlp,
        finds=("copy.deepcopy fails",),
        refuses=dict.fromkeys(("randomize", "export"), "cannot be copied"),
    ),
}
