"""On a deterministic network our attacks are as strong as published implementations, where those are installed."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate import registry
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.random.seeding import kind_of

EXAMPLES, STEPS, POINTS = 400, 50, 0.005  # half a point: what ours may leave more than theirs
BUDGETS = ("linf:0.1", "l2:0.8")


@pytest.fixture(scope="module")
def trained():
    """A small network trained on digits with some noise, and inputs that it answers rightly."""
    x, y = registry.get("datasets", "digits").load()("train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU()]
        network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(15):
            for rows in torch.randperm(len(x)).split(64):
                noisy = (x[rows] + 0.1 * torch.randn_like(x[rows])).clamp(0, 1)
                loss = F.cross_entropy(network(noisy), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    x, y = registry.get("datasets", "digits").load()("test")
    return network.eval().requires_grad_(False), x[:EXAMPLES], y[:EXAMPLES]


def left(network, x, y):
    with torch.no_grad():
        return float((network(x).argmax(1) == y).float().mean())


def ours(name, trained, budget, **options):
    network, x, y = trained
    target = Target(network, kind_of(network, x[:2]))
    perturbed, _ = perturb(target, Plan.of({"name": name, **options}, 1), Budget.parse(budget), x, y)
    return left(network, perturbed, y)


@pytest.mark.parametrize("budget", BUDGETS)
def test_pgd_is_as_strong_as_foolbox(trained, budget):
    foolbox = pytest.importorskip("foolbox")
    network, x, y = trained
    parsed = Budget.parse(budget)
    attacks = foolbox.attacks
    kind = {"linf": attacks.LinfProjectedGradientDescentAttack, "l2": attacks.L2ProjectedGradientDescentAttack}
    attack = kind[parsed.norm](rel_stepsize=2.5 / STEPS, steps=STEPS, random_start=True)
    torch.manual_seed(0)
    _, found, _ = attack(foolbox.PyTorchModel(network, bounds=(0, 1)), x, y, epsilons=parsed.eps)
    theirs, own = left(network, found, y), ours("pgd", trained, budget, steps=STEPS)
    assert own <= theirs + POINTS + 1e-6, f"pgd {own:.4f}, foolbox {theirs:.4f}"


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(("name", "loss"), [("apgd-ce", "ce"), ("apgd-dlr", "dlr")])
def test_auto_pgd_is_as_strong_as_published(trained, budget, name, loss):
    published = pytest.importorskip("torchattacks")
    network, x, y = trained
    parsed = Budget.parse(budget)
    norm = {"linf": "Linf", "l2": "L2"}[parsed.norm]
    attack = published.APGD(network, norm=norm, eps=parsed.eps, steps=STEPS, n_restarts=1, seed=0, loss=loss)
    theirs, own = left(network, attack(x, y), y), ours(name, trained, budget, steps=STEPS)
    assert own <= theirs + POINTS + 1e-6, f"{name} {own:.4f}, published {theirs:.4f}"


@pytest.mark.parametrize("budget", BUDGETS)
def test_auto_pgd_with_targets_is_as_strong_as_published(trained, budget):
    published = pytest.importorskip("torchattacks")
    network, x, y = trained
    parsed = Budget.parse(budget)
    norm = {"linf": "Linf", "l2": "L2"}[parsed.norm]
    attack = published.APGDT(network, norm=norm, eps=parsed.eps, steps=STEPS, n_restarts=1, seed=0, n_classes=10)
    theirs, own = left(network, attack(x, y), y), ours("apgd-targeted", trained, budget, steps=STEPS)
    assert own <= theirs + POINTS + 1e-6, f"apgd-targeted {own:.4f}, published {theirs:.4f}"


@pytest.mark.parametrize("budget", BUDGETS)
def test_square_is_as_strong_as_published(trained, budget):
    if "square" not in registry.entries("attacks"):
        pytest.skip("there is no square")
    published = pytest.importorskip("torchattacks")
    network, x, y = trained
    parsed = Budget.parse(budget)
    norm = {"linf": "Linf", "l2": "L2"}[parsed.norm]
    few = (network, x[:200], y[:200])  # half a point is one of them, and the coins differ
    attack = published.Square(network, norm=norm, eps=parsed.eps, n_queries=1000, n_restarts=1, seed=0, loss="margin")
    theirs, own = left(network, attack(*few[1:]), few[2]), ours("square", few, budget, queries=1000)
    assert own <= theirs + 4 * POINTS + 1e-6, f"square {own:.4f}, published {theirs:.4f}"


@pytest.mark.parametrize("budget", BUDGETS)
def test_stronger_attacks_leave_less(trained, budget):
    found = {name: ours(name, trained, budget) for name in ("fgsm", "pgd", "apgd-ce", "apgd-dlr", "apgd-targeted")}
    assert found["pgd"] <= found["fgsm"]
    assert found["apgd-ce"] <= found["pgd"] + POINTS
    assert found["apgd-targeted"] <= min(found["apgd-ce"], found["apgd-dlr"]) + POINTS
    assert found["apgd-targeted"] < left(*trained) - 0.2
