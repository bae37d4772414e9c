"""Conformance suite for attacks: budget, queries, independence of the batch, no side effects."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import AttackError
from variate.evaluation.plan import Plan, check_contract, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.oracle.oracle import Oracle
from variate.random.randomize import randomize
from variate.random.seeding import kind_of, left_as_found
from variate.registry import Entry
from variate.testing.findings import conform
from variate.testing.linear import LinearModel, margin, smallest_distance, worst_margin
from variate.testing.text_attacks import text_findings

SIZES = {
    "linf": "8/255",
    "l2": "0.2",
    "l1": "0.25",
    "l0": "3",
    "words": "2",
    "chars": "2",
}  # inputs in [0.3, 0.7] stay inside [0, 1]
LARGE = {"linf": "0.3", "l2": "1.2", "l1": "4.8", "l0": "16"}  # large enough for any attack on the easy linear model
TEXTUAL = ("words", "chars")  # norms of attacks on texts
DRAWS = 2
SHORTFALL = 0.05  # fraction of the reachable margin loss that an iterative attack may miss
SURPLUS = 1.1  # maximum distance of a minimum-norm attack, relative to the smallest distance
TAKEN = 0.02  # minimum fraction of the margin that any attack removes on the easy model


def check_attack(name: str) -> None:
    """Check that a registered attack conforms. Raises ``AssertionError`` with every violation.

    The attack runs in every norm it declares, with the options of its ``quick``, on a deterministic network, on a
    random one, and on linear models whose optimum is known in closed form. A gradient attack within a budget must reach
    the worst margin, a minimum-norm attack the smallest distance, and any attack with queries must have some effect.
    Entries that wrap the attacks of another library (``variants``) are not held to a strength or a number of queries.

    Args:
        name: name of the attack; its facts ``access`` and ``norms`` decide what is expected.

    Example:
        >>> check_attack("fgsm")
    """
    entry = registry.get("attacks", name)
    findings = [
        f"{norm}: {finding}"
        for norm in entry.facts["norms"]
        for finding in (text_findings if norm in TEXTUAL else _findings)(entry, Budget.parse(f"{norm}:{SIZES[norm]}"))
    ]
    conform(f"attack {name}", findings)


def run_attack(
    entry: Entry, network: nn.Module, x: Tensor, y: Tensor, budget: Budget, *, aim: str | None = None
) -> tuple[Tensor, Oracle]:
    """Run one attack as an evaluation does: through an oracle of its declared access, on the search stream.

    Args:
        entry: the attack.
        network: the network under attack; the source of a transfer attack is its mean network, or itself if it is
            deterministic.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size.
        aim: the target label, as in ``variate.evaluation.plan``; None for an untargeted attack.

    Returns:
        Perturbed inputs, shape (B, ...), and the oracle with its counts.
    """
    target = Target(network, kind_of(network, x), name=entry.name)
    return perturb(target, Plan(entry.name, DRAWS, dict(entry.facts["quick"]), target=aim), budget, x, y, checked=False)


def _findings(entry: Entry, budget: Budget) -> Iterator[str]:
    """All violations in one norm; results with the wrong shape or outside the budget end the checks."""
    misplaced = list(_stays_inside(entry, budget))
    if misplaced:
        yield from misplaced
        return
    for check in (_ignores_batch, _nothing_for_nothing, _leaves_no_trace):
        yield from check(entry, budget)
    if entry.facts["variants"]:  # the queries and the strength of another library's attacks are not checked
        return
    yield from _counts(entry, budget)
    if entry.facts["access"] == "gradient" and not entry.facts["minimal"]:
        yield from _reaches_worst_margin(entry, budget)
    if entry.facts["access"] == "gradient" and entry.facts["minimal"]:
        yield from _reaches_smallest_distance(entry, budget)
    if entry.facts["access"] != "none":
        yield from _does_something(entry, budget)
    if entry.facts["targeted"]:
        yield from _reaches_its_target(entry, budget)


def _stays_inside(entry: Entry, budget: Budget) -> Iterator[str]:
    """Results keep the shape, the budget and [0, 1], for inputs inside and at both ends of the range."""
    for network in _networks():
        x, y = _batch(0.0, 1.0)
        x[0], x[1] = 0.0, 1.0
        before = x.clone()
        perturbed, _ = run_attack(entry, network, x, y, budget)
        try:
            check_contract(entry.name, perturbed, Image().reach(before, budget), budget)
        except AttackError as error:
            yield str(error)
        if not torch.equal(x, before):
            yield "it changes its inputs in place"


def _ignores_batch(entry: Entry, budget: Budget) -> Iterator[str]:
    """The result of an example does not depend on its batch; in float64, where rounding cannot flip a step."""
    for network in _networks():
        x, y = _batch(0.0, 1.0)
        together, _ = run_attack(entry, network, x, y, budget)
        alone = torch.cat([run_attack(entry, network, x[i, None], y[i, None], budget)[0] for i in range(len(x))])
        farthest = float((together - alone).abs().max())
        if not farthest < 1e-6:
            yield f"on {type(network).__name__} the results in a batch and alone differ by {farthest:.3g}"


def _counts(entry: Entry, budget: Budget) -> Iterator[str]:
    """Forward and backward passes happen exactly as the declared access says."""
    for network in _networks():
        _, oracle = run_attack(entry, network, *_batch(0.0, 1.0), budget)
        access = entry.facts["access"]
        forwards, backwards = oracle.queries.forwards, oracle.queries.backwards
        if any((forwards > 0) != (access != "none")) or any((backwards > 0) != (access == "gradient")):
            yield f"its access is {access}, but it made {forwards} forward and {backwards} backward passes"


def _nothing_for_nothing(entry: Entry, budget: Budget) -> Iterator[str]:
    """A budget of zero returns the inputs."""
    for network in _networks():
        x, y = _batch(0.0, 1.0)
        perturbed, _ = run_attack(entry, network, x, y, budget.with_size("0"))
        if not torch.equal(perturbed, x):
            yield f"with a budget of 0 it moves its inputs by {float((perturbed - x).abs().max()):.3g}"


def _leaves_no_trace(entry: Entry, budget: Budget) -> Iterator[str]:
    """The network's mode, parameters and gradients, and torch's global random state, do not change.

    What a forward pass changes, such as batch statistics, is put back by the evaluation, not by the attack.
    """
    for network in _networks():
        network.train()
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        modes = [module.training for module in network.modules()]
        random_state = torch.get_rng_state()
        with left_as_found(network):  # which would put all of it back: the checks stand inside
            run_attack(entry, network, *_batch(0.0, 1.0), budget)
            if not torch.equal(random_state, torch.get_rng_state()):
                yield "it draws from torch's global generator instead of oracle.coins"
            if [module.training for module in network.modules()] != modes:
                yield "it changes the network's mode"
            for name, parameter in network.named_parameters():
                if not torch.equal(parameter, before[name]):
                    yield f"it changes {name}"
                if parameter.grad is not None or not parameter.requires_grad:
                    yield f"it leaves a gradient on {name}, or sets its requires_grad to False"


def _reaches_worst_margin(entry: Entry, budget: Budget) -> Iterator[str]:
    """On a linear model with two classes, the gradient of the cross-entropy is the optimal direction everywhere."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, torch.zeros(2, dtype=torch.float64))
    x, y = _batch(0.3, 0.7)
    y = y % 2
    perturbed, _ = run_attack(entry, model, x, y, budget)
    with torch.no_grad():
        start, end = margin(model(x), y), margin(model(perturbed), y)
    best = worst_margin(model, x, y, budget)
    share = float(((start - end) / (start - best)).min())
    if not share > 1 - SHORTFALL:
        yield f"on a linear model it removes only {share:.1%} of the margin that the optimal attack removes"


def _reaches_smallest_distance(entry: Entry, budget: Budget) -> Iterator[str]:
    """On a linear model the nearest misclassified input is known; the attack gets a large budget to find it."""
    model, x, y = _easy()
    perturbed, _ = run_attack(entry, model, x, y, budget.with_size(LARGE[budget.norm]))
    with torch.no_grad():
        unbroken = int((model(perturbed).argmax(1) == y).sum())
    if unbroken:
        yield f"on a linear model, where every example can be broken, it fails on {unbroken} of {len(x)}"
        return
    ratio = float((budget.distance(perturbed, x) / smallest_distance(model, x, y, budget.norm)).max())
    if not ratio <= SURPLUS:
        yield f"on a linear model it goes {ratio:.3f} times as far as the nearest misclassified input"


def _does_something(entry: Entry, budget: Budget) -> Iterator[str]:
    """With a large budget on an easy model, every attack with queries reduces the margin."""
    model, x, y = _easy()
    perturbed, _ = run_attack(entry, model, x, y, budget.with_size(LARGE[budget.norm]))
    with torch.no_grad():
        start, end = margin(model(x), y), margin(model(perturbed), y)
    share = float((1 - end / start).mean())
    if not share > TAKEN:
        yield f"on an easy linear model it removes only {share:.1%} of the margin"


def _reaches_its_target(entry: Entry, budget: Budget) -> Iterator[str]:
    """With a large budget on an easy model, the target label becomes more likely."""
    model, x, y = _easy(classes=4)
    perturbed, _ = run_attack(entry, model, x, y, budget.with_size(LARGE[budget.norm]), aim="next")
    goal = (y + 1) % 4
    with torch.no_grad():
        nearer = margin(model(perturbed), goal) - margin(model(x), goal)
    if not float(nearer.mean()) > 0:
        yield f"with a target label, it moves the model away from the target by {-float(nearer.mean()):.3g}"


def _easy(classes: int = 2) -> tuple[LinearModel, Tensor, Tensor]:
    """A linear model with nearby decision boundaries, and four inputs with the labels it predicts."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(classes, 16, generator=generator, dtype=torch.float64)
    x = 0.4 + 0.2 * torch.rand(4, 1, 4, 4, generator=generator, dtype=torch.float64)
    bias = -(weight @ x.flatten(1).T).mean(1)  # the boundaries pass between the inputs
    model = LinearModel(weight, bias)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def _batch(low: float, high: float) -> tuple[Tensor, Tensor]:
    """Three inputs of shape (3, 1, 4, 4) in [low, high], float64, and labels."""
    uniform = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return low + (high - low) * uniform, torch.arange(3)


def _networks() -> tuple[nn.Module, nn.Module]:
    """A deterministic network in eval mode, and its random version."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        convolution = [
            nn.Conv2d(1, 2, 3, padding=1),
            nn.BatchNorm2d(2),
            nn.Tanh(),
        ]  # accepts a batch of one in train mode
        layers = [*convolution, nn.Flatten(), nn.Linear(32, 3)]
        network = nn.Sequential(*layers).double().eval()
    return network, randomize(network, scale=0.3)
