"""Bounds of margins by a backward pass (CROWN), with interval bounds for all that lies between.

The network runs once on intervals that also carry a value. Every operation that is not affine lies between two lines
of its input, whose slopes and offsets come from the interval bounds; the backward pass of autograd takes the line that
is worse for the sign of the coefficient that arrives. What arrives at the input bounds the margin as an affine function
of the input. Zhang et al. 2020, arXiv:1906.06316, sections 3.1 and 3.2; lines: Zhang et al. 2018, arXiv:1811.00866.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.random.interval_bounds import (
    MOVING,
    RISING,
    RISING_FUNCTIONS,
    RULES,
    Interval,
    NoBoundsError,
    checked_bounds,
    no_rule,
    worst_margins,
)


class Lines(NamedTuple):
    """Two lines around the results of an operation: ``below * z + below_at`` and ``above * z + above_at``."""

    below: Tensor
    below_at: Tensor
    above: Tensor
    above_at: Tensor


class Traced(Interval):
    """An interval with a value in it, whose graph leads back to the input.

    Attributes:
        value: a tensor of the interval's shape; which value does not matter to the bounds.
        anchor: zeros, (B,), whose gradient collects the constant terms of every example.
    """

    __slots__ = ("anchor", "value")

    def __init__(self, bounds: Interval, value: Tensor, anchor: Tensor) -> None:
        super().__init__(bounds.center, bounds.radius, bounds.made)
        self.value = value
        self.anchor = anchor

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The same operation on bounds and value. Raises ``UsageError`` for one without a rule."""
        return _apply(getattr(function, "__name__", str(function)), function, *args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name in RULES:
            return functools.partial(_apply, name, getattr(Tensor, name), self)
        return super().__getattr__(name)

    def __getitem__(self, index: Any) -> Traced:
        result = Traced(super().__getitem__(index), self.value[index], self.anchor)
        return _of_one_example_each(result, _owners(self)[index])

    def __add__(self, other: Any) -> Traced:
        return _apply("add", torch.add, self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Traced:
        return _apply("sub", torch.sub, self, other)

    def __rsub__(self, other: Any) -> Traced:
        return (-self).__add__(other)

    def __neg__(self) -> Traced:
        return _apply("neg", torch.neg, self)

    def __mul__(self, other: Any) -> Traced:
        return _apply("mul", torch.mul, self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Traced:
        return _apply("div", torch.div, self, other)


class _Between(torch.autograd.Function):
    """A result known to lie between two lines of ``z``; the gradient takes the line that lowers what it goes into."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, anchor: Tensor, result: Tensor, *lines: Tensor) -> Tensor:
        """The result, of the shape of ``z``."""
        output = result.clone()
        ctx.save_for_backward(z, output, *lines)
        return output

    @staticmethod
    def backward(ctx: Any, *coefficients: Tensor) -> Any:
        """Coefficients of the result to those of ``z``, and the constant terms to the anchor."""
        z, result, below, below_at, above, above_at = ctx.saved_tensors
        up, down = coefficients[0].clamp_min(0.0), coefficients[0].clamp_max(0.0)
        of_z = up * below + down * above
        constant = up * below_at + down * above_at + of_z * z - coefficients[0] * result
        return of_z, constant.flatten(1).sum(1), None, None, None, None, None


def backward_margins(network: nn.Module, inputs: Interval, y: Tensor, *, graph: bool = False) -> tuple[Tensor, Tensor]:
    """Lower bounds of the label's logit minus every other one, (B, K) twice: by intervals, and by the backward pass.

    Both hold; neither is the better one everywhere. The second takes a backward pass for each of the K classes.

    Args:
        network: the network; a random one answers with the draw that is in place.
        inputs: a box of inputs, (B, ...).
        y: labels, (B,).
        graph: whether the bounds keep their graph, to be trained.

    Raises:
        UsageError: for an operation without a rule, or outputs that are not logits.
    """
    if torch.is_inference_mode_enabled():
        raise UsageError("a backward pass needs a graph, and inference mode keeps none", todo="torch.no_grad() instead")
    with torch.enable_grad():
        start = inputs.center.detach().clone().requires_grad_()
        anchor = start.new_zeros(len(start)).requires_grad_()
        output = checked_bounds(network(Traced(inputs, start, anchor)), len(start))
        if not isinstance(output, Traced):
            raise NoBoundsError("the logits do not depend on the inputs", expected="a network of its inputs")
        own = output.value.gather(1, y[:, None])[:, 0]  # (B,)
        margins = []
        for other in output.value.unbind(1):
            margin = own - other
            slopes, constant = torch.autograd.grad(
                margin.sum(), (start, anchor), create_graph=graph, retain_graph=True, allow_unused=True
            )
            lost = 0.0 if slopes is None else (slopes.abs() * inputs.radius).flatten(1).sum(1)
            margins.append(margin + (0.0 if constant is None else constant) - lost)
        both = worst_margins(output, y), torch.stack(margins, 1)
        return both if graph else (both[0].detach(), both[1].detach())


def _apply(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Traced:
    """The bounds of an operation as intervals have them, and its value: exact if it is affine, else between lines."""
    if name not in RULES:
        raise no_rule(name)
    bounds = RULES[name](*_each(args, _interval), **_each(kwargs, _interval))
    first = next(part for part in _parts((args, kwargs)) if isinstance(part, Traced))
    if name in RISING or name in RISING_FUNCTIONS:
        z, result, lines = _lines(name, first, bounds, function, args[1:], kwargs)
        between: Tensor = _Between.apply(z, first.anchor, result, *lines)  # type: ignore[no-untyped-call]
        return Traced(bounds, between, first.anchor)
    if name == "detach":  # the graph is what the bounds come from
        return Traced(bounds, first.value, first.anchor)
    moved = Traced(bounds, function(*_each(args, _value), **_each(kwargs, _value)), first.anchor)
    if name in MOVING or name == "cat":
        same = Tensor.mean if name == "sum" else function  # where every value is the number of its example
        return _of_one_example_each(moved, same(*_each(args, _owners), **_each(kwargs, _owners)))
    return moved


def _lines(
    name: str, x: Traced, bounds: Interval, function: Callable[..., Any], args: Any, kwargs: Any
) -> tuple[Tensor, Tensor, Lines]:
    """What an operation takes, a result of it, and the lines around all its results."""
    zero = torch.zeros_like(bounds.center)
    if name in ("relu", "relu_", "leaky_relu"):
        slope = float(kwargs.get("negative_slope", args[0] if args else 0.01)) if name == "leaky_relu" else 0.0
        if slope <= 1:
            return x.value, F.leaky_relu(x.value, slope).detach(), _bent(x.low, x.high, slope)
    if name.startswith("max_pool"):
        value, places = getattr(F, name)(x.value, *args, **(kwargs | {"return_indices": True}))
        z = x.value.flatten(2).gather(2, places.flatten(2)).view_as(value)  # the largest value itself: all are above it
        return z, value.detach(), Lines(zero + 1, zero, zero, bounds.high)
    return zero, bounds.center.detach(), Lines(zero, bounds.low, zero, bounds.high)


def _bent(low: Tensor, high: Tensor, slope: float) -> Lines:
    """Lines around a function of slope 1 above 0 and ``slope`` below, over intervals that may cross 0."""
    one, zero = torch.ones_like(low), torch.zeros_like(low)
    crosses = (low < 0) & (high > 0)
    width = torch.where(crosses, high - low, one)
    chord = (high - slope * low) / width
    above = torch.where(crosses, chord, torch.where(low >= 0, one, slope * one))
    below = torch.where(crosses, torch.where(high > -low, one, slope * one), above)  # the smaller area
    return Lines(below, zero, above, torch.where(crosses, high - chord * high, zero))


def _of_one_example_each(result: Traced, owners: Tensor) -> Traced:
    """The result of an operation that moves values. Raises ``NoBoundsError`` if it moves them to other examples."""
    if owners.shape != result.center.shape or not torch.allclose(owners.double(), _owners(result)):
        raise NoBoundsError("an operation moves the examples of a batch", expected="examples in the first dimension")
    return result


def _owners(part: Any) -> Any:
    """The number of the example that every value belongs to, of the shape of a tensor."""
    if not isinstance(part, Traced | Tensor):
        return part
    shape = part.center.shape if isinstance(part, Traced) else part.shape
    numbers = torch.arange(shape[0] if shape else 1, dtype=torch.float64)
    return numbers.view(-1, *[1] * (len(shape) - 1)).expand(shape).contiguous()


def _interval(part: Any) -> Any:
    return Interval(part.center, part.radius, part.made) if isinstance(part, Traced) else part


def _value(part: Any) -> Any:
    return part.value if isinstance(part, Traced) else part


def _each(parts: Any, take: Callable[[Any], Any]) -> Any:
    """Apply a function to all parts of nested tuples, lists and mappings."""
    if isinstance(parts, tuple | list):
        return type(parts)(_each(part, take) for part in parts)
    return {key: _each(part, take) for key, part in parts.items()} if isinstance(parts, dict) else take(parts)


def _parts(nested: Any) -> Iterator[Any]:
    """All parts of nested tuples, lists and mappings."""
    if isinstance(nested, tuple | list | dict):
        for part in nested.values() if isinstance(nested, dict) else nested:
            yield from _parts(part)
    else:
        yield nested
