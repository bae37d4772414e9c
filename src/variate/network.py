"""A network whose every parameter is a random variate with a learned distribution."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from variate.distribution import Site, draw
from variate.errors import UsageError
from variate.randomness import Stream, check_key, check_keys
from variate.sites import describe_exceptions, find_sites, parameter_at, qualified, sizes

Averaged = Literal["probabilities", "outputs"]
NAMES = frozenset(
    {
        "at",
        "average",
        "deterministic_parameters",
        "differs",
        "fixed",
        "keys_from",
        "mean",
        "scale_parameters",
        "sites",
        "sizes",
        "stds",
        "stream",
    }
)


def randomize(module: nn.Module, family: str | Mapping[str, str] = "normal", *, scale: float = 0.1) -> RandomNetwork:
    """A copy of ``module`` whose every parameter has a learned distribution, redrawn at each forward.

    The mean of every parameter is its present value and stays under its own name, so ``state_dict`` keeps its keys and
    pretrained checkpoints load. ``module`` itself is left as it is.

    Args:
        module: any ``nn.Module``: layers are not known by class, parameters are known by name.
        family: a family for all parameters, or a mapping from name patterns to families, the first match deciding:
            ``{"*.bias": "fixed", "*": "normal"}``. What stays deterministic is listed by ``deterministic_parameters``.
        scale: the starting standard deviation as a fraction of each tensor's own root mean square, above 0.

    Returns:
        A network of the same class (``isinstance`` stays true) that is a ``RandomNetwork`` too.

    Raises:
        RandomizeError: with everything that forbids it.

    Example:
        >>> net = randomize(nn.Linear(4, 2))
        >>> bool((net(torch.ones(1, 4)) == net(torch.ones(1, 4))).all())
        False
    """
    if not 0 < scale < float("inf"):
        raise UsageError(f"a scale of {scale} makes nothing random", expected="a finite number above 0, such as 0.1")
    sites = find_sites(module, family, reserved=set(NAMES))
    net = copy.deepcopy(module)
    starts = {name: scale * float(size) for name, size in sizes(net, sites).items()}
    for site in sites:
        mean = parameter_at(net, site.owners[0])
        with torch.no_grad():
            tensors = site.law.initialize(mean.detach(), starts[site.name])
        for (path, name), tensor in zip(site.learned_places(), tensors, strict=True):
            learned = nn.Parameter(tensor, requires_grad=mean.requires_grad)
            net.get_submodule(path).register_parameter(name, learned)
    net.__class__ = random_class(type(module))  # type: ignore[arg-type]
    random = cast(RandomNetwork, net)
    random.sites = tuple(sites)
    random.stream = Stream("serve")
    random._key = None
    random._learn = True
    return random


class RandomNetwork(nn.Module):
    """The user's module with a learned distribution for every parameter; made by ``randomize``.

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
        return self._plain(dict(zip(self.sites, drawn, strict=True)))

    def mean(self) -> nn.Module:
        """Every parameter at its mean, as an ordinary module of the original class: a copy."""
        return self._plain({})

    def average(self, keys: Sequence[int], of: Averaged = "probabilities") -> AverageNetwork:
        """The network averaged over the draws of ``keys``, as an ordinary module that shares its parameters."""
        return AverageNetwork(self, keys, of)

    def stds(self) -> dict[str, Tensor]:
        """The standard deviation of every random parameter by name, differentiable."""
        return {s.name: s.law.std(*t) for s, t in zip(self.sites, self._tensors(), strict=True)}

    def scale_parameters(self) -> list[nn.Parameter]:
        """The learned tensors that stand beside the means."""
        return [parameter_at(self, place) for site in self.sites for place in site.learned_places()]

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
        learned = {qualified(place) for site in self.sites for place in site.learned_places()}
        return [name for name in describe_exceptions(self, list(self.sites)) if name not in learned]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load a random network's state, or one of the original network, which sets the means and keeps the scales."""
        scales = {id(scale) for scale in self.scale_parameters()}
        own = {name: tensor for name, tensor in self.state_dict(keep_vars=True).items() if id(tensor) in scales}
        if not own.keys() & state_dict.keys():
            state_dict = {**state_dict, **own}
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        state = dict(cast(Any, self._original).__getstate__(self))
        if "stream" in state and self.stream.seed is None:
            state["stream"] = Stream("serve")  # a copy that replayed this network's keys would be predictable
        return _blank, (self._original,), state

    def _draw(self, key: int) -> list[Tensor]:
        return draw(key, self.sites, self._tensors())

    def _tensors(self) -> list[tuple[Tensor, ...]]:
        """(mean, *learned) of every site."""
        places = [(site.owners[0], *site.learned_places()) for site in self.sites]
        return [tuple(parameter_at(self, place) for place in group) for group in places]

    def _drawn_forward(self, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Draw, put the draw where the modules look for their weights, and run the original forward.

        Activation checkpointing runs parts of a forward again during the backward pass. A hook on every output
        therefore puts this forward's draw back in place until that backward pass has ended.
        """
        key = self.stream.next() if self._key is None else self._key
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._learn):
            drawn = self._draw(key)
        self._install(drawn)
        try:
            output = forward(self, *args, **kwargs)
        finally:
            self._install(None)
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                tensor.register_hook(functools.partial(self._reinstall, drawn))  # type: ignore[no-untyped-call]
        return output

    def _reinstall(self, drawn: Sequence[Tensor], gradient: Tensor) -> None:
        self._install(drawn)
        torch.autograd.Variable._execution_engine.queue_callback(functools.partial(self._install, None))

    def _install(self, drawn: Sequence[Tensor] | None) -> None:
        """Put a draw in front of the parameters, or, with None, nothing: the parameters are found again."""
        for number, site in enumerate(self.sites):
            for path, attribute in site.owners:
                owner = self.get_submodule(path)
                if drawn is None:
                    vars(owner).pop(attribute, None)
                else:
                    vars(owner)[attribute] = drawn[number]  # an instance attribute is found before the parameter
                if isinstance(owner, nn.RNNBase):
                    owner._flat_weights[owner._flat_weights_names.index(attribute)] = getattr(owner, attribute)

    def _plain(self, values: Mapping[Site, Tensor]) -> nn.Module:
        """A copy of the original class with ``values`` in place of the means, where given."""
        plain = copy.deepcopy(self)
        for site in self.sites:
            for path, name in site.learned_places():
                del plain.get_submodule(path)._parameters[name]
            if site in values:
                with torch.no_grad():
                    parameter_at(plain, site.owners[0]).copy_(values[site])
        for name in ("sites", "stream", "_key", "_learn"):
            del vars(plain)[name]
        module = cast(nn.Module, plain)
        module.__class__ = self._original
        return module


class AverageNetwork(nn.Module):
    """A random network averaged over fixed draws: an ordinary module for any tool that takes one.

    Args:
        network: the random network, shared, not copied.
        keys: the draws.
        of: ``probabilities`` returns the log of the mean softmax, whose softmax is the mean probability; ``outputs``
            returns the mean output.
    """

    def __init__(self, network: RandomNetwork, keys: Sequence[int], of: Averaged = "probabilities") -> None:
        super().__init__()
        if of not in ("probabilities", "outputs"):
            raise UsageError(f"cannot average {of!r}", expected="probabilities or outputs")
        self.network = network
        self.keys = tuple(check_keys(keys))
        self.of = of

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The average over the draws, shape (B, K)."""
        outputs = []
        for key in self.keys:
            with self.network.fixed(key):
                outputs.append(self.network(*args, **kwargs))
        stacked = torch.stack(outputs)  # (S, B, K)
        if self.of == "outputs":
            return stacked.mean(0)
        return mean_log_probabilities(stacked)


def mean_log_probabilities(logits: Tensor) -> Tensor:
    """The log of the mean over draws of the softmax: (S, B, K) to (B, K)."""
    return logits.log_softmax(-1).logsumexp(0) - torch.log(torch.tensor(float(logits.shape[0]))).to(logits)


@functools.cache
def random_class(original: type[nn.Module]) -> type[nn.Module]:
    """The class of ``original``'s random networks: a subclass whose forward draws first, with the same signature."""

    @functools.wraps(original.forward)
    def forward(self: RandomNetwork, *args: Any, **kwargs: Any) -> Any:
        return self._drawn_forward(original.forward, args, kwargs)

    body = {"forward": forward, "_original": original, "__module__": original.__module__, "__doc__": original.__doc__}
    return type(f"Random{original.__name__}", (RandomNetwork, original), body)


def _blank(original: type[nn.Module]) -> nn.Module:
    """An empty random network of a class, for pickle and deepcopy to fill."""
    kind = random_class(original)  # type: ignore[arg-type]
    return kind.__new__(kind)
