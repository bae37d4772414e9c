"""Interval bounds of any network's outputs over a box of inputs (interval bound propagation), under the draw in place.

An ``Interval`` goes through the forward of any module in the place of a tensor: each operation of torch is replaced by
one that bounds its results. Gowal et al. 2018, arXiv:1810.12715, section 3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError

Rule = Callable[..., Any]


class NoBoundsError(UsageError, AttributeError):
    """An operation has no interval bounds; for ``getattr`` and ``hasattr``, there is no such attribute."""


class Interval:
    """A box of tensors: every value is within ``radius`` of ``center``.

    Attributes:
        center, radius: tensors of one shape; the radius is at least 0.
        made: if the last operation was linear, its input and its weight and bias, for tighter bounds of differences.
    """

    __slots__ = ("center", "made", "radius")

    def __init__(
        self, center: Tensor, radius: Tensor, made: tuple[Interval, Tensor, Tensor | None] | None = None
    ) -> None:
        self.center = center
        self.radius = radius
        self.made = made

    @classmethod
    def between(cls, low: Tensor, high: Tensor) -> Interval:
        """The box of all tensors from ``low`` to ``high``."""
        return cls((high + low) / 2, (high - low) / 2)

    @property
    def low(self) -> Tensor:
        """The lower ends."""
        return self.center - self.radius

    @property
    def high(self) -> Tensor:
        """The upper ends."""
        return self.center + self.radius

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Bounds of the results of an operation of torch. Raises ``UsageError`` for one without a rule."""
        name = getattr(function, "__name__", str(function))
        if name not in RULES:
            raise no_rule(name)
        return RULES[name](*args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name in RULES:
            return functools.partial(RULES[name], self)
        if name in OF_CENTER:
            return getattr(self.center, name)
        if name.startswith("__"):
            raise AttributeError(name)
        raise no_rule(name)

    def __len__(self) -> int:
        return len(self.center)

    def __getitem__(self, index: Any) -> Interval:
        return Interval(self.center[index], self.radius[index])

    def __add__(self, other: Any) -> Interval:
        return _add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Interval:
        return _add(self, -other)

    def __rsub__(self, other: Any) -> Interval:
        return _add(-self, other)

    def __neg__(self) -> Interval:
        return Interval(-self.center, self.radius)

    def __mul__(self, other: Any) -> Interval:
        return _scaled(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Interval:
        return _scaled(self, 1 / other)


def box(x: Tensor, eps: float) -> Interval:
    """The inputs within linf ``eps`` of ``x`` and in [0, 1]."""
    return Interval.between((x - eps).clamp_min(0.0), (x + eps).clamp_max(1.0))


def output_bounds(network: nn.Module, inputs: Interval) -> Interval:
    """Bounds of a network's logits, (B, K), over a box of inputs, (B, ...), for the draw that is in place.

    Raises:
        UsageError: for an operation without a rule, or outputs that are not logits.
    """
    return checked_bounds(network(inputs), len(inputs.center))


def checked_bounds(output: object, count: int) -> Interval:
    """What a network has made of intervals, if it is logits of ``count`` examples. Raises ``UsageError``."""
    if not isinstance(output, Interval) or output.center.dim() != 2:
        raise UsageError("interval bounds need logits", expected=f"an output of shape ({count}, classes)")
    return output


def worst_margins(logits: Interval, y: Tensor) -> Tensor:
    """Lower bounds of the label's logit minus every other one, (B, K); 0 at the label itself.

    Where the logits come from a linear layer, the difference of two rows of its weight is bounded as one row.
    """
    if logits.made is not None:
        inputs, weight, bias = logits.made
        rows = weight[y][:, None] - weight  # (B, K, D)
        low = torch.einsum("bkd,bd->bk", rows, inputs.center) - torch.einsum("bkd,bd->bk", rows.abs(), inputs.radius)
        return low if bias is None else low + (bias[y][:, None] - bias)
    own = logits.low.gather(1, y[:, None])  # (B, 1)
    return (own - logits.high).scatter(1, y[:, None], 0.0)


def verified(network: nn.Module, inputs: Interval, y: Tensor) -> Tensor:
    """Whether the answer is ``y`` everywhere in the box, for the draw that is in place: (B,)."""
    return all_positive(worst_margins(output_bounds(network, inputs), y), y)


def all_positive(margins: Tensor, y: Tensor) -> Tensor:
    """Whether lower bounds of margins, (B, K), say that the answer is ``y``: (B,)."""
    others = torch.ones_like(margins, dtype=torch.bool).scatter(1, y[:, None], False)
    return ((margins > 0) | ~others).all(1)


def no_rule(name: str) -> NoBoundsError:
    """The error for an operation without a rule."""
    return NoBoundsError(
        f"there are no interval bounds for the operation {name}",
        expected=f"a network of {', '.join(sorted(name for name in RULES if not name.startswith('_')))}",
    )


def _both(function: Callable[..., Tensor]) -> Rule:
    """The rule of an operation that moves or averages values: it does the same to center and radius."""

    def rule(x: Interval, *args: Any, **kwargs: Any) -> Interval:
        return Interval(function(x.center, *args, **kwargs), function(x.radius, *args, **kwargs))

    return rule


def _rising(function: Callable[..., Tensor]) -> Rule:
    """The rule of an operation that rises in every value: it does the same to both ends."""

    def rule(x: Interval, *args: Any, **kwargs: Any) -> Interval:
        kwargs.pop("inplace", None)
        return Interval.between(function(x.low, *args, **kwargs), function(x.high, *args, **kwargs))

    return rule


def _linear(x: Interval, weight: Tensor, bias: Tensor | None = None) -> Interval:
    made = (x, weight, bias) if x.center.dim() == 2 else None
    return Interval(F.linear(x.center, weight, bias), F.linear(x.radius, weight.abs()), made)


def _convolution(function: Callable[..., Tensor]) -> Rule:
    def rule(x: Interval, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Interval:
        radius = function(x.radius, weight.abs(), None, *args, **kwargs)
        return Interval(function(x.center, weight, bias, *args, **kwargs), radius)

    return rule


def _batch_norm(
    x: Interval,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Interval:
    if training or mean is None or variance is None:
        raise UsageError("there are no interval bounds for batch norm that uses the batch", todo="call eval() first")
    slope = (variance + eps).rsqrt()
    slope = slope if weight is None else slope * weight
    shape = (1, -1, *[1] * (x.center.dim() - 2))
    offset = -mean * slope if bias is None else bias - mean * slope
    center = x.center * slope.view(shape) + offset.view(shape)
    return Interval(center, x.radius * slope.abs().view(shape))


def _dropout(x: Interval, p: float = 0.5, training: bool = True, inplace: bool = False) -> Interval:
    if training and p > 0:
        raise UsageError("there are no interval bounds for dropout that is on", todo="call eval() first")
    return x


def _add(x: Any, other: Any, *, alpha: float = 1) -> Interval:
    if not isinstance(x, Interval):
        x, other = other, x
    if isinstance(other, Interval):
        return Interval(x.center + alpha * other.center, x.radius + abs(alpha) * other.radius)
    center = x.center + alpha * other
    return Interval(center, x.radius.expand_as(center))


def _sub(x: Any, other: Any) -> Interval:
    return _add(x, -other)


def _scaled(x: Any, factor: Any) -> Interval:
    if isinstance(factor, Interval):
        x, factor = factor, x
    if isinstance(factor, Interval):
        raise no_rule("mul of two intervals")
    return Interval(x.center * factor, x.radius * abs(factor))


def _divided(x: Interval, divisor: Any) -> Interval:
    return _scaled(x, 1 / divisor)


def _cat(parts: Any, dim: int = 0) -> Interval:
    zeros = [(p.center, p.radius) if isinstance(p, Interval) else (p, torch.zeros_like(p)) for p in parts]
    return Interval(torch.cat([center for center, _ in zeros], dim), torch.cat([radius for _, radius in zeros], dim))


OF_CENTER = ("shape", "dtype", "device", "ndim", "is_cuda", "layout", "dim", "size", "numel", "is_floating_point")
MOVING = ("flatten", "reshape", "view", "permute", "transpose", "movedim", "unsqueeze", "squeeze", "contiguous", "to",
          "mean", "sum", "clone", "float", "double", "detach", "expand", "unflatten")  # fmt: skip
RISING = ("relu", "relu_", "tanh", "tanh_", "sigmoid", "sigmoid_", "amax", "clamp", "clamp_min", "clamp_max")
RISING_FUNCTIONS = ("relu6", "leaky_relu", "elu", "selu", "celu", "softplus", "hardtanh", "hardsigmoid", "logsigmoid",
                    "max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d")  # fmt: skip
AVERAGING = ("avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d")
OUT_OF_PLACE = {"relu_": "relu", "tanh_": "tanh", "sigmoid_": "sigmoid"}

RULES: dict[str, Rule] = {
    **{name: _both(getattr(Tensor, name)) for name in MOVING},
    **{name: _rising(getattr(Tensor, OUT_OF_PLACE.get(name, name))) for name in RISING},
    **{name: _rising(getattr(F, name)) for name in RISING_FUNCTIONS},
    **{name: _both(getattr(F, name)) for name in AVERAGING},
    **{name: _convolution(getattr(F, name)) for name in ("conv1d", "conv2d", "conv3d")},
    "linear": _linear,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "dropout2d": _dropout,
    "add": _add,
    "sub": _sub,
    "mul": _scaled,
    "div": _divided,
    "true_divide": _divided,
    "neg": Interval.__neg__,
    "cat": _cat,
}
