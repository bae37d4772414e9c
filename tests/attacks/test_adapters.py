"""Attacks of other libraries: what they are lent, what they leave behind, what they find where the best is known."""

import functools
import importlib.util
import inspect
import json
import random
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import variate.testing.attacks as conformance
from variate import registry
from variate.attacks.fgsm import fgsm
from variate.cli.main import app
from variate.errors import AttackError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import NORMS, Budget
from variate.optional import imported
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.testing.coin import shared_coin
from variate.testing.linear import LinearModel, smallest_distance, worst_margin

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("foolbox", "art")}
needs_foolbox = pytest.mark.skipif(not INSTALLED["foolbox"], reason="foolbox is not installed")
needs_art = pytest.mark.skipif(not INSTALLED["art"], reason="ART is not installed")
EACH = [pytest.param("foolbox", marks=needs_foolbox), pytest.param("art", marks=needs_art)]
STRENGTH = ("_reaches_worst_margin", "_reaches_smallest_distance")


def oracle_of(network, x, *, draws=2, **options):
    return GradientOracle(network, draws=draws, stream=Stream("search", 0), examples=len(x), **options)


def attacked(library, network, x, y, budget, *, draws=2, target=None, **options):
    oracle = oracle_of(network, x, draws=draws)
    function = registry.get("attacks", library).load()
    return function(oracle, x, y, budget=Budget.parse(budget), target=target, **options), oracle


def linear(classes=3):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(classes, 16, generator=generator, dtype=torch.float64)
    x = 0.4 + 0.2 * torch.rand(6, 1, 4, 4, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))
    return model, x, model(x).argmax(1)


# The lent network


def test_a_lent_network_is_the_average_over_its_draws(net, x, y):
    oracle = oracle_of(net, x, draws=3)
    keys = oracle.take_keys(x)
    lent = oracle.module(x, keys=keys)
    assert torch.allclose(lent(x), net.average(keys)(x), atol=1e-6)
    assert torch.equal(lent(x), lent(x))
    leaf = x.clone().requires_grad_()
    nn.functional.cross_entropy(lent(leaf), y, reduction="sum").backward()
    asked = GradientOracle(net, draws=3, stream=Stream("search", 0), average="probability")
    _, gradient = asked.gradient(x, y)
    assert torch.allclose(leaf.grad, gradient, atol=1e-6)


def test_a_lent_network_keeps_to_what_is_averaged(net, x):
    lent = oracle_of(net, x, average="logits").module(x)
    by_hand = []
    for key in lent.keys:
        with net.fixed(key):
            by_hand.append(net(x))
    assert torch.allclose(lent(x), torch.stack(by_hand).mean(0), atol=1e-6)
    votes = oracle_of(net, x, average="majority").module(x)
    assert votes(x).shape == (5, 3)
    with pytest.raises(UsageError, match="'majority' has no gradient"):
        votes(x.clone().requires_grad_())


def test_one_draw_is_lent_as_it_is(mlp, x):
    assert torch.equal(oracle_of(mlp, x).module(x)(x), mlp(x))


def test_a_lent_network_comes_in_any_type(net, x):
    lent = oracle_of(net, x).module(x)
    assert lent(x.double()).dtype == torch.float64
    assert torch.allclose(lent(x.double()).float(), lent(x))
    leaf = x.double().requires_grad_()
    lent(leaf).sum().backward()
    assert leaf.grad.dtype == torch.float64


def test_passes_are_counted_exactly(net, x, y):
    oracle = oracle_of(net, x, draws=3)
    keys = oracle.take_keys(x)
    for i, passes in ((0, 1), (3, 4)):
        rows = torch.tensor([i])
        lent = oracle.module(x[rows], rows=rows, keys=keys)
        for _ in range(passes):
            lent(x[rows].repeat(2, 1, 1, 1))  # two inputs of the same example
        leaf = x[rows].clone().requires_grad_()
        scores = lent(leaf)
        for label in range(2):  # the gradients of two classes from one forward pass
            scores[:, label].sum().backward(retain_graph=True)
    assert oracle.queries.points.tolist() == [3, 0, 0, 9, 0]
    assert oracle.queries.forwards.tolist() == [9, 0, 0, 27, 0]
    assert oracle.queries.backwards.tolist() == [6, 0, 0, 6, 0]
    assert oracle.queries.draws.tolist() == [3, 0, 0, 3, 0]


def test_passes_of_an_example_that_stands_twice_are_counted_twice(net, x):
    oracle = oracle_of(net, x, draws=3)
    rows = torch.tensor([0, 2, 0])
    lent = oracle.module(x[rows], rows=rows)
    lent(x[rows].clone().requires_grad_()).sum().backward()
    assert oracle.queries.forwards.tolist() == [6, 0, 3, 0, 0]
    assert oracle.queries.backwards.tolist() == [6, 0, 3, 0, 0]


def test_a_part_of_a_batch_is_charged_to_all_of_it(mlp, x):
    oracle = GradientOracle(mlp, stream=Stream("search", 0))
    lent = oracle.module(x)
    lent(x)
    lent(x[:2])
    lent(torch.cat([x, x[:1]]))
    assert oracle.queries.forwards.tolist() == [4] * 5


def test_what_a_library_does_with_a_lent_network_stays_there(x, y):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 3)).train()
    lent = oracle_of(network, x).module(x)
    lent.train()
    lent.eval().double().requires_grad_(False).zero_grad()
    nn.functional.cross_entropy(lent(x.clone().requires_grad_()), y).backward()
    assert network.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert not list(lent.parameters())


def test_a_library_may_look_at_inputs_that_are_no_numbers(mlp, x):
    lent = oracle_of(mlp, x).module(x)
    assert lent(x * float("nan")).isnan().all()


# What is done with any library, held with one of our own making


class Criterion:
    def __init__(self, labels):
        self.labels = labels


class Attack:
    """Moves by random numbers of all three global generators; ``does`` says what becomes of it."""

    def __init__(self, *, size: float = 0.05, does: str = "moves"):
        if size <= 0:
            raise ValueError("size must be above 0")
        self.size, self.does = size, does

    def __call__(self, model, x, criterion, *, epsilons):
        warnings.warn("heard by nobody", DeprecationWarning, stacklevel=1)
        self.goal = criterion
        if self.does == "fails":
            raise RuntimeError("the library's own error")
        if self.does == "no start":
            raise ValueError("init_attack failed for 1.0 of 1 inputs")
        if self.does == "no aim":
            raise ValueError("unsupported criterion")
        model(x)
        noise = torch.rand_like(x) + np.random.rand() + random.random()
        found = x + self.size * noise
        if self.does == "nan":
            found[0, 0, 0, 0] = float("nan")
        return (None if self.does == "none" else found), found, torch.ones(len(x)).bool()


class Smallest(Attack):
    def __init__(self):
        super().__init__(size=10.0)


class Torch:
    def __init__(self, module, bounds, device):
        self.module = module

    def __call__(self, x):
        return self.module(x)


@pytest.fixture
def fake(monkeypatch):
    """A library of the shape of foolbox."""
    library = types.ModuleType("foolbox")
    library.attacks = types.ModuleType("foolbox.attacks")
    library.attacks.base = types.SimpleNamespace(FixedEpsilonAttack=Attack, MinimizationAttack=Smallest)
    library.attacks.Attack, library.attacks.Smallest = Attack, Smallest
    library.attacks.L2DeepFoolAttack = type("L2DeepFoolAttack", (Attack,), {})
    library.distances = types.SimpleNamespace(**dict.fromkeys(NORMS))
    library.PyTorchModel = Torch
    library.Misclassification, library.TargetedMisclassification = Criterion, type("Aimed", (Criterion,), {})
    monkeypatch.setitem(sys.modules, "foolbox", library)
    return functools.partial(attacked, "foolbox")


def test_a_librarys_random_numbers_are_its_own_and_an_examples_own(fake, net, x, y):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    found, oracle = fake(net, x, y, "linf:0.1", attack="Attack")
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()
    assert states[2] == random.getstate()
    assert not torch.equal(found, x)
    alone = torch.cat([fake(net, x[i, None], y[i, None], "linf:0.1", attack="Attack")[0] for i in range(len(x))])
    assert torch.equal(found, alone)
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    assert torch.equal(found, fake(net, x, y, "linf:0.1", attack="Attack")[0])
    assert oracle.queries.forwards.tolist() == [2] * 5
    other = GradientOracle(net, draws=2, stream=Stream("search", 0), seed=1)
    moved = registry.get("attacks", "foolbox").load()(other, x, y, budget=Budget.parse("linf:0.1"), attack="Attack")
    assert not torch.equal(found, moved)


def test_a_batch_at_once_is_one_call(fake, net, x, y):
    found, oracle = fake(net, x, y, "linf:0.1", attack="Attack", one_by_one=False)
    assert oracle.queries.forwards.tolist() == [2] * 5
    assert not torch.equal(found, fake(net, x, y, "linf:0.1", attack="Attack")[0])


def test_what_is_found_outside_is_projected(fake, net, x, y):
    budget = Budget.parse("l2:0.1")
    found, _ = fake(net, x, y, "l2:0.1", attack="Smallest")
    assert bool(budget.contains(found, x).all())
    assert torch.allclose(budget.distance(found, x), torch.full((5,), 0.1), atol=0.02)  # some of it leaves [0, 1]
    assert torch.equal(fake(net, x, y, "l2:0", attack="Attack")[0], x)
    assert fake(net, x[:0], y[:0], "l2:0.1", attack="Attack")[0].shape == (0, 1, 4, 4)


@pytest.mark.parametrize("does", ["none", "nan", "no start"])
def test_nothing_found_is_the_input(does, fake, net, x, y):
    assert torch.equal(fake(net, x, y, "linf:0.1", attack="Attack", does=does)[0], x)


def test_a_library_that_fails_is_named(fake, net, x, y):
    with pytest.raises(AttackError, match="foolbox's Attack failed: RuntimeError: the library's own error"):
        fake(net, x, y, "linf:0.1", attack="Attack", does="fails")
    with pytest.raises(UsageError, match="does not support target labels"):
        fake(net, x, y, "linf:0.1", attack="Attack", does="no aim", target=(y + 1) % 3)


def test_names_and_options_that_do_not_exist(fake, net, x, y):
    with pytest.raises(UsageError, match="no attack of foolbox named 'Atack'") as error:
        fake(net, x, y, "linf:0.1", attack="Atack")
    assert "one of Attack, L2DeepFoolAttack, Smallest" in str(error.value)
    assert "did you mean 'Attack'" in str(error.value)
    with pytest.raises(UsageError, match="no option of foolbox's Attack named 'sise'") as error:
        fake(net, x, y, "linf:0.1", attack="Attack", sise=0.1)
    assert "did you mean 'size'" in str(error.value)
    with pytest.raises(UsageError, match="cannot be created with size=-1: size must be above 0"):
        fake(net, x, y, "linf:0.1", attack="Attack", size=-1)
    with pytest.raises(UsageError, match="bounds l2, and the budget is in linf") as error:
        fake(net, x, y, "linf:0.1", attack="L2DeepFoolAttack")
    assert "LinfDeepFoolAttack" in str(error.value)


@pytest.mark.parametrize(("library", "module"), [("foolbox", "foolbox"), ("art", "art")])
def test_a_library_that_is_not_installed_is_said_how_to_install(library, module, monkeypatch, net, x, y):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match="not installed") as error:
        attacked(library, net, x, y, "linf:0.1")
    assert f"pip install 'variate[{library}]'" in str(error.value)


def test_a_library_that_cannot_be_imported_says_why(tmp_path, monkeypatch):
    (tmp_path / "halfbox.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="cannot be imported: No module named 'no_such_module_anywhere'"):
        imported("halfbox", "foolbox")


def test_a_plan_hands_options_on():
    plan = Plan.of("foolbox(attack=L2DeepFoolAttack, steps=100, overshoot=0.5)", 10)
    assert plan.options == {"attack": "L2DeepFoolAttack", "steps": 100, "overshoot": 0.5}
    assert plan.draws == 10
    assert Plan.of({"name": "art", "attack": "DeepFool", "max_iter": 5}, 1).options["max_iter"] == 5
    with pytest.raises(UsageError, match="no option of pgd named 'overshoot'"):
        Plan.of("pgd(overshoot=0.5)", 10)


def test_lists_show_what_a_library_holds():
    lines = CliRunner().invoke(app, ["list", "attacks"]).stdout.splitlines()
    assert any(line.split() == ["foolbox(attack=L2DeepFoolAttack)", "l2"] for line in lines)
    assert any(line.split() == ["art(attack=SquareAttack)", "linf,", "l2"] for line in lines)
    listed = {
        entry["name"]: entry for entry in json.loads(CliRunner().invoke(app, ["list", "attacks", "--json"]).stdout)
    }
    assert "LinfDeepFoolAttack" in listed["foolbox"]["variants"]["linf"]
    assert listed["pgd"]["variants"] == {}


# The libraries themselves, where they are installed

UNLISTED = {  # attacks that foolbox and ART have, with the reason why they are not listed
    "BinarizationRefinementAttack": "needs starting points",
    "DatasetAttack": "needs a data set",
    "GenAttack": "only aims",
    "L0BrendelBethgeAttack": "needs numba",
    "L1BrendelBethgeAttack": "needs numba",
    "L2BrendelBethgeAttack": "needs numba",
    "LinfinityBrendelBethgeAttack": "needs numba",
    "BrendelBethgeAttack": "needs numba",
    "AdversarialPatch": "a patch",
    "AdversarialPatchNumpy": "a patch",
    "AdversarialPatchPyTorch": "a patch",
    "AdversarialPatchTensorFlowV2": "a patch",
    "AutoAttack": "needs multiprocess, and shows progress",
    "BoundaryAttack": "ART's draws random numbers that no seed reaches",
    "CompositeAdversarialAttackPyTorch": "bounds no norm",
    "FeatureAdversariesNumpy": "needs layers",
    "GeoDA": "fails, and writes a file",
    "HopSkipJump": "draws random numbers that no seed reaches",
    "LowProFool": "for tables",
    "OverTheAirFlickeringPyTorch": "for videos",
    "ProjectedGradientDescentTensorFlowV2": "for another framework",
    "ShadowAttack": "bounds no norm",
    "SpatialTransformation": "bounds no norm",
    "TargetedUniversalPerturbation": "one perturbation for a whole batch",
    "ThresholdAttack": "needs cma",
    "UniversalPerturbation": "one perturbation for a whole batch",
    "Wasserstein": "bounds another distance",
}
BRIEF = {  # options with which an attack takes moments
    "AutoConjugateGradient": {"max_iter": 5, "nb_random_init": 1},
    "AutoProjectedGradientDescent": {"max_iter": 5, "nb_random_init": 1},
    "BoundaryAttack": {"steps": 30},
    "CarliniL0Method": {"max_iter": 2, "binary_search_steps": 1},
    "CarliniL2Method": {"max_iter": 2, "binary_search_steps": 1},
    "CarliniLInfMethod": {"max_iter": 2, "initial_const": 1.0},
    "EADAttack": {"steps": 5, "binary_search_steps": 1},
    "ElasticNet": {"max_iter": 2, "binary_search_steps": 1},
    "GaussianBlurAttack": {"steps": 5},
    "HopSkipJumpAttack": {"steps": 1, "initial_gradient_eval_steps": 10, "max_gradient_eval_steps": 10},
    "L2CarliniWagnerAttack": {"steps": 5, "binary_search_steps": 1},
    "LinearSearchBlendedUniformNoiseAttack": {"directions": 5, "steps": 5},
    "LinearSearchContrastReductionAttack": {"steps": 5},
    "RescalingAutoConjugateGradient": {"max_iter": 5, "nb_random_init": 1},
    "PixelAttack": {"th": 1, "max_iter": 2},
    "SaltAndPepperNoiseAttack": {"steps": 10},
    "SignOPTAttack": {"max_iter": 1, "query_limit": 50, "num_trial": 2, "k": 2},
    "SimBA": {"max_iter": 5},
    "SquareAttack": {"max_iter": 5},
    "VirtualAdversarialAttack": {"steps": 2},
    "ZooAttack": {"max_iter": 1, "nb_parallel": 4, "use_resize": False, "use_importance": False},
}
SIZES = {"linf": "0.1", "l2": "0.5", "l1": "1", "l0": "3"}
LONG = ("PointwiseAttack",)  # takes more than ten seconds, and no option shortens it
VARIANTS = [
    pytest.param(library, norm, name, marks=[needs, pytest.mark.slow] if name in LONG else needs)
    for library, needs in (("foolbox", needs_foolbox), ("art", needs_art))
    for norm, names in registry.get("attacks", library).facts["variants"].items()
    for name in names
]


def brief(library, name):
    kind = attacks_of(library)[name]
    names = inspect.signature(kind).parameters
    few = {option: 3 for option in ("steps", "max_iter", "repeats") if option in names}
    return few | BRIEF.get(name, {})


@functools.cache
def attacks_of(library):
    module = imported({"foolbox": "foolbox", "art": "art.attacks.evasion"}[library], library)
    return importlib.import_module(f"variate.attacks.{library}").attacks_of(module)


@pytest.fixture(scope="module")
def picture():
    """A random network on one channel of 8 x 8, and one input with the label that it gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(18, 4))
    x = 0.25 + 0.5 * torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    net = randomize(network, scale=0.2)
    return net, x, net.average([1, 2, 3])(x).argmax(1)


@pytest.mark.parametrize(("library", "norm", "name"), VARIANTS)
def test_every_listed_attack_works(library, norm, name, picture):
    net, x, y = picture
    size = f"{norm}:{SIZES[norm]}"
    found, oracle = attacked(library, net, x, y, size, attack=name, **brief(library, name))
    assert found.shape == x.shape
    assert found.dtype == x.dtype
    assert bool(Budget.parse(size).contains(found, x).all())
    assert int(oracle.queries.forwards[0]) >= 2
    again, other = attacked(library, net, x, y, size, attack=name, **brief(library, name))
    assert torch.equal(found, again)
    assert other.queries.forwards.tolist() == oracle.queries.forwards.tolist()
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("library", EACH)
def test_the_list_is_that_of_the_library(library):
    listed = registry.get("attacks", library).facts["variants"]
    names = {name for names in listed.values() for name in names}
    there = {name for name, kind in attacks_of(library).items() if name == kind.__name__}
    assert set(listed) == set(NORMS)
    assert names <= there
    assert there - names <= set(UNLISTED), "attacks that are neither listed nor explained"


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("library", EACH)
def test_manners(library, norm):
    """What conformance asks of any attack but its strength, which is the library's."""
    entry, budget = registry.get("attacks", library), Budget.parse(f"{norm}:{conformance.SIZES[norm]}")
    checks = ["_stays_inside", "_ignores_batch", "_nothing_for_nothing", "_leaves_no_trace", "_does_something"]
    found = [
        finding for check in [*checks, "_reaches_its_target"] for finding in getattr(conformance, check)(entry, budget)
    ]
    assert not found


@pytest.mark.parametrize("draws", [1, 4])
@pytest.mark.parametrize(
    ("library", "name"),
    [
        pytest.param("foolbox", "LinfFastGradientAttack", marks=needs_foolbox),
        pytest.param("art", "FastGradientMethod", marks=needs_art),
    ],
)
def test_one_step_is_ours_under_the_same_draws(library, name, draws, net, x, y):
    found, oracle = attacked(library, net, x, y, "linf:0.05", attack=name, draws=draws)
    ours = GradientOracle(net, draws=draws, stream=Stream("search", 0), average="probability")
    assert torch.allclose(found, fgsm(ours, x, y, budget=Budget.parse("linf:0.05")), atol=1e-6)
    assert oracle.queries.forwards.tolist() == [2 * draws] * 5  # one with a gradient, one without
    assert oracle.queries.backwards.tolist() == [draws] * 5


@pytest.mark.parametrize(
    ("library", "name", "budget"),
    [
        pytest.param("foolbox", "LinfBasicIterativeAttack", "linf:0.05", marks=needs_foolbox),
        pytest.param("foolbox", "L2BasicIterativeAttack", "l2:0.2", marks=needs_foolbox),
        pytest.param("foolbox", "SparseL1DescentAttack", "l1:0.3", marks=needs_foolbox),
        pytest.param("art", "ProjectedGradientDescent", "linf:0.05", marks=needs_art),
        pytest.param("art", "ProjectedGradientDescent", "l2:0.2", marks=needs_art),
        pytest.param("art", "ProjectedGradientDescent", "l1:0.3", marks=needs_art),
    ],
)
def test_on_a_linear_model_of_two_classes_the_worst_is_reached(library, name, budget):
    model, x, y = linear(classes=2)
    far = LinearModel(model.weight, model.bias + 1.0 * nn.functional.one_hot(torch.tensor(0), 2)).requires_grad_(False)
    y = torch.zeros_like(y)
    found, _ = attacked(library, far, x, y, budget, draws=1, attack=name)
    left, worst = conformance.margin(far(found), y), worst_margin(far, x, y, Budget.parse(budget))
    start = conformance.margin(far(x), y)
    assert float(((start - left) / (start - worst)).min()) > 0.97


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("library", EACH)
def test_the_default_attack_breaks_what_can_be_broken(library, norm):
    """A tenth beyond the nearest input that is answered otherwise, where the worst is known in closed form."""
    model, x, y = linear(classes=2)
    nearest = smallest_distance(model, x, y, norm)
    left = []
    for i in range(len(x)):
        budget = f"{norm}:{1.1 * float(nearest[i])}"
        perturbed, _ = attacked(library, model, x[i, None], y[i, None], budget, draws=1)
        left.append(bool(model(perturbed).argmax(1) == y[i]))
    assert not any(left), left


@pytest.mark.parametrize(
    ("library", "options"),
    [
        pytest.param("foolbox", {"attack": "L2DeepFoolAttack"}, marks=needs_foolbox),
        pytest.param("art", {"attack": "DeepFool", "epsilon": 0.02}, marks=needs_art),
    ],
)
def test_an_attack_of_minimal_norm_finds_the_nearest(library, options):
    model, x, y = linear()
    wide, _ = attacked(library, model, x, y, "l2:2", draws=1, **options)
    assert not bool((model(wide).argmax(1) == y).any())
    nearest = smallest_distance(model, x, y, "l2")
    ratio = Budget.parse("l2:2").distance(wide, x) / nearest
    assert float(ratio.max()) < 1.2
    assert float(ratio.min()) > 1 - 1e-6
    small = f"l2:{0.5 * float(nearest.min())}"
    inside, _ = attacked(library, model, x, y, small, draws=1, **options)
    assert bool((model(inside).argmax(1) == y).all())  # projected, and so not broken


@pytest.mark.parametrize("library", EACH)
def test_what_a_library_finds_is_judged_on_fresh_draws(library, tmp_path):
    """No attack changes the coin: 0.3 is wrong whatever it finds, and the share of 400 draws says so."""
    net = shared_coin(0.3)
    x, y = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(4, dtype=torch.long)
    state = torch.get_rng_state()
    options = {"draws": 5, "verdict_draws": 400, "deployments": ["single"]}
    result = evaluate(net, x, y, budget="linf:0.2", attacks=[library], **options)
    assert torch.equal(state, torch.get_rng_state())
    row = next(row for row in result.rows if row.attack == library)
    assert abs(row.rate - 0.7) < 5 * (0.7 * 0.3 / 400) ** 0.5
    assert row.draws == 5


@pytest.mark.filterwarnings("ignore:answers depend on the batch")
@pytest.mark.parametrize("library", EACH)
def test_a_network_in_train_mode_is_left_as_it_was(library, x, y):
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.3), nn.Flatten(), nn.Linear(8, 3)
    ).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    options = {"draws": 2, "verdict_draws": 8, "deployments": ["single"]}
    evaluate(network, x, y, budget="linf:0.1", attacks=[library], **options)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


@needs_foolbox
def test_a_start_that_is_not_found_leaves_the_input(x):
    """A network that always answers 0 offers no start to the boundary attack."""
    network = LinearModel(torch.zeros(2, 16), torch.tensor([5.0, 0.0]))
    found, _ = attacked("foolbox", network, x, torch.zeros(5, dtype=torch.long), "l2:1", attack="BoundaryAttack")
    assert torch.equal(found, x)


@needs_art
def test_an_unknown_attack_of_art_names_its_choices(net, x, y):
    with pytest.raises(UsageError, match="no attack of art named 'DeepFol'") as error:
        attacked("art", net, x, y, "l2:0.1", attack="DeepFol")
    assert "did you mean 'DeepFool'" in str(error.value)
    with pytest.raises(UsageError, match="art's DeepFool does not support target labels"):
        perturb(Target(net, "keyed"), Plan.of("art(attack=DeepFool, target=next)", 2), Budget.parse("l2:0.1"), x, y)
