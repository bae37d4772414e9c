"""Conformance suite for defenses: training, saving, draws and gradients of the networks they build."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from variate import registry
from variate.datasets.batches import Batches
from variate.datasets.info import about
from variate.errors import UsageError
from variate.hashing import fingerprint
from variate.random.fixing import keys_from
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.random.seeding import kind_of, outputs_under
from variate.testing.findings import conform
from variate.testing.objectives import part_names
from variate.training.defense import SHAPE, defended, teacher_of
from variate.training.recipe import Recipe
from variate.training.saved import Card, build, families_of, load, save
from variate.training.train import train
from variate.training.wiring import Objective, wire

BUDGET, STEPS = "linf:0.1", 2  # budget and steps of the inner attack
EXAMPLES, BATCH, RATE = 384, 16, 3e-3
KEYS = [11, 12, 13, 14, 15, 16, 17, 18]


def check_defense(name: str) -> None:
    """Check that a registered defense conforms. Raises ``AssertionError`` with every violation.

    The defense is applied to LeNet and to a multilayer perceptron (which it may refuse with a ``UsageError``) and
    trained for one epoch on part of the digits data set.

    Args:
        name: name of the defense; its facts ``random`` and ``adversarial`` decide what is expected.

    Example:
        >>> check_defense("deterministic")
    """
    findings = [*_option_findings(name), *_objective_findings(name)]
    for architecture in ("lenet", "mlp"):
        try:
            network, objective = _built(name, architecture)
        except UsageError as refusal:
            if architecture == "lenet":
                findings.append(f"it refuses lenet: {refusal.problem}")
            continue
        findings += [f"on {architecture}, {text}" for text in _findings(name, architecture, network, objective)]
    conform(f"defense {name}", findings)


def _built(name: str, architecture: str) -> tuple[nn.Module, str]:
    """Apply the defense to an architecture for digits; every call gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        facts = about("digits")
        plain = build(architecture, facts)
    return defended(name, plain, shape=facts.shape)


def _option_findings(name: str) -> Iterator[str]:
    """Every option can be given as text."""
    first, *others = inspect.signature(registry.get("defenses", name).load()).parameters.values()
    if first.kind is not first.POSITIONAL_OR_KEYWORD:
        yield "its first argument is not the network"
    for option in others:
        if option.name == SHAPE:  # not an option: what the inputs are
            continue
        if option.kind is not option.KEYWORD_ONLY or type(option.default) not in (str, int, float, bool):
            yield f"the option {option.name} must be keyword-only, with a default of type str, int, float or bool"


def _objective_findings(name: str) -> Iterator[str]:
    """The objective has an inner attack exactly if the facts say so, and a teacher exactly if the defense has one."""
    _, objective = _built(name, "lenet")
    needs = {registry.get("objectives", part).facts["needs"] for part in part_names(objective)}
    if ("perturb" in needs) != registry.get("defenses", name).facts["adversarial"]:
        yield f"its objective {objective} contradicts its fact `adversarial`"
    if ("teacher" in needs) != (teacher_of(name) is not None):
        yield f"its objective {objective} contradicts its fact `teacher`"


def _findings(name: str, architecture: str, network: nn.Module, objective: str) -> Iterator[str]:
    x, y = (part[:EXAMPLES] for part in registry.get("datasets", "digits").load()("train"))
    teacher, teacher_objective = None, teacher_of(name)
    if teacher_objective is not None:
        teacher = _built("deterministic", architecture)[0]
        _train_one_epoch(teacher, teacher_objective, None, x, y)
    loss = wire(Recipe(objective, budget=BUDGET, attack_steps=STEPS), network, Stream("train", 0), teacher=teacher)
    yield from _gradient_findings(network, loss, x[:64], y[:64])
    before = _value(network, loss, x, y)
    _train_one_epoch(network, objective, teacher, x, y)
    after = _value(network, loss, x, y)
    if not after < before:
        yield f"one epoch changes the loss from {before:.3f} to {after:.3f}"
    network.eval()
    facts, kind = registry.get("defenses", name).facts, kind_of(network, x[:8])
    if kind != ("keyed" if facts["random"] else "deterministic"):
        yield f"its network is {kind} in eval mode, but its fact `random` is {facts['random']}"
    yield from _draw_findings(network, x[:8], random=facts["random"])
    yield from _saved_findings(name, architecture, network, objective, x[:8])


def _train_one_epoch(network: nn.Module, objective: str, teacher: nn.Module | None, x: Tensor, y: Tensor) -> None:
    train(
        network,
        Batches(x, y, batch_size=BATCH, seed=0),
        objective=objective,
        teacher=teacher,
        epochs=1,
        lr=RATE,
        budget=BUDGET,
        attack_steps=STEPS,
        accelerator="cpu",
    )


def _value(network: nn.Module, loss: Objective, x: Tensor, y: Tensor) -> float:
    """The objective averaged over a few draws, which are the same at every call."""
    network.train()
    values = []
    for seed in range(4):
        with torch.random.fork_rng(devices=[]), _drawing(network, seed):
            torch.manual_seed(seed)
            values.append(float(loss(network, x, y).detach()))
    return math.fsum(values) / len(values)


def _gradient_findings(network: nn.Module, loss: Objective, x: Tensor, y: Tensor) -> Iterator[str]:
    """The gradient of the objective reaches every parameter, in train mode."""
    network.train()
    parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
    with torch.random.fork_rng(devices=[]), _drawing(network, 0):
        torch.manual_seed(0)
        value = loss(network, x, y)
    gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None or not bool(gradient.any()):
            yield f"no gradient reaches {parameter}"
        elif not bool(gradient.isfinite().all()):
            yield f"the gradient of {parameter} is not finite"


def _draw_findings(network: nn.Module, x: Tensor, *, random: bool) -> Iterator[str]:
    """A draw is a function of one input: the same in a copy, alone or in a batch, and finite in double precision."""
    answers = outputs_under(network, x, KEYS)  # (S, B, K)
    if random and bool((answers == answers[0]).all()):
        yield "its draws under different keys are identical"
    if not torch.equal(outputs_under(copy.deepcopy(network), x, KEYS), answers):
        yield "a deep copy gives different outputs under the same keys"
    if not torch.allclose(outputs_under(network, x[-1:], KEYS), answers[:, -1:], rtol=1e-3, atol=1e-4):
        yield "a draw gives different outputs for an input alone and within a batch"
    double = outputs_under(copy.deepcopy(network).double(), x.double(), KEYS)
    if double.dtype != torch.float64 or not bool(double.isfinite().all()):
        yield f"in double precision its outputs are {double.dtype}, or not finite"


def _saved_findings(name: str, architecture: str, network: nn.Module, objective: str, x: Tensor) -> Iterator[str]:
    """Saving and loading preserves the network."""
    facts = registry.get("datasets", "digits").facts
    card = Card(
        architecture=architecture,
        shape=list(facts["shape"]),
        classes=facts["classes"],
        mean=list(facts["mean"]),
        std=list(facts["std"]),
        families=families_of(network),
        defense=name,
        objective=objective,
        data="digits",
        seed=0,
        training={},
        history={},
        seconds=0.0,
        versions={},
        fingerprint=fingerprint(network.state_dict()),
    )
    with TemporaryDirectory() as folder:
        save(network, Path(folder), card)
        loaded = load(folder)
    if loaded.training or not torch.equal(outputs_under(loaded, x, KEYS), outputs_under(network, x, KEYS)):
        yield "after loading, it gives different outputs under the same keys"


def _drawing(network: nn.Module, seed: int) -> AbstractContextManager[None]:
    return keys_from(network, Stream("train", seed)) if isinstance(network, RandomNetwork) else nullcontext()
