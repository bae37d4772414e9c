"""The same networks made random by other libraries where they are installed (``pip install --no-deps -r peers.txt``).

Every conversion starts from the deterministic network's own weights, with a standard deviation of a tenth of their
size, as ``variate.randomize`` does, so saturated or denormal numbers slow no variant down. The library's own forward is
timed. blitz also computes its KL terms there and cannot skip them; bayesian-torch does so in its LSTM only.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

SCALE = 0.1
LEAST_RANDOM = 0.5  # least share of random parameters for a conversion to count

Convert = Callable[[nn.Module], None]


class Cannot(Exception):  # noqa: N818
    """A peer cannot express a network; the message says why."""


@dataclass(frozen=True)
class Converted:
    """A network that a peer made random.

    Attributes:
        network: the converted network.
        share: fraction of the original's parameters that are random.
        note: differences from the original, in words.
    """

    network: nn.Module
    share: float
    note: str


def installed() -> dict[str, Convert]:
    """The conversions of the installed peers, by name and version."""
    known = {
        ("bayesian-torch", "bayesian_torch"): _bayesian_torch,
        ("torchbnn", "torchbnn"): _torchbnn,
        ("blitz-bayesian-pytorch", "blitz"): _blitz,
    }
    return {
        f"{package.removesuffix('-bayesian-pytorch')} {version(package)}": convert
        for (package, module), convert in known.items()
        if importlib.util.find_spec(module)
    }


def load() -> None:
    """Import what the conversions need where it is installed, so that compared processes import the same modules."""
    for name in ("bayesian_torch.layers", "bayesian_torch.models.dnn_to_bnn", "torchbnn", "blitz.modules"):
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)


def converted(convert: Convert, plain: nn.Module, x: Tensor) -> Converted:
    """A copy of ``plain`` made random, without its attention layers if they fail to convert. Raises ``Cannot``."""
    try:
        return _checked(convert, plain, x)
    except Cannot:
        raise
    except Exception as error:
        if not any(isinstance(module, nn.MultiheadAttention) for module in plain.modules()):
            raise Cannot(_told(error)) from error
        reason = _told(error)
    with _told_as_cannot():
        found = _checked(lambda network: _around(network, nn.MultiheadAttention, convert), plain, x)
    return Converted(found.network, found.share, f"{found.note}; converted attention fails: {reason}")


def _checked(convert: Convert, plain: nn.Module, x: Tensor) -> Converted:
    """Convert a copy, check that it draws, and count what stayed deterministic."""
    network = copy.deepcopy(plain)
    convert(network)
    before, after = dict(plain.named_parameters()), dict(network.named_parameters())
    left = [name for name in before if name in after]
    share = 1 - sum(before[name].numel() for name in left) / sum(tensor.numel() for tensor in before.values())
    owners = sorted({type(plain.get_submodule(name.rpartition(".")[0])).__name__ for name in left})
    note = f"deterministic: {', '.join(owners)}" if owners else ""
    if share < LEAST_RANDOM:
        raise Cannot(f"{share:.0%} of the parameters random; {note}")
    with torch.no_grad():
        if torch.equal(network(x), network(x)):
            raise Cannot("two forwards are equal")
    return Converted(network, share, "; ".join(filter(None, (note, *_remarks(network)))))


def _remarks(network: nn.Module) -> list[str]:
    """Peculiarities of the layers of a peer."""
    return sorted({module.remark for module in network.modules() if isinstance(module, Stack)})


@contextlib.contextmanager
def _told_as_cannot() -> Iterator[None]:
    try:
        yield
    except Cannot:
        raise
    except Exception as error:
        raise Cannot(_told(error)) from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _replace(network: nn.Module, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> None:
    """Replace every child of a kind by ``make(child)``."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, make(child))


class Aside(nn.Module):
    """A placeholder that hides a module from a conversion."""

    def __init__(self, hidden: nn.Module) -> None:
        super().__init__()
        self.hidden = (hidden,)  # in a tuple: not registered


def _around(
    network: nn.Module,
    kind: type[nn.Module],
    convert: Convert,
    then: Callable[[Any], nn.Module] = lambda hidden: hidden,
) -> None:
    """Convert all but the modules of a kind, which become ``then(module)`` afterwards: unchanged by default."""

    def back(aside: Aside) -> nn.Module:
        hidden = aside.hidden[0]
        return then(hidden) if isinstance(hidden, kind) else aside

    _replace(network, kind, Aside)
    convert(network)
    _replace(network, Aside, back)


class Stack(nn.Module):
    """Stacked recurrent layers with the interface of ``nn.LSTM``."""

    def __init__(self, layers: list[nn.Module], remark: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.remark = remark

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """The states of the top layer, shape (B, T, D)."""
        for layer in self.layers:
            x = layer(x)[0]
        return x, None


def _layers(lstm: nn.LSTM) -> list[tuple[int, Tensor, Tensor, Tensor, Tensor]]:
    """(inputs, input weight, hidden weight, input bias, hidden bias) of every layer."""
    return [(weights[0].shape[1], *(weight.detach() for weight in weights)) for weights in lstm.all_weights]


def _std(tensor: Tensor) -> float:
    return max(SCALE * float(tensor.detach().square().mean().sqrt()), 1e-4)


def _rho(tensor: Tensor) -> float:
    """The value whose softplus is the starting standard deviation."""
    return float(torch.tensor(_std(tensor)).expm1().log())


@torch.no_grad()
def _set(mean: Tensor, scale: Tensor, value: Tensor, level: float) -> None:
    mean.copy_(value)
    scale.fill_(level)


def _bayesian_torch(network: nn.Module) -> None:
    from bayesian_torch.layers import LSTMReparameterization
    from bayesian_torch.models.dnn_to_bnn import dnn_to_bnn

    options = {"prior_mu": 0.0, "prior_sigma": 1.0, "posterior_mu_init": 0.0, "posterior_rho_init": -3.0}
    options |= {"type": "Reparameterization", "moped_enable": True, "moped_delta": SCALE}

    def stack(lstm: nn.LSTM) -> Stack:
        layers = []
        for inputs, *weights in _layers(lstm):
            layer = LSTMReparameterization(inputs, lstm.hidden_size)
            layer.dnn_to_bnn_flag = True
            for linear, weight, bias in ((layer.ih, *weights[::2]), (layer.hh, *weights[1::2])):
                _set(linear.mu_weight, linear.rho_weight, weight, _rho(weight))
                _set(linear.mu_bias, linear.rho_bias, bias, _rho(bias))
            layers.append(layer)
        return Stack(layers, "LSTM stacked by hand (dnn_to_bnn keeps one layer of two); it draws anew at every step")

    _around(network, nn.LSTM, lambda rest: dnn_to_bnn(rest, options), stack)


def _torchbnn(network: nn.Module) -> None:
    import torchbnn

    def filled(layer: Any, old: Any) -> nn.Module:
        for name in ("weight", "bias"):
            value = getattr(old, name)
            if value is not None:
                log_std = float(torch.tensor(_std(value)).log())
                _set(getattr(layer, f"{name}_mu"), getattr(layer, f"{name}_log_sigma"), value, log_std)
        return layer

    def linear(old: nn.Linear) -> nn.Module:
        return filled(torchbnn.BayesLinear(0, SCALE, old.in_features, old.out_features, old.bias is not None), old)

    def convolution(old: nn.Conv2d) -> nn.Module:
        shape = old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, old.dilation, old.groups
        return filled(torchbnn.BayesConv2d(0, SCALE, *shape, old.bias is not None), old)

    def norm(old: nn.BatchNorm2d) -> nn.Module:
        return filled(torchbnn.BayesBatchNorm2d(0, SCALE, old.num_features, old.eps, old.momentum), old)

    _replace(network, nn.Linear, linear)
    _replace(network, nn.Conv2d, convolution)
    _replace(network, nn.BatchNorm2d, norm)


def _blitz(network: nn.Module) -> None:
    from blitz.modules import BayesianConv2d, BayesianLinear, BayesianLSTM

    def filled(layer: Any, old: Any) -> nn.Module:
        for name in ("weight", "bias"):
            value = getattr(old, name)
            if value is not None:
                _set(getattr(layer, f"{name}_mu"), getattr(layer, f"{name}_rho"), value, _rho(value))
        return layer

    def linear(old: nn.Linear) -> nn.Module:
        return filled(BayesianLinear(old.in_features, old.out_features, bias=old.bias is not None), old)

    def convolution(old: nn.Conv2d) -> nn.Module:
        options = {name: getattr(old, name) for name in ("kernel_size", "groups", "stride", "padding", "dilation")}
        return filled(BayesianConv2d(old.in_channels, old.out_channels, bias=old.bias is not None, **options), old)

    def stack(lstm: nn.LSTM) -> Stack:
        layers = []
        for inputs, first, second, *biases in _layers(lstm):
            layer = BayesianLSTM(inputs, lstm.hidden_size)
            _set(layer.weight_ih_mu, layer.weight_ih_rho, first.T, _rho(first))
            _set(layer.weight_hh_mu, layer.weight_hh_rho, second.T, _rho(second))
            _set(layer.bias_mu, layer.bias_rho, sum(biases), _rho(biases[0]))
            layers.append(layer)
        return Stack(layers, "LSTM stacked by hand, one bias instead of two")

    _replace(network, nn.Linear, linear)
    _replace(network, nn.Conv2d, convolution)
    _replace(network, nn.LSTM, stack)
