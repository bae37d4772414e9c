"""Whoever hands over a network and inputs gets them back as they were, bit by bit, after every public function."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

import variate
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.judge import judge_until
from variate.integrations.foolbox_art import art_classifier, foolbox_model
from variate.random.randomize import randomize
from variate.random.seeding import left_as_found
from variate.records.file import Records

X = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(6) % 3
pytestmark = pytest.mark.filterwarnings("ignore:answers depend on the batch")


class Restless(nn.Module):
    """Its forward works in place on its input, and changes everything of its own that a forward can change."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(16, 8), nn.Linear(8, 3)
        self.norm, self.drop = nn.BatchNorm1d(8, track_running_stats=True), nn.Dropout(0.1)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(3))
        self.head.weight.requires_grad_(False)

    def forward(self, x):
        x.sub_(0.5)
        self.seen += 1
        logits = self.head(self.drop(self.norm(self.first(x.flatten(1)))))
        self.mean = 0.9 * self.mean + 0.1 * logits.detach().mean(0)  # another tensor under the name
        self.head.weight.data.mul_(0.999)
        self.register_buffer("last", logits.detach().clone())
        np.random.standard_normal()
        random.random()
        self.norm.training = not self.norm.training
        return logits


def restless(case):
    torch.manual_seed(0)
    network = Restless()
    if case == "random":
        network = randomize(network)
    network.train(case == "train")
    network.norm.track_running_stats = case != "train"
    (network.first.weight.square().sum() + network.first.bias.sum()).backward()
    return network


def state(network):
    """Everything of a network and of the global generators that could be changed."""
    found = {f"state {name}": value.clone() for name, value in network.state_dict().items()}
    found |= {f"object {name}": id(value) for name, value in (*network.named_parameters(), *network.named_buffers())}
    for name, parameter in network.named_parameters():
        found[f"gradient {name}"] = None if parameter.grad is None else parameter.grad.clone()
        found[f"learned {name}"] = parameter.requires_grad
    found |= {f"mode {name}": part.training for name, part in network.named_modules()}
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    found |= {f"{hook} {name}": len(vars(part)[hook]) for name, part in network.named_modules() for hook in hooks}
    found |= {"torch": torch.get_rng_state(), "numpy": torch.as_tensor(np.random.get_state()[1].astype(np.int64))}
    return found | {"python": random.getstate(), "grad mode": torch.is_grad_enabled()}


def changed(before, after):
    names = before.keys() | after.keys()
    return sorted(name for name in names if not alike(before.get(name), after.get(name)))


def alike(one, other):
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return type(one) is type(other) and one == other


def in_foolbox(network, x, y):
    leaf = x.clone().requires_grad_(True)
    nn.functional.cross_entropy(foolbox_model(network, draws=2)(leaf), y).backward()
    assert leaf.grad.abs().max() > 0


def in_art(network, x, y):
    classifier = art_classifier(network, (1, 4, 4), 3, draws=2)
    given = x.double().numpy()  # as users of numpy have them
    assert classifier.predict(given).shape == (6, 3)
    assert np.abs(classifier.loss_gradient(given, np.eye(3)[y])).max() > 0  # one-hot, as ART has labels


PLAIN = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
SETTINGS = {"draws": 2, "verdict_draws": 4, "deployments": ["single"], "budget": "linf:0.1"}
PUBLIC = {
    "evaluate": lambda n, x, y: evaluate(n, x, y, attacks=["pgd(steps=2)", "square(queries=4)"], **SETTINGS),
    "transfer": lambda n, x, y: evaluate(PLAIN, x, y, source=n, attacks=["transfer"], **SETTINGS),
    "doubt": lambda n, x, y: doubt(n, x, y, records=Records(), name="n", steps=2, **SETTINGS),
    "judge_until": lambda n, x, y: judge_until(n, x, y, width=0.5, most=32),
    "foolbox_model": in_foolbox,
    "art_classifier": in_art,
    "randomize": lambda n, x, y: randomize(copy.deepcopy(n)) if isinstance(n, variate.RandomNetwork) else randomize(n),
    "check": lambda n, x, y: variate.check(n),
    "mean": lambda n, x, y: variate.mean(n),
    "at": lambda n, x, y: variate.at(n, 3),
}  # fmt: skip
OF_RANDOM = ("mean", "at")


@pytest.mark.parametrize("case", ["train", "eval", "random"])
@pytest.mark.parametrize("function", PUBLIC)
def test_a_public_function_leaves_network_inputs_and_generators_as_they_were(function, case):
    if function in OF_RANDOM:
        case = "random"
    if function.startswith(("foolbox", "art")):
        pytest.importorskip(function.partition("_")[0])
    network, x, y = restless(case), X.clone(), Y.clone()
    if function in ("randomize", "check") and case == "random":
        network = restless("eval")
    before = state(network)
    PUBLIC[function](network, x, y)
    generators = {"torch", "numpy", "python"} if function in ("foolbox_model", "art_classifier") else set()
    assert set(changed(before, state(network))) - generators == set()
    assert torch.equal(x, X)
    assert torch.equal(y, Y)


def test_a_network_that_fails_halfway_is_left_as_it_was():
    network, calls = restless("eval"), []

    def fail(*_):
        calls.append(1)
        if len(calls) > 25:
            raise ValueError("halfway")

    network.head.register_forward_hook(fail)
    before, x = state(network), X.clone()
    with pytest.raises(variate.VariateError, match="halfway"):
        evaluate(network, x, Y, attacks=["pgd(steps=20)"], **SETTINGS)
    assert changed(before, state(network)) == []
    assert torch.equal(x, X)


def test_what_a_first_call_adds_stays_until_the_end_of_the_outermost_context():
    class Lazy(nn.Module):
        def forward(self, x):
            if not hasattr(self, "weight"):
                self.register_buffer("weight", torch.randn(3, 16))
            return x.flatten(1) @ self.weight.T

    network = Lazy()
    with left_as_found(network):
        with left_as_found(network):
            first = network(X)
        assert torch.equal(network(X), first)
    assert not list(network.buffers())


def test_a_lazy_network_is_initialized_and_kept():
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    result = evaluate(network, X, Y, attacks=[], **SETTINGS)
    assert result.rows[0].examples == len(X)
    assert network[1].weight.shape == (3, 16)


def test_attacks_of_art_that_pass_doubles_run_on_a_float_network():
    evasion = pytest.importorskip("art.attacks.evasion")
    classifier = art_classifier(PLAIN, (1, 4, 4), 3, draws=1)
    few = {"max_iter": 1, "verbose": False}
    hop = evasion.HopSkipJump(classifier, max_eval=10, init_eval=5, **few)
    boundary = evasion.BoundaryAttack(classifier, targeted=False, num_trial=2, sample_size=2, **few)
    for attack in (hop, boundary):
        assert attack.generate(X[:2].double().numpy()).shape == (2, 1, 4, 4)
    assert all(parameter.grad is None for parameter in PLAIN.parameters())
