"""Tables whose features grow or fall only, never exceed each other, or follow from each other, whatever attacks do."""

import pytest
import torch
from torch import nn

from variate import registry
from variate.certificates.ablation import Ablation
from variate.errors import UsageError
from variate.evaluation.claims import fingerprint_of
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.columns import Column, columns_moved, columns_of
from variate.inputs.modalities.tabular import Tabular
from variate.testing.modalities import check_modality

FEATURES = [
    {"name": "sent", "low": 0, "high": 100, "step": 1, "change": "up"},
    {"name": "received", "low": 0, "high": 300, "step": 1, "at_most": "limit"},
    {"name": "total", "low": 0, "high": 400, "sum_of": ["sent", "received"]},
    {"name": "limit", "low": 50, "high": 300},
    {"name": "seconds", "low": 1, "high": 11, "change": "down"},
    {"name": "rate", "low": 0, "high": 300, "ratio_of": ["received", "seconds"]},
    {"name": "tcp", "group": "protocol"},
    {"name": "udp", "group": "protocol"},
]
TABLE = Tabular(FEATURES)
OURS = [name for name, entry in registry.entries("attacks").items() if "tabular" in entry.facts["modality"]]
SIZES = {"linf": "0.2", "l2": "0.3", "l1": "0.5", "l0": "2"}
SIDED = [{"name": f"x{i}", "change": way} for i, way in enumerate(("both", "up", "down", "up", "down", "both"))]


def rows(count=6, seed=0):
    """Rows that keep every relation."""
    draw = torch.Generator().manual_seed(seed)
    sent, received = (torch.randint(most, (count,), generator=draw).double() for most in (101, 251))
    limit = (received + torch.randint(3, (count,), generator=draw)).clamp(min=50)
    seconds = 1 + 10 * torch.rand(count, generator=draw).double()
    protocol = nn.functional.one_hot(torch.randint(2, (count,), generator=draw), 2).double()
    own = torch.stack([sent, received, sent + received, limit, seconds, received / seconds], 1)
    return torch.cat([scaled(own), protocol], 1).float()


def scaled(own):
    columns = columns_of(FEATURES)[: own.shape[1]]
    low, width = (torch.tensor([getattr(column, name) for column in columns]).double() for name in ("low", "range"))
    return (own - low) / width


def kept(x, original):
    """Whether rows keep every relation and direction: (N,)."""
    columns = columns_of(FEATURES)[:6]
    sent, received, total, limit, seconds, rate = (c.low + c.range * x[:, i].double() for i, c in enumerate(columns))
    return (
        ((sent + received - total).abs() < 1e-3)
        & (received <= limit + 1e-3)
        & ((received / seconds - rate).abs() < 1e-3)
        & (x[:, 0] >= original[:, 0] - 1e-6)
        & (x[:, 4] <= original[:, 4] + 1e-6)
        & ((sent - sent.round()).abs() < 1e-3)
        & ((received - received.round()).abs() < 1e-3)
    )


@pytest.mark.parametrize("budget", ["linf:1", "l2:0.7", "features:sent=9,received=30,limit=5%,seconds=3,protocol=1"])
def test_any_point_becomes_a_row_that_keeps_directions_and_relations(budget):
    x = rows(400)
    assert list(TABLE.findings(x)) == []
    reach = TABLE.reach(x, Budget.parse(budget))
    assert torch.equal(reach.inputs(x), x)
    anywhere = torch.rand(x.shape, generator=torch.Generator().manual_seed(3))
    found = reach.inputs(reach.budget.project(anywhere, x))
    assert bool(kept(found, x).all())
    assert bool(reach.contains(found).all())
    moved = found != x
    assert all(bool(moved[:, column].any()) for column in range(6))  # and every feature still moves


@pytest.mark.parametrize("column", [0, 1, 2, 4, 5])
def test_the_judge_s_check_refuses_what_breaks_a_relation(column):
    x = rows(30)
    reach = TABLE.reach(x, Budget.parse("linf:1"))
    wrong = {0: -0.01, 1: 0.2, 2: 0.05, 4: 0.05, 5: 0.05}[column]
    moved = x.clone()
    moved[:, column] = (x[:, column] + wrong).clamp(0, 1)
    touched = moved[:, column] != x[:, column]
    assert int(touched.sum()) > 5
    assert not bool(reach.contains(moved)[touched].any())


@pytest.mark.parametrize("name", OURS)
def test_every_attack_keeps_directions_and_relations(name):
    torch.manual_seed(0)
    x = rows()
    network = nn.Sequential(nn.Linear(x.shape[1], 8), nn.ReLU(), nn.Linear(8, 2))
    norm = registry.get("attacks", name).facts["norms"][0]
    check_modality(TABLE, network, x, network(x).argmax(1), [f"{norm}:{SIZES[norm]}"], attacks=[name])


def raised(weight, x, modality, budget, attack, **options):
    """How far an attack raises weight . x."""
    network = nn.Linear(x.shape[1], 2)
    with torch.no_grad():
        network.weight.copy_(torch.stack([torch.zeros_like(weight), weight]))
        network.bias.zero_()
    target = Target(network, "deterministic", modality=modality)
    found = perturb(target, Plan(attack, 1, options), Budget.parse(budget), x, torch.zeros(len(x), dtype=torch.long))[0]
    return (found - x) @ weight


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_one_sided_attacks_reach_the_worst_row_of_a_linear_network(seed, declared):
    """In linf every column gives |w| eps where it may move along w, in l1 the best of these gives it all."""
    draw = torch.Generator().manual_seed(seed)
    weight, x = torch.randn(6, generator=draw), 0.4 + 0.2 * torch.rand(5, 6, generator=draw)
    sign = torch.tensor([0.0, 1, -1, 1, -1, 0])
    helps = torch.where(sign * weight >= 0, weight.abs(), 0.0)
    if declared:
        found = raised(weight, x, Tabular(SIDED), "linf:0.1", "pgd")
        best = raised(weight, x, Tabular(SIDED), "l1:0.1", "apgd-ce", steps=60)
        assert best.tolist() == pytest.approx([0.1 * float(helps.max())] * 5, rel=0.05)
    else:
        ways = ("", " up", " down", " up", " down", "")
        sizes = ",".join(f"x{i}=0.1{way}" for i, way in enumerate(ways))
        found = raised(weight, x, Tabular([{"name": f"x{i}"} for i in range(6)]), f"features:{sizes}", "pgd")
    assert found.tolist() == pytest.approx([0.1 * float(helps.sum())] * 5, rel=1e-3)


def test_the_gradient_in_a_sum_and_a_ratio_reaches_what_they_are_computed_from():
    features = [{"name": "a", "high": 2}, {"name": "b"}, {"name": "s", "high": 3, "sum_of": ["a", "b"]}]
    x = torch.tensor([[0.5, 0.5, 0.5]])
    found = raised(torch.tensor([0.0, 0.0, 1.0]), x, Tabular(features), "linf:0.1", "pgd")
    assert float(found) == pytest.approx(0.1)  # (2 * 0.1 + 0.1) / 3
    features = [{"name": "a"}, {"name": "b", "low": 1, "high": 2}, {"name": "r", "ratio_of": ["a", "b"]}]
    x = torch.tensor([[0.5, 0.5, 1 / 3]])
    found = raised(torch.tensor([0.0, 0.0, 1.0]), x, Tabular(features), "linf:0.1", "pgd")
    assert float(found) == pytest.approx(0.6 / 1.4 - 1 / 3, rel=1e-4)


def test_limits_in_a_chain_are_kept_by_whole_steps():
    names = ["a", "b", "c", "d"]
    steps = [1, None, 2, 1]
    features = [{"name": n, "high": 8, "step": s} for n, s in zip(names, steps, strict=True)]
    for one, other in zip(features, names[1:], strict=False):
        one["at_most"] = other
    draw = torch.Generator().manual_seed(0)
    x = torch.tensor([0.25, 0.4, 0.5, 0.625]).expand(500, -1)
    reach = Tabular(features).reach(x, Budget.parse("linf:1"))
    found = reach.inputs(torch.rand(500, 4, generator=draw))
    assert bool((found[:, :-1] <= found[:, 1:] + 1e-6).all())
    assert bool(reach.contains(found).all())
    assert int((found != x).any(1).sum()) > 400


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("features:total=3", "which is computed from sent and received"),
        ("features:sent=3 down", "declared to go up"),
        ("features:protocol=1 up", "categorical"),
        ("features:sent=up", "has no size"),
    ],
)
def test_a_budget_that_contradicts_the_table_is_explained(budget, message):
    with pytest.raises(UsageError) as error:
        TABLE.reach(rows(), Budget.parse(budget))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"change": "sideways"}, "must be both, up, down"),
        ({"sum_of": ["b"]}, "two or more different"),
        ({"sum_of": ["b", "nothing"]}, "'nothing', which is not another numeric feature"),
        ({"sum_of": ["b", "c"]}, "from 0 to 1, but what it is computed from gives 0 to 2"),
        ({"sum_of": ["b", "c"], "high": 2, "change": "up"}, "declare there what may change"),
        ({"sum_of": ["b", "c"], "ratio_of": ["b", "c"]}, "as a sum and as a ratio"),
        ({"ratio_of": ["b", "c"]}, "divides by c, which may be 0"),
        ({"at_most": "a"}, "'a', which is not another numeric feature"),
        ({"at_most": "s"}, "must be between features that follow no others"),
        ({"group": "g", "change": "up"}, "only a number goes up or down"),
    ],
)
def test_relations_that_make_no_sense_are_explained(changed, message):
    others = [{"name": "b"}, {"name": "c"}, {"name": "s", "high": 2, "sum_of": ["b", "c"]}]
    with pytest.raises(UsageError) as error:
        columns_of([{"name": "a", **changed}, *others])
    assert message in str(error.value)


def test_rows_that_break_relations_are_found():
    x = rows()
    x[1, 2] += 0.1
    x[2, 1] = 1.0
    x[2, 3] = 0.0
    found = list(TABLE.findings(x))
    assert "total is not the sum of sent and received in 2 examples, first 1" in found
    assert "received exceeds limit in 1 examples, first 2" in found


def test_every_way_to_limit_a_column_is_another_claim():
    ways = [{}, {"change": "up"}, {"change": "down"}, {"at_most": "b"}, {"mutable": False}]
    claims = [fingerprint_of(Tabular([{"name": "a", **way}, {"name": "b"}])) for way in ways]
    claims.append(fingerprint_of(Tabular([{"name": "a", "low": 0, "high": 2, "sum_of": ["b", "c"]}])))
    assert len(set(claims)) == len(claims)
    assert columns_of([column.as_json() for column in columns_of(FEATURES)]) == columns_of(FEATURES)
    assert Column("a", sum_of=["b", "c"]).sum_of == ("b", "c")


def test_certificates_count_the_columns_that_follow():
    assert columns_moved(TABLE) == 3  # one of received moves total and rate
    assert columns_moved(Tabular(SIDED)) == 1
    mask = Ablation(8, 2, None)
    assert mask.on(TABLE).touched == 3
    assert float(mask.on(TABLE).seen(1)) == pytest.approx(1 - 5 * 4 / (8 * 7))
