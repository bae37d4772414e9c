"""Conformance of an attack: its budget, its queries, its independence of the batch, and that it leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import AttackError
from variate.evaluation.plan import Plan, Target, check_contract, perturb
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
LARGE = {"linf": "0.3", "l2": "1.2", "l1": "4.8", "l0": "16"}  # enough for any attack on the easy linear model
TEXTUAL = ("words", "chars")  # norms whose attacks are tried on texts
DRAWS = 2
SHORTFALL = 0.05  # of the reachable loss of margin: what an iterative attack may leave
SURPLUS = 1.1  # times the smallest distance: what an attack of minimal norm may take
TAKEN = 0.02  # of the margin, taken by the least attack on the easy model: it does something


def check_attack(name: str) -> None:
    """Whether a registered attack keeps its promises. Raises ``AssertionError`` with everything it does not keep.

    It is run in every norm of its facts, with the options of its ``quick``, on a deterministic network, on a random
    one, and on linear models whose optimum is known in closed form: an attack within a budget must reach the worst
    margin if it has gradients, one of minimal norm the smallest distance, and any that asks must do something. An entry
    that holds the attacks of another library (``variants``) is not held to a strength or a number of queries.

    Args:
        name: of the attack; its facts ``access`` and ``norms`` decide what is expected.

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
    """One attack as an evaluation runs it: through an oracle of its declared access, on the search stream.

    Args:
        entry: the attack.
        network: the target; an attack that transfers holds its mean network, or itself if it is deterministic.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size.
        aim: the label to reach, as in ``variate.evaluation.plan``; None to leave ``y``.

    Returns:
        Perturbed inputs, shape (B, ...), and the oracle with its counts.
    """
    target = Target(network, kind_of(network, x), name=entry.name)
    return perturb(target, Plan(entry.name, DRAWS, dict(entry.facts["quick"]), target=aim), budget, x, y, checked=False)


def _findings(entry: Entry, budget: Budget) -> Iterator[str]:
    """Everything that is wrong in one norm; results of the wrong shape or place cannot be compared any further."""
    misplaced = list(_stays_inside(entry, budget))
    if misplaced:
        yield from misplaced
        return
    for check in (_ignores_batch, _nothing_for_nothing, _leaves_no_trace):
        yield from check(entry, budget)
    if entry.facts["variants"]:  # how much the attacks of another library ask, and how strong they are, is theirs
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
    """Shape, budget and [0, 1], from inputs in the middle and at both ends of the range."""
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
    """An example's result depends on the example, not on its batch; in float64, where rounding cannot turn a step."""
    for network in _networks():
        x, y = _batch(0.0, 1.0)
        together, _ = run_attack(entry, network, x, y, budget)
        alone = torch.cat([run_attack(entry, network, x[i, None], y[i, None], budget)[0] for i in range(len(x))])
        farthest = float((together - alone).abs().max())
        if not farthest < 1e-6:
            yield f"on {type(network).__name__} the results in a batch and alone differ by {farthest:.3g}"


def _counts(entry: Entry, budget: Budget) -> Iterator[str]:
    """An attack asks exactly if its access says so, and takes gradients exactly if its access says so."""
    for network in _networks():
        _, oracle = run_attack(entry, network, *_batch(0.0, 1.0), budget)
        access = entry.facts["access"]
        forwards, backwards = oracle.queries.forwards, oracle.queries.backwards
        if any((forwards > 0) != (access != "none")) or any((backwards > 0) != (access == "gradient")):
            yield f"its access is {access}, and it made {forwards} forward, {backwards} backward passes"


def _nothing_for_nothing(entry: Entry, budget: Budget) -> Iterator[str]:
    """A budget of zero gives the inputs back."""
    for network in _networks():
        x, y = _batch(0.0, 1.0)
        perturbed, _ = run_attack(entry, network, x, y, budget.with_size("0"))
        if not torch.equal(perturbed, x):
            yield f"with a budget of 0 it moves its inputs by {float((perturbed - x).abs().max()):.3g}"


def _leaves_no_trace(entry: Entry, budget: Budget) -> Iterator[str]:
    """The target keeps its mode, parameters, gradients and statistics, and torch its global random state."""
    for network in _networks():
        network.train()
        before = _state(network)
        modes = [module.training for module in network.modules()]
        random_state = torch.get_rng_state()
        with left_as_found(network):
            run_attack(entry, network, *_batch(0.0, 1.0), budget)
            if not torch.equal(random_state, torch.get_rng_state()):
                yield "it draws from torch's global generator instead of oracle.coins"
        if [module.training for module in network.modules()] != modes:
            yield "it changes the network's mode"
        changed = [name for name, tensor in _state(network).items() if not torch.equal(tensor, before[name])]
        if changed:
            yield f"it changes {', '.join(changed)}"
        for name, parameter in network.named_parameters():
            if parameter.grad is not None or not parameter.requires_grad:
                yield f"it leaves a gradient on {name}, or takes requires_grad away from it"


def _reaches_worst_margin(entry: Entry, budget: Budget) -> Iterator[str]:
    """On a linear model of two classes the cross-entropy points along the optimal attack everywhere."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, torch.zeros(2, dtype=torch.float64))
    x, y = _batch(0.3, 0.7)
    y = y % 2
    perturbed, _ = run_attack(entry, model, x, y, budget)
    with torch.no_grad():
        start, found = margin(model(x), y), margin(model(perturbed), y)
    best = worst_margin(model, x, y, budget)
    share = float(((start - found) / (start - best)).min())
    if not share > 1 - SHORTFALL:
        yield f"on a linear model it takes only {share:.1%} of the margin that the best attack takes"


def _reaches_smallest_distance(entry: Entry, budget: Budget) -> Iterator[str]:
    """On a linear model the nearest input that is answered otherwise is known; it is sought within a wide budget."""
    model, x, y = _easy()
    perturbed, _ = run_attack(entry, model, x, y, budget.with_size(LARGE[budget.norm]))
    with torch.no_grad():
        left = int((model(perturbed).argmax(1) == y).sum())
    if left:
        yield f"on a linear model, where every example can be broken, it leaves {left} of {len(x)}"
        return
    most = float((budget.distance(perturbed, x) / smallest_distance(model, x, y, budget.norm)).max())
    if not most <= SURPLUS:
        yield f"on a linear model it goes {most:.3f} times as far as the nearest input that is answered otherwise"


def _does_something(entry: Entry, budget: Budget) -> Iterator[str]:
    """With a wide budget on an easy model, every attack that asks takes something of the margin."""
    model, x, y = _easy()
    perturbed, _ = run_attack(entry, model, x, y, budget.with_size(LARGE[budget.norm]))
    with torch.no_grad():
        start, found = margin(model(x), y), margin(model(perturbed), y)
    share = float((1 - found / start).mean())
    if not share > TAKEN:
        yield f"on an easy linear model it takes only {share:.1%} of the margin to the nearest other answer"


def _reaches_its_target(entry: Entry, budget: Budget) -> Iterator[str]:
    """With a wide budget on an easy model the chosen label comes nearer."""
    model, x, y = _easy(classes=4)
    perturbed, _ = run_attack(entry, model, x, y, budget.with_size(LARGE[budget.norm]), aim="next")
    goal = (y + 1) % 4
    with torch.no_grad():
        nearer = margin(model(perturbed), goal) - margin(model(x), goal)
    if not float(nearer.mean()) > 0:
        yield f"aimed at another label, it takes the model {-float(nearer.mean()):.3g} away from it"


def _easy(classes: int = 2) -> tuple[LinearModel, Tensor, Tensor]:
    """A linear model with nearby boundaries, and four inputs with the labels that it gives them."""
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
        ]  # takes a batch of one in train mode
        layers = [*convolution, nn.Flatten(), nn.Linear(32, 3)]
        network = nn.Sequential(*layers).double().eval()
    return network, randomize(network, scale=0.3)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
