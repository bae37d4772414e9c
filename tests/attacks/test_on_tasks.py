"""Every attack on every task that it declares: within its budget, the same alone and in a batch, and of some effect."""

import pytest
import torch
from torch import nn

import variate
from variate import registry
from variate.evaluation.fitting import serves
from variate.evaluation.plan import Plan, check_contract, perturb
from variate.evaluation.suites import LIBRARIES
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.inputs.words import Tokens, inputs_of
from variate.random.seeding import kind_of
from variate.tasks.task import task_of
from variate.testing.text_attacks import TEXT, WORDS

SIZES = {"linf": "0.15", "l2": "0.6", "l1": "2", "l0": "8"}
X = 0.3 + 0.4 * torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
WIDTHS = {"labels": 3, "regression(tolerance=0.05)": 1, "regression(tolerance=0.02, until=0.2)": 2, "binary": 1}
TASKS = [*WIDTHS, "positions", "transcript(symbols=2)"]
OWN = [name for name in registry.entries("attacks") if name not in LIBRARIES]
MODALITY = {name: registry.get("attacks", name).facts["modality"] for name in OWN}
ON_IMAGES = [
    (name, task) for name in OWN for task in TASKS if "image" in MODALITY[name] and serves(name, task_of(task))
]
ON_TEXTS = [
    (name, task)
    for name in OWN
    for task in ("labels", "positions(classes=last)")
    if MODALITY[name] == ("text",) and serves(name, task_of(task))
]


def network_for(task):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if task == "positions":
            return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 1)).double()
        if task.startswith("transcript"):
            return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Unflatten(1, (4, 3))).double()
        return nn.Sequential(nn.Flatten(), nn.Linear(16, WIDTHS[task])).double()


def own_answers(task, kind, outputs):
    """Labels that the network of these outputs, (B, M), is right about, so that an attack has something to change.

    A number is missed by a little: where the error is exactly 0, two opposite neighbors are equally wrong, and rounding
    alone would choose the direction of an attack that compares them.
    """
    if task.startswith("positions"):
        return outputs.view(len(outputs), 3, 4, 4).argmax(1)
    if task.startswith("transcript"):
        spelled = [symbols or [0] for symbols in kind.decoded(outputs)]
        longest = max(map(len, spelled))
        return torch.tensor([symbols + [-1] * (longest - len(symbols)) for symbols in spelled])
    if task == "binary":
        return outputs.argmax(1)
    return (outputs > 0).long() if task == "labels" else outputs.detach() + 0.01


def attacked(name, target, x, y, budget):
    few = {"steps": 30} if name == "cw" else {}
    plan = Plan(name, 2, {**registry.get("attacks", name).facts["quick"], **few})
    return perturb(target, plan, budget, x, y)[0]


@pytest.mark.parametrize(("name", "task"), ON_IMAGES)
@pytest.mark.parametrize("random", [False, True])
def test_an_attack_works_on_a_task(name, task, random):
    kind, x = task_of(task), X.double()
    plain = network_for(task)
    with torch.no_grad():
        outputs = kind.answers(plain)(x)
    y = kind.typed(own_answers(task, kind, outputs))
    network = kind.answers(variate.randomize(plain, scale=0.02).eval() if random else plain)
    target = Target(network, kind_of(network, x), task=kind)
    facts = registry.get("attacks", name).facts
    norm = next(norm for norm in facts["norms"] if norm in SIZES)
    budget, before = Budget.parse(f"{norm}:{SIZES[norm]}"), x.clone()
    perturbed = attacked(name, target, x, y, budget)
    assert torch.equal(x, before)
    check_contract(name, perturbed, Image().reach(x, budget), budget)
    alone = torch.cat([attacked(name, target, x[i, None], y[i, None], budget) for i in range(2)])
    assert (perturbed[:2] - alone).abs().max() < 1e-6
    if not random and facts["access"] in ("gradient", "scores") and name != "noise":
        with torch.no_grad():
            margins = [kind.margin(network(inputs), y) for inputs in (x, perturbed)]
        assert margins[1].mean() > margins[0].mean()


class Tagger(nn.Module):
    """A linear layer on each word vector, or on their sum."""

    def __init__(self, width, *, each):
        super().__init__()
        self.tokens, self.head, self.each = Tokens(len(WORDS), 4), nn.Linear(4, width), each

    def forward(self, x):
        vectors = self.tokens(x)[0]
        return self.head(vectors if self.each else vectors.sum(1))


@pytest.mark.parametrize(("name", "task"), ON_TEXTS)
@pytest.mark.parametrize("random", [False, True])
def test_an_attack_on_words_works_on_a_task(name, task, random):
    kind, each = task_of(task), task.startswith("positions")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = Tagger(3, each=each)
    words = torch.randint(2, len(WORDS), (3, 6), generator=torch.Generator().manual_seed(1))
    x = inputs_of(words)
    with torch.no_grad():
        answers = plain(x)
    y = answers.argmax(-1) if each else (answers > 0).long()
    network = kind.answers(variate.randomize(plain, scale=0.02).eval() if random else plain)
    target = Target(network, kind_of(network, x), modality=TEXT, task=kind)
    budget = Budget.parse("words:2")
    perturbed = attacked(name, target, x, y, budget)
    check_contract(name, perturbed, TEXT.reach(x, budget), budget)
    access = registry.get("attacks", name).facts["access"]
    if not random and access in ("gradient", "scores"):
        with torch.no_grad():
            assert kind.score(network(perturbed), y).mean() < kind.score(network(x), y).mean()


def test_all_attacks_are_tried():
    assert {name for name, _ in ON_IMAGES + ON_TEXTS} == set(OWN)
