"""Suites: the worst of several attacks, chosen by averaged scores, judged on draws that chose nothing."""

import numpy as np
import pytest
import torch
from claims import JUDGED
from torch import nn

from variate.cli.shown_result import costs
from variate.errors import UsageError
from variate.evaluation import cascade as cascades
from variate.evaluation.cascade import DRAWS, CandidateScorer, cascade
from variate.evaluation.claims import convergence_of
from variate.evaluation.convergence import LADDER, converge
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan
from variate.evaluation.suites import SUITES, Suite, full, suite_of
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.oracle.queries import Queries
from variate.random.keys import stream_of
from variate.random.randomize import randomize
from variate.random.seeding import kind_of
from variate.records.file import Records
from variate.records.schema import Convergence
from variate.report.cost import attack_cost, by_attack, spent
from variate.statistics.rates import Deployment
from variate.testing.coin import Coin, shared_coin

BUDGET = Budget.parse("linf:0.2")


def plans(*words):
    return tuple(Plan.of(word, 3) for word in words)


def target_of(network, x):
    return Target(network.eval(), kind_of(network, x))


def quiet(*_):
    return None


@pytest.fixture
def tiny(monkeypatch):
    """A suite of three quick attacks."""
    monkeypatch.setitem(SUITES, "tiny", ({"name": "fgsm"}, {"name": "pgd", "steps": 3, "draws": 2}, "transfer"))


@pytest.fixture
def labelled(net, x):
    return net, x, net.mean()(x).argmax(1)


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("norm", ["linf:0.1", "l2:1"])
def test_every_suite_names_attacks_that_exist(name, norm):
    suite = suite_of(name, Budget.parse(norm), draws=20, transfers=["mean", "twin"])
    assert suite.draws == 20
    for plan in suite.plans:
        plan.check_fit(Budget.parse(norm), Image())
    if name == "standard":
        assert [plan.source for plan in suite.plans if plan.attack == "transfer"] == ["mean", "twin"]


@pytest.mark.parametrize("norm", ["linf:0.1", "l2:1"])
def test_arc_is_in_the_standard_suite_of_random_networks_only(norm):
    uses = [Deployment.parse("single")]
    options = {"draws": 20, "transfers": []}
    random = suite_of("standard", Budget.parse(norm), deployments=uses, **options)
    (found,) = [plan for plan in random.plans if plan.attack == "arc"]
    assert (found.draws, found.options) == (16, {"steps": 5, "classes": 4})
    plain = suite_of("standard", Budget.parse(norm), **options)
    assert [plan for plan in random.plans if plan.attack not in ("arc", "error-rate")] == list(plain.plans)
    assert "arc" in [plan.attack for plan in suite_of("full", Budget.parse(norm), **options).plans]


def test_the_full_suite_is_every_attack_of_ours():
    from variate import registry

    found = full()
    assert set(found) == set(registry.entries("attacks")) - {"foolbox", "art"}
    order = [registry.get("attacks", name).facts["access"] for name in found]
    assert order == sorted(order, key=["gradient", "scores", "labels", "none"].index)


def test_a_suite_of_ones_own_is_attacks_joined_by_plus():
    name = "apgd-ce(steps=4)+error-rate(deployment=mean-4, steps=3)+ pgd (loss='margin', draws=2)+transfer"
    suite = suite_of(
        name, BUDGET, draws=7, transfers=["mean", "twin"], deployments=[Deployment.parse("single")], modality=Image()
    )
    labels = [plan.label for plan in suite.plans]
    assert labels == ["apgd-ce", "error-rate of mean-4", "pgd", "transfer from mean", "transfer from twin"]
    assert [plan.draws for plan in suite.plans][:3] == [7, 7, 2]
    assert suite.plans[0].options == {"steps": 4}
    assert suite.name == name
    assert [plan.attack for plan in suite_of("fgsm", BUDGET, draws=1, transfers=[]).plans] == ["fgsm"]


@pytest.mark.parametrize("name", ["fgsm+pdg", "fgsm+", "+fgsm", "fgsm+pgd(stesp=3)", "fgsm(", ""])
def test_a_suite_of_ones_own_names_its_mistakes(name):
    with pytest.raises(UsageError):
        suite_of(name, BUDGET, draws=1, transfers=[])


def test_an_unknown_suite_and_an_impossible_norm_are_named():
    with pytest.raises(UsageError, match="did you mean 'standard'"):
        suite_of("standart", BUDGET, draws=1, transfers=[])
    with pytest.raises(UsageError, match="a target needs a suite"):
        evaluate(nn.Linear(4, 2), torch.rand(2, 4), torch.zeros(2).long(), budget="linf:0.1", target="next")


def test_the_worst_input_of_each_example_is_kept(labelled):
    net, x, y = labelled
    target = target_of(net, x)
    suite = Suite("s", plans("fgsm", {"name": "pgd", "steps": 5}, "transfer"))
    outcome = cascade(target, suite, BUDGET, x, y, None, quiet)
    scorer, everyone = CandidateScorer(target, y), torch.arange(len(x))
    worst, chosen = outcome.perturbed["single"], outcome.chosen["single"]
    (least,), _ = scorer.scores(worst, everyone)
    (before,), _ = scorer.scores(x, everyone)
    assert bool(BUDGET.contains(worst, x).all())
    for i, shares in enumerate(outcome.shares):
        assert float(least[i]) == pytest.approx(min([float(before[i]), *shares.values()]), abs=1e-3)
        assert chosen[i] == "clean" or shares[chosen[i]] == pytest.approx(float(least[i]), abs=1e-3)
    assert float(least.mean()) < float(before.mean())
    assert set(chosen) != {"clean"}


def test_what_is_broken_is_not_attacked_again(x):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    y = network(x).argmax(1)
    wide = Budget.parse("linf:1")
    asked = []
    suite = Suite("s", plans("fgsm", {"name": "pgd", "steps": 3}))
    outcome = cascade(
        target_of(network, x), suite, wide, x, y, None, lambda attack, rows, _: asked.append((attack, rows))
    )
    broken = sum(shares["fgsm"] == 0 for shares in outcome.shares)
    assert broken > 0
    assert asked == [("fgsm", len(x)), ("pgd", len(x) - broken)]
    for shares, backwards in zip(outcome.shares, outcome.queries.backwards, strict=True):
        assert ("pgd" in shares) == (shares["fgsm"] > 0)
        assert backwards == 1 + 3 * (shares["fgsm"] > 0)


def test_queries_of_all_attacks_and_comparisons_are_counted(labelled):
    net, x, y = labelled
    net = randomize(net.mean(), scale=3.0)  # so noisy that nothing is ever broken for good
    outcome = cascade(
        target_of(net, x), Suite("s", plans("fgsm", {"name": "pgd", "steps": 2})), BUDGET, x, y, None, quiet
    )
    rows = [i for i, shares in enumerate(outcome.shares) if len(shares) == 2]
    assert rows
    assert set(outcome.queries.forwards[rows]) == {3 * (1 + 2) + 3 * DRAWS}
    assert set(outcome.queries.backwards[rows]) == {3 * (1 + 2)}


def test_the_cost_of_each_attack_is_recorded_and_shown(labelled, tiny):
    net, x, y = labelled
    result = evaluate(net, x, y, budget="linf:0.01", attacks=[], suite="tiny", draws=3, verdict_draws=32, batch_size=2)
    claim = result.claims[-1]
    each = by_attack(result.records, claim)
    assert list(each) == ["fgsm", "pgd", "transfer from mean"]
    attacked = [line.shares for line in result.records.examples[claim.id].values()]
    for name, passes in (("fgsm", 3 * 1), ("pgd", 2 * 3), ("transfer from mean", 0)):
        ran = sum(name in shares for shares in attacked) / len(attacked)
        assert each[name][:2] == pytest.approx((passes * ran, passes * ran)), name
    total = spent(result.records, claim)
    assert sum(backwards for _, backwards, _ in each.values()) == pytest.approx(total.backward_passes)
    assert sum(seconds for *_, seconds in each.values()) < total.attack_seconds + 0.01
    (line,) = costs(result.records, result)
    assert line.startswith(f"tiny: {total.forward_passes:,.0f} forward")
    assert "pgd" in line
    rows = [cell.text for cells in attack_cost(result.records).lines for cell in cells]
    assert [text for text in rows if text.startswith("tiny")][1:] == [f"tiny: {name}" for name in each]


@pytest.mark.parametrize("size", [1, 3])
def test_an_outcome_does_not_depend_on_the_batch(size, net, x, y):
    target, suite = target_of(net.double(), x), Suite("s", plans("fgsm", {"name": "pgd", "steps": 4}, "transfer"))
    x = x.double()
    whole = cascade(target, suite, BUDGET, x, y, None, quiet)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        alone = cascade(target, suite, BUDGET, x[part], y[part], None, quiet)
        assert torch.allclose(alone.perturbed["single"], whole.perturbed["single"][part], atol=1e-6)
        assert alone.chosen["single"] == whole.chosen["single"][part]
        assert alone.shares == whole.shares[part]
        assert np.array_equal(alone.queries.forwards, whole.queries.forwards[part])


def test_a_suite_is_judged_on_draws_that_chose_nothing(labelled, tiny, fixed_keys):
    net, x, y = labelled
    evaluate(net, x, y, budget=BUDGET, attacks=[], suite="tiny", draws=3, verdict_draws=32)
    verdict = {key for key in fixed_keys if stream_of(key) == "verdict"}
    assert len(verdict) == 32
    assert not verdict & {key for key in fixed_keys if stream_of(key) == "search"}


@pytest.mark.parametrize("make", [lambda: Coin(0.05), lambda: shared_coin(0.05)], ids=["each example", "whole batch"])
def test_no_suite_claims_an_effect_on_a_coin(make, tiny):
    x, y = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(60, dtype=torch.long)
    source = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    result = evaluate(
        make(), x, y, budget="linf:0.5", attacks=[], suite="tiny", draws=5, verdict_draws=400, source=source,
        deployments=["single", "survive-20"],
    )  # fmt: skip
    truth = {"single": 0.95, "survive-20": 0.95**20}
    for row in result.rows:
        assert row.low <= truth[row.deployment] <= row.high, row
    assert {row.attack for row in result.rows} == {"clean", "tiny"}


def test_the_null_test_of_a_suite(labelled, tiny):
    result = evaluate(*labelled, budget="linf:1e-6", attacks=[], suite="tiny", draws=4)
    found = {(row.attack, row.deployment): row.rate for row in result.rows}
    for deployment in {deployment for _, deployment in found}:
        assert found["tiny", deployment] == pytest.approx(found["clean", deployment], abs=0.02)


def test_a_suite_leaves_the_same_records_in_batches_of_any_size(labelled, tiny, tmp_path):
    for size in (3, 100):
        evaluate(
            *labelled, budget=BUDGET, attacks=[], suite="tiny", draws=2, batch_size=size,
            records=tmp_path / f"{size}.jsonl",
        )  # fmt: skip
    one, other = (Records(tmp_path / f"{size}.jsonl") for size in (3, 100))
    assert one.claims == other.claims
    assert [c.attack for c in one.claims.values()] == ["clean", "tiny"]
    same = [(a.answers, a.chosen) for e in one.examples.values() for a in e.values()]
    assert same == [(a.answers, a.chosen) for e in other.examples.values() for a in e.values()]


def test_an_aimed_suite_counts_every_answer_but_the_target_as_right(x):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4)).eval()
    y = network(x).argmax(1)
    result = evaluate(
        network, x, y, budget="linf:1", attacks=[{"name": "pgd", "steps": 20, "target": "next"}], suite="quick",
        target="least-likely",
    )  # fmt: skip
    found = {row.attack: row for row in result.rows if row.deployment == "single"}
    assert found["clean"].rate == 1
    assert found["pgd"].rate < 0.5
    assert found["quick"].rate < 0.8
    assert (found["pgd"].options["target"], found["quick"].options["target"]) == ("next", "least-likely")
    unaimed = evaluate(network, x, y, budget="linf:1e-7", attacks=[{"name": "pgd", "target": 2}])
    assert all(row.rate == 1 for row in unaimed.rows)  # nobody is taken to the target by nothing
    with pytest.raises(UsageError, match="no label 7"):
        evaluate(network, x, y, budget="linf:1", attacks=[{"name": "pgd", "target": 7}])


def test_draws_are_raised_until_the_accuracy_is_flat(labelled, monkeypatch):
    net, x, y = labelled
    target, scores = target_of(net, x), iter([0.6, 0.5, 0.495])
    monkeypatch.setattr(CandidateScorer, "scores", lambda self, x, rows: (torch.full((1, len(x)), next(scores)),) * 2)
    plan = Plan.of({"name": "pgd", "steps": 1}, 1)
    judged = {"network": "n", "fingerprint": "f", "inputs": "i", "seed": 0, **JUDGED}
    asked = convergence_of(judged, plan, BUDGET, len(x))
    found = converge(target, plan, BUDGET, x, y, asked)
    assert (found.draws, found.accuracy, found.chosen, found.flat) == ([5, 10, 20], [0.6, 0.5, 0.495], 10, True)
    falling = iter(np.linspace(0.9, 0.1, len(LADDER)))
    monkeypatch.setattr(CandidateScorer, "scores", lambda self, x, rows: (torch.full((1, len(x)), next(falling)),) * 2)
    found = converge(target, plan, BUDGET, x, y, asked)
    assert (found.draws, found.chosen, found.flat) == (list(LADDER), LADDER[-1], False)


def test_auto_draws_are_measured_once_and_recorded(labelled, tiny, tmp_path, monkeypatch):
    from variate.evaluation import evaluate as evaluation

    monkeypatch.setattr(evaluation, "PILOTS", ("pgd",))
    calls = []
    original = evaluation.converge
    monkeypatch.setattr(evaluation, "converge", lambda *a: calls.append(1) or original(*a))
    path = tmp_path / "records.jsonl"
    for _ in range(2):
        result = evaluate(*labelled, budget=BUDGET, attacks=[], suite="tiny", draws="auto", records=path)
    (line,) = Records(path).convergences
    assert isinstance(line, Convergence)
    assert len(calls) == 1
    assert {claim.draws for claim in result.claims if claim.attack == "tiny"} == {line.chosen}


def test_merged_queries_belong_to_their_rows():
    whole, part = Queries(4), Queries(2)
    part.count(torch.tensor([0, 1, 1]), [7, 8], forwards=1, backwards=1, again=False)
    whole.merge(part, torch.tensor([3, 1]))
    assert whole.points.tolist() == [0, 2, 0, 1]
    assert whole.forwards.tolist() == [0, 4, 0, 2]
    assert whole.draws.tolist() == [0, 2, 0, 2]


def test_the_comparison_is_of_the_same_draws_for_all(net, x, y):
    target = target_of(net, x)
    one, two = CandidateScorer(target, y), CandidateScorer(target, y)
    assert one.keys == two.keys
    assert len(one.keys) == cascades.DRAWS
    assert {stream_of(key) for key in one.keys} == {"search"}
