"""What is done with every network, each against the right number."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from brought.network import SCALE, Brought, Then
from brought.truths import EPOCHS, LR, batches, classes_in, clean_rate, in_mode, labels, logits_in, loop, sampled, truth
from torch import Tensor, nn

import variate
from variate.errors import BatchWarning, GradientError
from variate.random.fixing import fixed
from variate.random.network import RandomNetwork
from variate.random.noise import traced

CALLS, MANY = 150, 300  # of a random network and of its plain twin
SEEDS = 12  # of a plain loop with noise
SPREAD, SIGMAS = 0.3, 5.5  # tolerated: of the spread, relative; of every mean, in standard errors
RATE = 0.1  # of a rate over draws
TINY = 1e-6  # scale of noise that changes nothing
RANDOM = ", random"  # marks the operations on the network that randomize makes


def same_distribution(found: Tensor, expected: Tensor) -> None:
    """Two samples of probabilities, (N, B, K), have the same means and spread."""
    found = found[..., : expected.shape[-1]]
    spread, right = (sample.std(0).square().mean().sqrt() for sample in (found, expected))
    assert float(right) > 1e-4
    assert abs(float(spread / right) - 1) < SPREAD, f"a spread of {spread:.4f} instead of {right:.4f}"
    error = (found.var(0) / len(found) + expected.var(0) / len(expected)).sqrt() + 1e-3
    worst = ((found.mean(0) - expected.mean(0)).abs() / error).amax()
    assert float(worst) < SIGMAS, f"means are {worst:.1f} standard errors apart"


def same_answers(found: Tensor, entry: Brought, training: bool, unit: float | None = None) -> None:
    """Probabilities, (B, K), are those of the plain network."""
    expected = truth(entry, training, 0.0, 1, unit)[0]
    distance = (found[..., : expected.shape[-1]] - expected).abs().amax()
    assert float(distance) <= entry.rounding, f"answers differ by {distance:.2g}"


def check(entry: Brought) -> None:
    """`variate.check(net, x)` names what cannot be random, what no draw reaches, and nothing else"""
    findings = variate.check(entry.make(), entry.own()).findings
    assert len(findings) == len(entry.finds), findings
    for pattern, finding in zip(entry.finds, findings, strict=True):
        assert re.search(pattern, finding), finding


def randomized(entry: Brought, scale: float = SCALE) -> nn.Module:
    net = variate.randomize(entry.make(), scale=scale)
    net.set_seed(0)
    return net


def randomize(entry: Brought) -> None:
    """`variate.randomize(net)`: outputs have the mean and spread that noise in every parameter gives; scales learn"""
    net, x = randomized(entry), entry.own()
    same_distribution(sampled(net, x, CALLS, entry.unit), truth(entry, net.training, SCALE, MANY))
    if not entry.noisy:
        same_answers(classes_in(net.mean()(x.clone()), entry.unit).detach(), entry, net.training)
        with net.fixed(3), torch.no_grad():
            one, other = (classes_in(network(x.clone()), entry.unit) for network in (net, net.at(3)))
            assert torch.allclose(one, other, atol=entry.rounding)


def evaluate(entry: Brought) -> None:
    """`variate.evaluate`: the clean and the attacked rate of the same network written plainly"""
    net, x, y = entry.make(), entry.inputs(), labels(entry)
    before = x.clone()
    clean, attacked = rates(net, x, y, entry, warns=entry.warns)
    assert torch.equal(x, before)
    training = net.training
    expected = clean_rate(entry, training), plain_rates(entry, training)[1]
    assert 0.01 < expected[1] < expected[0], expected
    tolerance = RATE if entry.noisy else 1.01 / len(x) if entry.rounding > 1e-3 else 1e-6
    assert abs(clean - expected[0]) <= tolerance, (clean, expected)
    assert abs(attacked - expected[1]) <= tolerance, (attacked, expected)
    if entry.blind:
        blind(net, x, y, entry)


def blind(net: nn.Module, x: Tensor, y: Tensor, entry: Brought) -> None:
    """An attack that needs a gradient says that there is none."""
    with pytest.raises(GradientError, match=entry.blind):
        variate.evaluate(net, x, y, budget=f"linf:{entry.eps}", attacks=["pgd(steps=2)"], deployments=["single"])


def rates(net: nn.Module, x: Tensor, y: Tensor, entry: Brought, *, warns: str = "") -> tuple[float, float]:
    """The clean and the attacked rate, and the warning that must be heard, if any."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = variate.evaluate(
            net,
            x,
            y,
            budget=f"linf:{entry.eps}",
            attacks=[entry.attack],
            deployments=["single"],
            draws=2,
            verdict_draws=80,
        )
    said = [str(warning.message) for warning in heard if warning.category is BatchWarning]
    assert bool(said) == bool(warns), said
    assert not warns or re.search(warns, said[0]), said
    clean, attacked = (row.rate for row in result.rows)
    return clean, attacked


_plain: dict[object, tuple[float, float]] = {}


def plain_rates(entry: Brought, training: bool, scale: float = 0.0) -> tuple[float, float]:
    """Rates of the plain network under the same attack, with noise in its weights or without."""
    make = entry.attacked or entry.plain
    known = (make, entry.inputs, entry.plain, training, scale, entry.attack, entry.eps)
    if known not in _plain:
        net = in_mode(make, training)
        net = variate.randomize(net, scale=scale) if scale else net
        coupled = entry.warns if entry.attacked is None else ""
        _plain[known] = rates(net, entry.inputs(), labels(entry), entry, warns=coupled)
    return _plain[known]


def evaluate_random(entry: Brought) -> None:
    net, x, y = randomized(entry), entry.inputs(), labels(entry)
    clean, attacked = rates(net, x, y, entry, warns=entry.warns)
    expected = clean_rate(entry, net.training, SCALE), plain_rates(entry, net.training, SCALE)[1]
    assert 0.01 < expected[1] < expected[0], expected
    assert abs(clean - expected[0]) <= RATE, (clean, expected)
    assert abs(attacked - expected[1]) <= RATE, (attacked, expected)


def fit(net: nn.Module, entry: Brought, epochs: int = EPOCHS) -> list[float]:
    options = {"optimizer": "sgd", "weight_decay": 0.0, "accelerator": "cpu"}
    return variate.train(net, batches(entry, entry.dtype), epochs=epochs, lr=LR, **options).losses


def trained(entry: Brought) -> tuple[list[list[float]], Tensor]:
    """Losses and final probabilities of the plain loop; the losses of several seeds if it is noisy."""
    return _trained(entry.trained or entry.plain, entry)


@cache
def _trained(make: Callable[[], nn.Module], entry: Brought) -> tuple[list[list[float]], Tensor]:
    losses = []
    for seed in range(SEEDS if entry.noisy else 1):
        net = make()
        losses.append(loop(net, batches(entry), seed))
    return losses, sampled(net, entry.inputs(), 1, entry.unit)[0]


def train(entry: Brought) -> None:
    """`variate.train`: the losses and the trained network of a plain loop"""
    net = entry.make()
    compare_training(net, entry, fit(net, entry), 10 * entry.rounding)


def compare_training(net: nn.Module, entry: Brought, losses: list[float], tolerance: float) -> None:
    expected, answers = trained(entry)
    assert not net.training
    if entry.noisy:
        spread = torch.tensor(expected).std(0)  # (E,), over seeds
        assert bool(((torch.tensor(losses) - torch.tensor(expected).mean(0)).abs() < 6 * spread).all()), losses
    else:
        worst = max(abs(a / b - 1) for a, b in zip(losses, expected[0], strict=True))
        assert worst <= tolerance, (losses, expected)
        found = sampled(net, entry.own(), 1, entry.unit)[0][..., : answers.shape[-1]]
        assert float((found - answers).abs().amax()) <= tolerance, float((found - answers).abs().amax())


def train_random(entry: Brought) -> None:
    net = randomized(entry, TINY)
    compare_training(net, entry, fit(net, entry), max(10 * entry.rounding, 5e-3))
    net = randomized(entry)
    unused = {finding.partition(":")[0] for finding in entry.finds if "does not reach" in finding}
    unused |= set(entry.still)
    before = {name: std.detach().clone() for name, std in net.stds().items() if name not in unused}
    learned = {site.name for site in net.sites if net.get_parameter(site.name).requires_grad}
    fit(net, entry, 1)
    for name, std in before.items():
        assert torch.equal(std, net.stds()[name]) != (name in learned and entry.learns), name
        assert bool(net.stds()[name].isfinite().all()), name


def export(entry: Brought) -> None:
    """`variate.export`: the opened program answers as the network does in eval mode, with fresh noise at every call"""
    net, x, expected = entry.make(), entry.own(), truth(entry, False, 0.0, MANY if entry.noisy else 1)
    if any(isinstance(part, RandomNetwork) for part in net.modules()):
        export_draws(entry, net.eval(), expected)
    elif varies(expected):
        same_distribution(sampled(exported(net, x), x, CALLS, entry.unit), expected)
    else:
        same_answers(classes_in(exported(net, x)(x.clone()), entry.unit), entry, False)


def export_random(entry: Brought) -> None:
    net = randomized(entry).eval()
    if f"export{RANDOM}" in entry.refuses:
        exported(net, entry.own())
    export_draws(entry, net, truth(entry, False, SCALE, MANY))


def export_draws(entry: Brought, net: nn.Module, expected: Tensor) -> None:
    """One draw through the file, and fresh draws in the smaller graph that the exporter to ONNX gets."""
    x = entry.own()
    if not isinstance(net, RandomNetwork) or not varies(truth(entry, False, 0.0, MANY if entry.noisy else 1)):
        found = classes_in(exported(net, x, key=3)(x.clone()), entry.unit)
        with fixed(net, 3), torch.no_grad():
            one = classes_in(net(x.clone()), entry.unit)
        assert torch.allclose(found, one, atol=max(entry.rounding, 1e-3))
    with traced.random_operations(), torch.no_grad():
        run = torch.export.export(Then(logits_in, inner=net), (x,)).module()
    same_distribution(sampled(run, x, CALLS, entry.unit), expected)


def exported(net: nn.Module, x: Tensor, key: int | None = None) -> Callable[[Tensor], Tensor]:
    """The network after a file, or its draw of a key."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pt2"
        variate.export(net, path, x, format="torch-export", key=key)
        return variate.open_exported(path)


def varies(sample: Tensor) -> bool:
    """Whether the draws of a sample, (N, B, K), differ."""
    return len(sample) > 1 and float(sample.std(0).amax()) > 1e-6


def serve(entry: Brought) -> None:
    """`variate.Served`: the mean probability over the draws of the network in eval mode"""
    served(entry, entry.make(), 0.0)


def serve_random(entry: Brought) -> None:
    served(entry, randomized(entry), SCALE)


def served(entry: Brought, net: nn.Module, scale: float) -> None:
    x = entry.inputs()
    noisy = bool(scale) or entry.noisy
    expected = truth(entry, False, scale, MANY if noisy else 1, 1.0)
    answers = torch.stack([variate.Served(net, draws=4 if noisy else 1)(x.clone()) for _ in range(50 if noisy else 1)])
    if varies(expected):
        found = answers.float().exp()[..., : expected.shape[-1]]  # (N, B, K), each a mean of four
        error = (found.var(0) / len(found) + expected.var(0) / len(expected)).sqrt() + 1e-3
        worst = ((found.mean(0) - expected.mean(0)).abs() / error).amax()
        assert float(worst) < SIGMAS, f"means are {worst:.1f} standard errors apart"
        ratio = float(found.std(0).square().mean().sqrt() / expected.std(0).square().mean().sqrt())
        assert 0.35 < ratio < 0.7, f"means of four draws have {ratio:.2f} of the spread of one"
        return
    same_answers(answers[0].float().exp(), entry, False, 1.0)


OPERATIONS: dict[str, Callable[[Brought], None]] = {
    "check": check,
    "randomize": randomize,
    "evaluate": evaluate,
    "train": train,
    "export": export,
    "serve": serve,
}
ON_RANDOM: dict[str, Callable[[Brought], None]] = {
    f"evaluate{RANDOM}": evaluate_random,
    f"train{RANDOM}": train_random,
    f"export{RANDOM}": export_random,
    f"serve{RANDOM}": serve_random,
}


def operations(entry: Brought) -> list[str]:
    """The operations of a network: those on its random version only if it has one."""
    return [
        *(name for name in OPERATIONS if name != "randomize" or not entry.unfit),
        *(ON_RANDOM if entry.random else ()),
    ]
