"""Tables: what attacks make of rows is possible, within budgets in the features' units, and the worst there is."""

import json

import pytest
import torch
from torch import nn

from variate import registry
from variate.errors import UsageError
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.columns import Column, columns_of
from variate.inputs.modalities.tabular import Tabular
from variate.inputs.modality import modality_of
from variate.random.randomize import randomize
from variate.testing.modalities import check_modality

FEATURES = [
    {"name": "income", "low": 0, "high": 200, "unit": "kEUR"},
    {"name": "age", "low": 20, "high": 70, "step": 1},
    {"name": "height", "low": 1.0, "high": 2.0, "mutable": False},
    {"name": "tcp", "group": "protocol"},
    {"name": "udp", "group": "protocol"},
    {"name": "icmp", "group": "protocol"},
    {"name": "red", "group": "color", "mutable": False},
    {"name": "blue", "group": "color", "mutable": False},
    {"name": "rate", "low": -1, "high": 1},
]
TABLE = Tabular(FEATURES)
OURS = [name for name, entry in registry.entries("attacks").items() if "tabular" in entry.facts["modality"]]
SIZES = {"linf": ["0.1", "1"], "l2": ["0.3", "1.2"], "l1": ["0.5", "1.5"], "l0": ["2"]}


def rows(count=6, seed=0):
    """Rows of the table, each a valid one."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(count, len(FEATURES), generator=draw)
    x[:, 1] = (x[:, 1] * 50).round() / 50
    for start, size in ((3, 3), (6, 2)):
        picked = torch.randint(size, (count,), generator=draw)
        x[:, start : start + size] = nn.functional.one_hot(picked, size)
    return x


@pytest.fixture
def toy():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(len(FEATURES), 16), nn.ReLU(), nn.Linear(16, 3))
    x = rows()
    return network, x, network(x).argmax(1)


def test_every_attack_that_is_not_made_for_other_inputs_or_by_others_serves_tables():
    assert {name for name, entry in registry.entries("attacks").items() if "image" in entry.facts["modality"]} == {
        *OURS,
        "foolbox",
        "art",
    }


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("random", [False, True])
def test_every_attack_makes_possible_rows_within_the_budget(toy, name, random):
    network, x, y = toy
    net = randomize(network, scale=0.1) if random else network
    norms = registry.get("attacks", name).facts["norms"]
    budgets = [f"{norm}:{size}" for norm in norms for size in SIZES[norm]]
    budgets += ["features:income=10,age=2,protocol=1,rate=5%"] if "linf" in norms else []
    check_modality(TABLE, net, x, y, budgets, attacks=[name])


def reached(weight, x, budget, attack="pgd", modality=TABLE, **options):
    """What an attack makes of the difference of two linear logits, starting from the label that it lowers."""
    network = nn.Linear(x.shape[1], 2)
    with torch.no_grad():
        network.weight.copy_(torch.stack([torch.zeros_like(weight), weight]))
        network.bias.zero_()
    target = Target(network, "deterministic", modality=modality)
    y = torch.zeros(len(x), dtype=torch.long)
    return perturb(target, Plan(attack, 1, options), Budget.parse(budget), x, y)[0]


def best_row(weight, x, size):
    """The row within features' sizes (in units of the range; 1 allows another category) that raises weight . x most."""
    best = x.double().clone()
    for place, column in enumerate(columns_of(FEATURES)):
        if column.group is not None or not column.mutable or not size.get(column.name):
            continue
        step, most = (column.step or 0) / column.range, size[column.name]
        sign = weight[place].sign()
        room = (1 - x[:, place] if sign > 0 else x[:, place]).double().clamp(max=most)
        best[:, place] += sign * (torch.floor(room / step + 1e-4) * step if step else room)
    if size.get("protocol"):
        best[:, 3:6] = nn.functional.one_hot(weight[3:6].argmax(), 3)
    return best.float()


WEIGHTS = torch.randn(8, len(FEATURES), generator=torch.Generator().manual_seed(1))
EVERY = dict.fromkeys(("income", "age", "rate"))


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd", "mi-fgsm", "apgd-ce"])
@pytest.mark.parametrize(
    ("budget", "size"),
    [
        ("linf:0.1", dict.fromkeys(EVERY, 0.1)),
        ("linf:0.03", dict.fromkeys(EVERY, 0.03)),
        ("linf:1", dict.fromkeys([*EVERY, "protocol"], 1.0)),
        ("features:income=10,age=2.9", {"income": 0.05, "age": 0.058}),
        ("features:age=2,*=1", {"income": 1 / 200, "age": 0.04, "rate": 0.5, "protocol": 1}),
        ("features:protocol=1,income=5%", {"income": 0.05, "protocol": 1}),
        ("features:protocol=1", {"protocol": 1}),
        ("features:protocol=1/2,rate=1/2; times 2", {"rate": 0.5, "protocol": 1}),
        ("features:*=1%", dict.fromkeys(EVERY, 0.01)),
    ],
)
def test_attacks_reach_the_best_row_of_a_linear_network(attack, budget, size):
    x = rows(20)
    for weight in WEIGHTS:
        found = reached(weight, x, budget, attack)
        torch.testing.assert_close(found, best_row(weight, x, size), atol=2e-5, rtol=0)


def test_a_step_that_the_budget_does_not_hold_is_not_taken():
    x = rows(20)
    assert torch.equal(reached(WEIGHTS[0], x, "linf:0.019")[:, 1], x[:, 1])  # a year is 0.02 of the range
    assert not torch.equal(reached(WEIGHTS[0], x, "linf:0.02")[:, 1], x[:, 1])


@pytest.mark.parametrize(
    ("budget", "changes"),
    [
        ("linf:0.99", False),
        ("linf:1", True),
        ("l1:0.99", False),
        ("l1:1.1", True),
        ("l2:0.99", False),
        ("l2:1.1", True),
    ],
)
@pytest.mark.parametrize("cost", [1.0, 0.5])
def test_a_category_changes_where_the_budget_holds_its_cost(budget, changes, cost):
    features = [{**one, "cost": cost} if one.get("group") == "protocol" else one for one in FEATURES]
    weight = torch.tensor([0, 0, 0, -1.0, 2.0, -1.0, 0, 0, 0])
    x = rows(20)
    x = x[x[:, 4] == 0]
    scaled = Budget.parse(budget).with_size(str(float(budget.partition(":")[2]) * cost))
    found = reached(weight, x, scaled.text, modality=Tabular(features), steps=40)
    assert bool((found[:, 4] == 1).all()) is changes
    assert torch.equal(found[:, 4] == 1, found[:, 3] + found[:, 5] == 0)
    others = Tabular(features).reach(x, scaled).distance(torch.cat([x[:, :3], found[:, 3:6], x[:, 6:]], 1))
    assert others.tolist() == pytest.approx([cost * changes] * len(x))


def test_l0_counts_features_and_a_category_is_one():
    weight = torch.tensor([0.1, 0, 0, -3.0, 3.0, -3.0, 0, 0, 0.2])
    x = rows(20)
    x = x[x[:, 4] == 0]
    found = reached(weight, x, "l0:1", "jsma")
    assert bool((found[:, 4] == 1).all())
    assert torch.equal(found[:, [0, 1, 2, 6, 7, 8]], x[:, [0, 1, 2, 6, 7, 8]])
    assert TABLE.reach(x, Budget.parse("l0:1")).distance(found).tolist() == [1.0] * len(x)


def test_distances_are_in_the_user_s_unit():
    x = rows(1)
    x[0, 1] = 0.5
    moved = x.clone()
    moved[0, 1] += 0.04  # two years
    reach = TABLE.reach(x, Budget.parse("features:age=4,protocol=1,income=1"))
    assert float(reach.distance(moved)) == pytest.approx(0.5, rel=1e-4)
    moved[0, 3:6] = moved[0, [4, 5, 3]]
    assert float(reach.distance(moved)) == pytest.approx(1.0, rel=1e-6)
    assert bool(reach.contains(moved))
    assert float(TABLE.reach(x, Budget.parse("l2:1")).distance(moved)) == pytest.approx((1 + 0.04**2) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("budget", ["linf:1", "l2:9", "l1:20", "l0:9", "features:*=100%"])
def test_what_is_no_row_of_the_table_is_not_contained(budget):
    x = rows(1)
    reach = TABLE.reach(x, Budget.parse(budget))
    for place, value in ((2, 0.123), (1, 0.511), (3, 0.5), (0, 1.01), (6, 1 - float(x[0, 6]))):
        moved = x.clone()
        moved[0, place] = value
        assert not bool(reach.contains(moved)), place
    none = x.clone()
    none[0, 3:6] = 0
    assert not bool(reach.contains(none))


def test_nothing_is_touched_within_a_budget_of_nearly_nothing(toy):
    _, x, _ = toy
    for budget in ("linf:1e-6", "l2:1e-6", "l1:1e-6", "features:*=1/1000000"):
        found = reached(WEIGHTS[0], x, budget)
        torch.testing.assert_close(found, x, atol=2e-5, rtol=0)
    assert torch.equal(reached(WEIGHTS[0], x, "features:age=0"), x)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("features:agee=2", "did you mean 'age'"),
        ("features:height=0.1", "height, which cannot be changed"),
        ("features:age=1,age=2", "names a feature twice"),
        ("snr:20dB", "does not apply to tabular inputs"),
    ],
)
def test_a_budget_that_makes_no_sense_for_the_table_is_explained(budget, message):
    with pytest.raises(UsageError) as error:
        TABLE.reach(rows(), Budget.parse(budget))
    assert message in str(error.value)


def test_rows_that_are_none_are_found():
    x = rows()
    assert list(TABLE.findings(x)) == []
    x[1, 1], x[2, 3:6] = 0.511, 1.0
    found = list(TABLE.findings(x))
    assert found == [
        "age is not a whole step in 1 examples, first 1",
        "protocol is not one category in 1 examples, first 2",
    ]
    assert "8 columns, but 9 are declared" in next(TABLE.findings(x[:, :8]))
    assert "one row per example" in next(TABLE.findings(x[None]))
    with pytest.raises(UsageError, match="8 columns"):
        TABLE.reach(x[:, :8], Budget.parse("linf:1"))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ([{"name": "a", "low": 1, "high": 1}], "a has no range"),
        ([{"name": "a", "high": 10, "step": 3}], "1 to 1,000,000 whole steps"),
        ([{"name": "a", "high": 1e7, "step": 1}], "1 to 1,000,000 whole steps"),
        ([{"name": "a", "high": 1, "step": -1}], "whole steps"),
        ([{"name": "a"}, {"name": "a"}], "a is declared 2 times"),
        ([{"name": "a", "group": "g"}], "g needs at least two categories"),
        ([{"name": "a", "group": "g"}, {"name": "x"}, {"name": "b", "group": "g"}], "in adjacent columns"),
        ([{"name": "a", "group": "g"}, {"name": "b", "group": "g", "mutable": False}], "differ in more than"),
        ([{"name": "a", "group": "g", "cost": 2}, {"name": "b", "group": "g", "cost": 2}], "costs 2"),
        ([{"name": "a", "max": 3}], "unknown keys: max"),
        ([{"low": 0}], "column 0 has no name"),
    ],
)
def test_declarations_that_make_no_sense_are_explained(declared, message):
    with pytest.raises(UsageError) as error:
        columns_of(declared)
    assert message in str(error.value)


def test_declarations_survive_json():
    columns = columns_of(FEATURES)
    again = columns_of(json.loads(json.dumps([column.as_json() for column in columns])))
    assert again == columns
    assert modality_of("tabular", {"features": FEATURES, "rate": 8000}) == TABLE
    assert [Column("a", low=20, high=70, step=1).value(v) for v in (0, 0.02, 1)] == [20, 21, 70]


def test_without_declarations_every_column_is_a_number():
    x = torch.rand(5, 4)
    reach = Tabular().reach(x, Budget.parse("linf:0.1"))
    assert torch.equal(reach.inputs(x + 0.1), (x + 0.1).clamp(max=1))
    found = Tabular().reach(x, Budget.parse("features:column 2=0.1")).inputs(torch.ones_like(x))
    assert torch.equal(found[:, [0, 1, 3]], x[:, [0, 1, 3]])


def test_square_finds_what_asking_every_row_finds():
    """Seven features of three grades, one of them given: whatever is possible within the budget can be listed."""
    grades = [{"name": f"sign {i}", "step": 0.5, "mutable": i > 0} for i in range(7)]
    modality, budget = Tabular(grades), Budget.parse("features:sign 1=0.5,sign 2=1,sign 3=0.5")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 2))
        nn.init.normal_(network[0].weight, std=1.0)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 7)  # (3^7, 7)
    with torch.no_grad():
        network[2].bias -= network(every).mean(0)  # both answers are given
    answers = network(every).argmax(1)
    x = every[:: len(every) // 40]
    y = network(x).argmax(1)
    stands = torch.zeros(len(x), dtype=torch.bool)
    for i in range(len(x)):
        possible = modality.reach(x[i : i + 1].expand(len(every), -1), budget).contains(every)
        moved = (every - x[i]).abs()
        listed = (moved[:, [0, 4, 5, 6]] == 0).all(1) & (moved[:, 2] <= 1) & (moved[:, [1, 3]] <= 0.5).all(1)
        assert torch.equal(possible, listed)
        stands[i] = bool((answers[possible] == y[i]).all())
    assert 5 < int(stands.sum()) < len(x) - 5
    target = Target(network, "deterministic", modality=modality)
    found = perturb(target, Plan("square", 1, {"queries": 500}), budget, x, y)[0]
    assert torch.equal(network(found).argmax(1) == y, stands)
