"""Per-example draws: every example of a batch with weights of its own.

Exact weights for each example are batched by vmap (a grouped convolution, a batched product). For a linear layer that
sees one row per example that would read a weight matrix per example; its pre-activations are drawn instead, from the
Gaussian that the weights imply (the local reparameterization of Kingma, Salimans & Welling 2015, arXiv:1506.02557).
Where rows share an example's weights (a sequence, the pixels of a convolution), the pre-activations are dependent, so
neither this shortcut nor flipout (Wen et al. 2018) has the same distribution: there the weights are drawn.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from variate.errors import UsageError
from variate.random.distribution import LocationScale, Site
from variate.random.fixing import fixed
from variate.random.handle import handle_of
from variate.random.inside import check_random, is_random
from variate.random.keys import check_key, hash_words, sibling
from variate.random.noise import counter

if TYPE_CHECKING:
    from variate.random.network import RandomNetwork

LIMIT = 2**28  # bytes of weights drawn at a time
MIXING = (nn.modules.batchnorm._BatchNorm, nn.SyncBatchNorm)


@dataclass(frozen=True)
class RowLayer:
    """A linear layer that sees one row per example: its path, and the indices of its sites."""

    path: str
    weight: int
    bias: int | None


def draws_per_example(net: RandomNetwork, x: Tensor, key: int) -> Tensor:
    """The outputs of ``net``, every example with weights of its own: shape (B, ...).

    Example i uses the draw of the i-th sibling of ``key``. Linear layers that see one row per example draw their
    pre-activations instead, from the same distribution. Differentiable in the inputs and the parameters.

    Args:
        net: the random network, in eval mode if it has batch norm.
        x: inputs, shape (B, ...).
        key: key from which all the draws follow.

    Raises:
        UsageError: for batch norm in train mode, which mixes the examples.
    """
    check_random(net)
    for path, module in net.named_modules():
        if module.training and isinstance(module, MIXING):
            raise UsageError(f"{path} is batch norm in train mode, which mixes the examples", todo="call net.eval()")
    keys = [sibling(check_key(key), i) for i in range(len(x))]
    if not is_random(net):  # a part of it is
        return torch.cat([_single(net, x[i : i + 1], example_key) for i, example_key in enumerate(keys)])
    rows = _rows(net, x)
    handle = handle_of(net)
    in_rows = {index for row in rows for index in (row.weight, row.bias)}
    drawn = [n for n in range(len(handle.sites)) if n not in in_rows]
    groups = handle.places_in(net).groups()
    size = sum(groups[n][0].numel() * groups[n][0].element_size() for n in drawn)
    step = max(1, min(len(x), LIMIT // max(size, 1)))
    try:
        parts = [_batch(net, x[i : i + step], keys[i : i + step], key, i, rows, drawn) for i in range(0, len(x), step)]
    except RuntimeError:  # an operation without a batching rule, such as a recurrent layer
        parts = [_single(net, x[i : i + 1], example_key) for i, example_key in enumerate(keys)]
    return torch.cat(parts)


def _single(net: RandomNetwork, x: Tensor, key: int) -> Tensor:
    with fixed(net, key, learn=all(handle_of(part).held().learn for part in check_random(net).values())):
        output: Tensor = net(x.clone())  # it may work in place
    return output


def _batch(
    net: RandomNetwork,
    x: Tensor,
    keys: Sequence[int],
    key: int,
    start: int,
    rows: Sequence[RowLayer],
    drawn: Sequence[int],
) -> Tensor:
    """Several examples as one computation: weights stacked, pre-activations drawn."""
    handle = handle_of(net)
    places = handle.places_in(net)
    means, scales = _means_and_scales(net)
    stacked = dict(zip(drawn, handle.draw_many(net, keys, drawn), strict=True))
    weights = [stacked.get(n, means[n]) for n in range(len(means))]
    dims = [0 if n in stacked else None for n in range(len(means))]
    noises = [_activation_noise(handle.sites[row.weight], key, start, len(x), means[row.weight]) for row in rows]

    def forward(weights: Sequence[Tensor], noises: Sequence[Tensor], x: Tensor) -> Tensor:
        before = places.put(weights)
        try:
            with _drawing_activations(net, rows, means, scales, noises):
                output: Tensor = handle.original.forward(net, x[None].clone())
        finally:
            places.back(before)
        return output[0]

    with handle.turn, _for_vmap():
        vectorized = torch.func.vmap(forward, in_dims=(tuple(dims), 0, 0))
        return vectorized(tuple(weights), tuple(noises), x)


@contextmanager
def _for_vmap() -> Iterator[None]:
    """Context without the encoder's fast path, which has no batching rule, and without vmap's performance warnings."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _activation_noise(site: Site, key: int, start: int, count: int, weight: Tensor) -> Tensor:
    """Noise for the pre-activations of a layer, one row per example: (B, out)."""
    shape = (start + count, weight.shape[0])
    noise = counter.noise("normal", key, hash_words("activation", site.uid), shape, device=weight.device)
    return noise[start:].to(weight.dtype)


@contextmanager
def _drawing_activations(
    net: RandomNetwork,
    rows: Sequence[RowLayer],
    means: Sequence[Tensor],
    scales: Sequence[Tensor],
    noises: Sequence[Tensor],
) -> Iterator[None]:
    """Context in which the layers of ``rows`` draw pre-activations: mean + std * noise, from two linear maps."""
    layers = [net.get_submodule(row.path) for row in rows]
    for layer, row, noise in zip(layers, rows, noises, strict=True):
        vars(layer)["forward"] = _activation(row, means, scales, layer, noise)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _activation(
    row: RowLayer, means: Sequence[Tensor], scales: Sequence[Tensor], layer: nn.Module, noise: Tensor
) -> Callable[[Tensor], Tensor]:
    bias = cast(Tensor | None, layer.bias) if row.bias is None else means[row.bias]
    spread = None if row.bias is None else scales[row.bias].expand_as(means[row.bias]).square()
    variance = scales[row.weight].expand_as(means[row.weight]).square()

    def forward(x: Tensor) -> Tensor:
        return F.linear(x, means[row.weight], bias) + F.linear(x.square(), variance, spread).sqrt() * noise

    return forward


def _means_and_scales(net: RandomNetwork) -> tuple[list[Tensor], list[Tensor]]:
    groups = [group for _, group in handle_of(net).scaled(net)]
    return [group[0] for group in groups], [group[1] for group in groups]


def _rows(net: RandomNetwork, x: Tensor) -> list[RowLayer]:
    """The linear layers whose pre-activations can be drawn: called once per forward pass, with one row per example."""
    calls: dict[nn.Module, list[int]] = {}
    uses = _Uses()

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        calls.setdefault(module, []).append(inputs[0].numel() // inputs[0].shape[-1] if inputs else 0)

    candidates = _gaussian_layers(net)
    hooks = [net.get_submodule(row.path).register_forward_hook(note) for row in candidates]
    try:
        with torch.no_grad(), uses:
            handle_of(net).original.forward(net, x[:1].clone())
    finally:
        for hook in hooks:
            hook.remove()
    layers = [net.get_submodule(row.path) for row in candidates]
    return [
        row
        for row, layer in zip(candidates, layers, strict=True)
        if calls.get(layer) == [1] and uses.of(layer.weight) == 1 and uses.of(layer.bias) <= 1
    ]


class _Uses(TorchFunctionMode):
    """How often a forward pass uses each tensor: a weight used elsewhere too must be drawn, not its pre-activations."""

    def __init__(self) -> None:
        super().__init__()
        self._count: Counter[int] = Counter()

    def of(self, tensor: Any) -> int:
        return self._count[id(tensor)]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        used = (value for value in tree_leaves((args, kwargs or {})) if isinstance(value, Tensor))
        self._count.update(map(id, used))
        return func(*args, **(kwargs or {}))


def _gaussian_layers(net: RandomNetwork) -> list[RowLayer]:
    """The linear layers with an untied Gaussian weight, and a bias that is untied and Gaussian, or fixed."""
    sites = handle_of(net).sites
    indices = {site.owners[0]: n for n, site in enumerate(sites) if _untied_gaussian(site)}
    random = {owner for site in sites for owner in site.owners}
    rows = []
    for path, module in net.named_modules():
        weight, bias = (path, "weight"), (path, "bias")
        if type(module) is nn.Linear and weight in indices and (bias in indices or bias not in random):
            rows.append(RowLayer(path, indices[weight], indices.get(bias)))
    return rows


def _untied_gaussian(site: Site) -> bool:
    distribution = site.distribution
    return len(site.owners) == 1 and isinstance(distribution, LocationScale) and distribution.kind == "normal"
