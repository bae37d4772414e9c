"""A network that somebody brings: how it is made, the same function written plainly, and what is to be refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

SCALE = 0.3  # of the noise that randomize gives, relative to the size of each parameter
FEATURES, HIDDEN, CLASSES, EXAMPLES = 8, 16, 3, 24


@dataclass(frozen=True, eq=False)
class Brought:
    """One network, and the right outcome of everything that is done with it.

    Attributes:
        make: the network as somebody brings it.
        plain: the same function in the plainest code, with the same parameters and the same noise.
        attacked: a network that must be attacked as well as this one; by default ``plain``.
        trained: a network that a plain loop trains as ``train`` must train this one; by default ``plain``.
        around: the context in which everything happens.
        finds: findings of ``check``, as patterns, in their order.
        refuses: operations that must raise a ``VariateError``, with the pattern that its message must match.
        warns: pattern of the warning of ``evaluate``, or "".
        attack: the attack; one that asks for no gradient where the network has none, which ``blind`` then says.
        blind: pattern of the error of an attack that needs a gradient, or "".
        eps: size of the budget in linf, at which some answers are still right and some no more.
        noisy: whether it draws noise of its own.
        unfit: whether what ``check`` finds rules out the use of its random version.
        still: parameters whose gradient is 0 whatever the weights are.
        dtype: type in which it takes inputs, where nobody converts them.
        unit: what its logits are divided by before they are compared.
        learns: whether two epochs of a plain loop change anything.
        rounding: by how much probabilities may differ from those of ``plain``.
        needs: a package that it needs, or "".
    """

    make: Callable[[], nn.Module]
    plain: Callable[[], nn.Module]
    attacked: Callable[[], nn.Module] | None = None
    trained: Callable[[], nn.Module] | None = None
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    inputs: Callable[[], Tensor] = field(default_factory=lambda: rows)
    finds: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)
    warns: str = ""
    attack: str = "pgd(steps=5)"
    blind: str = ""
    eps: float = 0.1
    noisy: bool = False
    unfit: bool = False
    still: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    unit: float = 1.0
    learns: bool = True
    rounding: float = 1e-4
    needs: str = ""

    @property
    def random(self) -> bool:
        """Whether there is a random version to do something with."""
        return "randomize" not in self.refuses and not self.unfit

    def own(self) -> Tensor:
        """Its inputs in its own type."""
        return self.inputs().to(self.dtype)


def rows() -> Tensor:
    """Inputs, (B, D)."""
    return torch.rand(EXAMPLES, FEATURES, generator=torch.Generator().manual_seed(1), dtype=torch.float32)


def layers(*shapes: tuple[int, int]) -> list[nn.Linear]:
    """Linear layers (inputs, outputs) with the same weights at every call, whatever the default type."""
    generator, made = torch.Generator().manual_seed(0), []
    for inputs, outputs in shapes:
        layer = nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(3 * torch.randn(outputs, inputs, generator=generator, dtype=torch.float32) / inputs**0.5)
            layer.bias.copy_(0.5 * torch.randn(outputs, generator=generator, dtype=torch.float32))
        made.append(layer)
    return made


def core() -> list[nn.Linear]:
    """The two layers of most networks here."""
    return layers((FEATURES, HIDDEN), (HIDDEN, CLASSES))


def mlp() -> nn.Sequential:
    """The plain network that most of the others are at heart."""
    first, second = core()
    return nn.Sequential(first, nn.Tanh(), second)


class Written(nn.Module):
    """The plain network as a class, for others to derive from."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = core()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class Then(nn.Module):
    """A network between two functions: of its inputs, and of its outputs."""

    def __init__(
        self,
        after: Callable[[Tensor], object] = lambda out: out,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        inner: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.inner, self.after, self.before = inner or mlp(), after, before

    def forward(self, x: Tensor) -> object:
        return self.after(self.inner(self.before(x)))


def frozen(*names: str) -> Callable[[], nn.Module]:
    """The plain network with parameters that are not trained."""

    def make() -> nn.Module:
        net = mlp()
        for name in names:
            net.get_parameter(name).requires_grad_(False)
        return net

    return make


def asks(words: str) -> dict[str, str]:
    """The same refusal by everything that asks the network for answers."""
    return dict.fromkeys(("evaluate", "train", "export", "serve"), words)


def everywhere(words: str) -> dict[str, str]:
    """The same, by the network and by its random version."""
    return asks(words) | {f"{name}, random": words for name in asks(words)}
