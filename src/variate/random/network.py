"""A network whose every parameter is a random variate with a learned distribution."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from variate.random import many as draws
from variate.random import per_example
from variate.random.average import Averaged, AverageNetwork
from variate.random.distribution import Site
from variate.random.draw.forward import run
from variate.random.draw.node import Draws
from variate.random.draw.shadows import Places
from variate.random.keys import Stream, check_key
from variate.random.many import Loss, Passes
from variate.random.noise import traced
from variate.random.parameters import describe_exceptions, parameter_at, qualified, sizes
from variate.random.scale import one

NAMES = frozenset(
    {
        "at",
        "average",
        "deterministic_parameters",
        "differs",
        "draws",
        "draws_per_example",
        "entropy",
        "fixed",
        "input_gradient",
        "keys_from",
        "kl",
        "mean",
        "scale_parameters",
        "sites",
        "sizes",
        "stds",
        "stream",
        "take_key",
        "unwrap",
    }
)
OWN = ("sites", "stream", "_key", "_learn")  # what a random network keeps beside its original's attributes
MADE = ("_draws", "_places", "_ticket", "_holder")  # what is made from them, and never copied or saved


class RandomNetwork(nn.Module):
    """The user's module with a learned distribution for every parameter; made by ``variate.randomize``.

    ``net(x)`` draws afresh at every call, in train and in eval mode, with the next key of ``net.stream``. Only the
    forward of the network draws: other methods of the user's class see the means.

    Attributes:
        sites: the random parameters.
        stream: where the keys of ``net(x)`` come from; seeded from the operating system's entropy.
    """

    sites: tuple[Site, ...]
    stream: Stream
    _key: int | None
    _learn: bool
    _original: type[nn.Module]
    _draws: Draws
    _places: Places | None
    _ticket: Tensor
    _holder: int

    @contextmanager
    def fixed(self, key: int, *, learn: bool = True) -> Iterator[None]:
        """Inside, every call uses the draw of ``key``. With ``learn=False`` no gradient reaches the parameters."""
        before = self._key, self._learn
        self._key, self._learn = check_key(key), learn
        try:
            yield
        finally:
            self._key, self._learn = before

    @contextmanager
    def keys_from(self, stream: Stream) -> Iterator[None]:
        """Inside, ``net(x)`` takes its keys from ``stream``."""
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    def at(self, key: int) -> nn.Module:
        """The draw of ``key`` as an ordinary module of the original class: a copy, frozen in that draw."""
        with torch.no_grad():
            drawn = self._draw(check_key(key))
        plain = copy.deepcopy(self)
        for site, tensor in zip(self.sites, drawn, strict=True):
            with torch.no_grad():
                parameter_at(plain, site.owners[0]).copy_(tensor)
        return plain.unwrap()

    def mean(self) -> nn.Module:
        """Every parameter at its mean, as an ordinary module of the original class: a copy."""
        return copy.deepcopy(self).unwrap()

    def unwrap(self) -> nn.Module:
        """This network itself, turned back into its original class: the same parameters, at their means; scales go."""
        for place in self._learned_places():
            del self.get_submodule(place[0])._parameters[place[1]]
        original = self._original
        for name in (*OWN, *MADE):
            vars(self).pop(name, None)
        module = cast(nn.Module, self)
        module.__class__ = original
        return module

    def average(self, keys: Sequence[int], of: Averaged = "probabilities") -> AverageNetwork:
        """The network averaged over the draws of ``keys``, as an ordinary module that shares its parameters."""
        return AverageNetwork(self, keys, of)

    def draws(self, x: Tensor, keys: Sequence[int]) -> Tensor:
        """The outputs under every key, without gradients: shape (S, B, ...); see ``variate.random.many.draws``."""
        return draws.draws(self, x, keys)

    def input_gradient(self, x: Tensor, loss: Loss, keys: Sequence[int]) -> Passes:
        """The loss averaged over draws and its gradient in the inputs; see ``variate.random.many.input_gradient``."""
        return draws.input_gradient(self, x, loss, keys)

    def draws_per_example(self, x: Tensor, key: int) -> Tensor:
        """The outputs, every example under weights of its own; see ``variate.random.per_example``."""
        return per_example.draws_per_example(self, x, key)

    def stds(self) -> dict[str, Tensor]:
        """The standard deviation of every random parameter by name, differentiable."""
        return {site.name: site.law.std(*group) for site, group in self._scaled()}

    def kl(self, prior_std: float) -> Tensor:
        """KL(q || N(0, prior_std^2)) in nats, summed over all random parameters, differentiable: a scalar."""
        parts = [site.law.kl(*group, prior_std=prior_std) for site, group in self._scaled()]
        return torch.stack([part.float() for part in parts]).sum()

    def entropy(self) -> Tensor:
        """Entropy in nats, summed over all random parameters, differentiable: a scalar."""
        return torch.stack([site.law.entropy(*group).float() for site, group in self._scaled()]).sum()

    def scale_parameters(self) -> list[nn.Parameter]:
        """The learned tensors that stand beside the means."""
        return [parameter_at(self, place) for place in self._learned_places()]

    def sizes(self) -> dict[str, Tensor]:
        """The size (root mean square of the mean) of every random parameter, to measure its noise against; detached."""
        return sizes(self, self.sites)

    def differs(self, key: int, other: int) -> bool:
        """Whether the weights of two draws differ anywhere."""
        with torch.no_grad():
            pairs = zip(self._draw(key), self._draw(other), strict=True)
            return any(not torch.equal(one, two) for one, two in pairs)

    def deterministic_parameters(self) -> list[str]:
        """The names of the parameters that were left deterministic."""
        learned = {qualified(place) for place in self._learned_places()}
        return [name for name in describe_exceptions(self, list(self.sites)) if name not in learned]

    def take_key(self) -> int:
        """The key of the next call: the fixed one, or the next of the stream."""
        return self.stream.next() if self._key is None else self._key

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load a random network's state, or one of the original network, which sets the means and keeps the scales."""
        scales = {id(scale) for scale in self.scale_parameters()}
        own = {name: tensor for name, tensor in self.state_dict(keep_vars=True).items() if id(tensor) in scales}
        if not own.keys() & state_dict.keys():
            state_dict = {**state_dict, **own}
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        state = cast(Any, self._original).__getstate__(self)
        return _blank, (self._original,), self._copied_state(state)

    def _copied_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        copied = {name: value for name, value in state.items() if name not in MADE}
        if self.stream.seed is None:
            copied["stream"] = Stream("serve")  # a copy that replayed this network's keys would be predictable
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> RandomNetwork:
        copied = cast(RandomNetwork, _blank(self._original))
        memo[id(self)] = copied
        vars(copied).update(copy.deepcopy(self._copied_state(vars(self)), memo))
        copied._prepare()
        return copied

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._prepare()

    def _prepare(self) -> None:
        """Make what is made from the sites, and never copied or saved."""
        self._draws = Draws(self.sites)
        self._places = None
        self._ticket = torch.zeros((), dtype=torch.int64)
        self._holder = traced.enlist(self)

    def _found_places(self) -> Places:
        """Where the sites are now."""
        if self._places is None or not self._places.hold(self):
            self._places = Places(self, self.sites)
        return self._places

    def _learned_places(self) -> list[tuple[str, str]]:
        """Where every learned tensor beside the means stands, once each."""
        return list(dict.fromkeys(place for site in self.sites for place in site.learned_places()))

    def _draw(self, key: int) -> list[Tensor]:
        return self._draws.draw(key, self._found_places().groups(), self._units())

    def _many(self, keys: Sequence[int], chosen: Sequence[int] | None = None) -> list[Tensor]:
        """The draws of many keys, stacked, of all sites or of those with the given numbers: (S, ...) each."""
        learn = torch.is_grad_enabled() and self._learn
        numbers = list(range(len(self.sites))) if chosen is None else list(chosen)
        with torch.set_grad_enabled(learn):
            return self._draws.many(keys, self._found_places().groups(), self._units(), numbers)

    def _scaled(self) -> Iterator[tuple[Site, tuple[Tensor, ...]]]:
        """Every site with (mean, scale, *learned)."""
        groups, units = self._found_places().groups(), self._units() or [None] * len(self.sites)
        for site, (mean, rho, *learned), unit in zip(self.sites, groups, units, strict=True):
            scale = site.scaling.scale_of(rho, one(mean) if unit is None else unit)
            yield site, (mean, scale, *learned)

    def _units(self) -> list[Tensor | None] | None:
        """The size of every site whose scale depends on one; None if none does."""
        if not self._draws.needs_unit:
            return None
        found = self.sizes()
        return [found[s.name] if s.scaling.needs_unit and not s.law.relative else None for s in self.sites]


@functools.cache
def random_class(original: type[nn.Module]) -> type[nn.Module]:
    """The class of ``original``'s random networks: a subclass whose forward draws first, with the same signature."""

    @functools.wraps(original.forward)
    def forward(self: RandomNetwork, *args: Any, **kwargs: Any) -> Any:
        return run(self, original.forward, args, kwargs)

    body = {"forward": forward, "_original": original, "__module__": original.__module__, "__doc__": original.__doc__}
    return type(f"Random{original.__name__}", (RandomNetwork, original), body)


def _blank(original: type[nn.Module]) -> nn.Module:
    """An empty random network of a class, for pickle and deepcopy to fill."""
    kind = random_class(original)  # type: ignore[arg-type]
    return kind.__new__(kind)
