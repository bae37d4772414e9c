"""Evaluation: rates that are known beforehand, honest to the draw, and nothing lost."""

import pytest
import torch
from claims import assert_same
from installed import attacks
from torch import nn

from variate import registry
from variate.errors import AttackError, InputError, UsageError
from variate.evaluation import batch as answering
from variate.evaluation.evaluate import evaluate
from variate.random.keys import stream_of
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.testing.coin import Coin, shared_coin

WHITE_BOX = [{"name": "fgsm"}, {"name": "pgd", "steps": 3}]
ATTACKS = [*WHITE_BOX, {"name": "transfer", "steps": 3}]


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(40, 1, 4, 4, generator=generator), torch.zeros(40, dtype=torch.int64)


@pytest.fixture
def pair(net, inputs):
    """A random network, and inputs with the labels that its mean network gives."""
    x, _ = inputs
    return net, x, net.mean()(x).argmax(1)


def rates(result) -> dict[tuple[str, str], tuple[float, float, float]]:
    return {(row.attack, row.deployment): (row.rate, row.low, row.high) for row in result.rows}


@pytest.mark.parametrize("coin", [lambda: Coin(0.05), lambda: shared_coin(0.05)], ids=["each example", "whole batch"])
def test_no_attack_claims_an_effect_on_a_coin(coin, inputs):
    attacks = ATTACKS if isinstance(coin(), RandomNetwork) else WHITE_BOX
    result = evaluate(coin(), *inputs, budget="linf:0.5", attacks=attacks, draws=5, verdict_draws=400)
    for (attack, deployment), (rate, low, high) in rates(result).items():
        truth = {"single": 0.95, "survive-10": 0.95**10}.get(deployment)
        if truth is not None:
            assert low <= truth <= high, (attack, deployment, rate, low, high)
    found = rates(result)
    assert all(found[a, "single"] == found["clean", "single"] for a in ("fgsm", "pgd"))


def test_a_budget_of_nearly_nothing_changes_nothing(pair):
    """The null test: without room for an attack, robust accuracy is clean accuracy, for every attack and deployment."""
    result = evaluate(*pair, budget="linf:1e-7", attacks=ATTACKS, draws=4)
    found = rates(result)
    for (attack, deployment), (rate, _, _) in found.items():
        assert rate == pytest.approx(found["clean", deployment][0], abs=2e-3), (attack, deployment)


def test_attacks_work_on_a_network_that_can_be_attacked(pair):
    found = rates(evaluate(*pair, budget="linf:0.5", attacks=["pgd"], draws=4))
    assert found["clean", "mean-16"][0] > 0.9
    assert found["pgd", "single"][2] < found["clean", "single"][1]


def test_search_and_verdict_never_share_a_draw(pair, fixed_keys):
    evaluate(*pair, budget="linf:0.1", attacks=WHITE_BOX, draws=3, verdict_draws=32)
    by_stream = {name: {key for key in fixed_keys if stream_of(key) == name} for name in ("search", "verdict")}
    assert len(by_stream["verdict"]) == 32
    assert len(by_stream["search"]) == 3 * 3
    assert not by_stream["search"] & by_stream["verdict"]


def test_the_same_seed_gives_the_same_records_in_batches_of_any_size(pair, tmp_path):
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    for path, batch_size in ((whole, 40), (parts, 7)):
        evaluate(*pair, budget="linf:0.1", attacks=ATTACKS, draws=3, records=path, batch_size=batch_size)
    assert_same(whole, parts)


def test_what_was_computed_is_kept_and_not_computed_again(pair, tmp_path, monkeypatch):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    expected = evaluate(*pair, budget="linf:0.1", attacks=["pgd"], draws=2, records=whole, batch_size=8)
    judged = []
    judge = answering.verdict

    def stopping(network, x, *rest, **options):
        judged.append(len(x))
        if len(judged) == 8:
            raise KeyboardInterrupt
        return judge(network, x, *rest, **options)

    monkeypatch.setattr(answering, "verdict", stopping)
    with pytest.raises(KeyboardInterrupt):
        evaluate(*pair, budget="linf:0.1", attacks=["pgd"], draws=2, records=path, batch_size=8)
    again = evaluate(*pair, budget="linf:0.1", attacks=["pgd"], draws=2, records=path, batch_size=8)
    assert sum(judged) == 40 * 2 + 8  # every example once per claim, and the batch that was stopped
    assert again.rows == expected.rows
    assert_same(path, whole)


def test_a_changed_network_budget_or_seed_is_another_claim(pair, tmp_path):
    net, x, y = pair
    path = tmp_path / "records.jsonl"
    changes = [(net, "linf:0.1", 0), (net, "linf:0.2", 0), (net, "linf:0.1", 1), (net.mean(), "linf:0.1", 0)]
    for network, budget, seed in changes:
        evaluate(network, x, y, budget=budget, attacks=["fgsm"], seed=seed, records=path, verdict_draws=32)
    assert len(Records(path).claims) == 4 + 3  # four attacks; clean once for both budgets


def test_the_mode_is_part_of_a_claim(inputs, tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3))
    found = []
    for mode in (True, False):
        result = evaluate(
            network.train(mode), *inputs, budget="linf:0.1", attacks=[], records=tmp_path / "records.jsonl"
        )
        found.append(result.claims[0].id)
    assert found[0] != found[1]


def test_a_foreign_random_network_is_judged_over_the_global_generator(inputs):
    torch.manual_seed(0)
    dropout = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))
    x, _ = inputs
    y = dropout.eval()(x).argmax(1)
    off = evaluate(dropout, x, y, budget="linf:0.1", attacks=["fgsm"], draws=4)
    on = evaluate(dropout.train(), x, y, budget="linf:0.1", attacks=["fgsm"], draws=4)
    assert rates(off)["clean", "single"][0] == 1.0
    assert rates(on)["clean", "single"][0] < rates(on)["clean", "mean-16"][0] < 1.0
    assert dropout.training
    evaluate(dropout, x, y, budget="linf:0.1", attacks=["transfer"])
    source = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    evaluate(dropout, x, y, budget="linf:0.1", attacks=["transfer"], source=source)


def test_the_network_is_left_as_it_was(inputs):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(8, 3)).train()
    network(inputs[0])
    network[0].weight.grad = torch.ones_like(network[0].weight)
    net = randomize(network)
    net[0].weight_rho.grad = torch.ones_like(net[0].weight_rho)
    for module in (network, net):
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        grads = [p.grad if p.grad is None else p.grad.clone() for p in module.parameters()]
        random_state = torch.get_rng_state()
        evaluate(module, *inputs, budget="linf:0.1", attacks=WHITE_BOX, draws=2, verdict_draws=32)
        assert module.training
        assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())
        for parameter, grad in zip(module.parameters(), grads, strict=True):
            assert (parameter.grad is None) == (grad is None)
            assert grad is None or torch.equal(parameter.grad, grad)
        assert torch.equal(random_state, torch.get_rng_state())


X, Y = torch.rand(4, 1, 4, 4), torch.zeros(4, dtype=torch.int64)
BAD_INPUTS = {
    "NaN": (X.clone().index_fill_(0, torch.tensor(2), float("nan")), Y, "the first is number 2"),
    "infinite": (X.clone().index_fill_(0, torch.tensor(1), float("inf")), Y, "NaN or infinite"),
    "above one": (X * 255, Y, r"inputs must be in \[0, 1\]"),
    "below zero": (X - 1, Y, r"inputs must be in \[0, 1\]"),
    "bytes": ((X * 255).byte(), Y, "divide integer pixels by 255"),
    "empty": (X[:0], Y[:0], "at least one example"),
    "no rows": (torch.rand(4), Y, "one row each"),
    "float labels": (X, Y.float(), "labels are integers"),
    "truth labels": (X, Y.bool(), "labels are integers"),
    "one-hot labels": (X, torch.eye(4, dtype=torch.int64), "one label per example"),
    "too few labels": (X, Y[:3], "one label per example"),
    "a negative label": (X, Y - 1, "negative label"),
    "a label too high": (X, Y + 3, "has 3 classes"),
    "another size": (torch.rand(4, 1, 5, 5), Y, "cannot take inputs of shape"),
    "lists": (X.tolist(), Y, "two tensors"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_cannot_be_judged_are_named(net, case):
    x, y, message = BAD_INPUTS[case]
    with pytest.raises(InputError, match=message):
        evaluate(net, x, y, budget="linf:0.1", attacks=["fgsm"])


BAD_REQUESTS = {
    "unknown attack": ({"attacks": ["pdg"]}, "did you mean 'pgd'"),
    "unknown option": ({"attacks": [{"name": "pgd", "stepps": 3}]}, "did you mean 'steps'"),
    "no name": ({"attacks": [{"steps": 3}]}, "has no name"),
    "no draws": ({"draws": 0}, "0 draws"),
    "text for draws": ({"attacks": [{"name": "pgd", "draws": "many"}]}, "average over 'many' draws"),
    "no steps": ({"attacks": [{"name": "pgd", "steps": 0}]}, "0 steps"),
    "unknown deployment": ({"deployments": ["doubble-3"]}, "no deployment"),
    "too few verdict draws": ({"verdict_draws": 20}, "too few to judge mean-16"),
    "bad budget": ({"budget": "linf:big"}, "not a number"),
    "unknown norm": ({"budget": "l3:1"}, "no norm named 'l3'"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_impossible_requests_are_named(pair, case):
    options, message = BAD_REQUESTS[case]
    with pytest.raises(UsageError, match=message):
        evaluate(*pair, **{"budget": "linf:0.1", "attacks": ["pgd"], **options})


def test_an_attack_that_leaves_its_budget_is_caught(pair, monkeypatch):
    entry = registry.get("attacks", "fgsm")

    def loud(oracle, x, y, *, budget):
        return (x + 2 * budget.eps).clamp(0, 1)

    monkeypatch.setattr(f"{entry.module}.{entry.attribute}", loud)
    with pytest.raises(AttackError, match="left the budget"):
        evaluate(*pair, budget="linf:0.1", attacks=["fgsm"])


@pytest.mark.parametrize(("outputs", "message"), [(lambda x: x * float("nan"), "NaN"), (lambda x: x[0], "returned")])
def test_a_network_without_usable_logits_is_named(inputs, outputs, message):
    class Strange(nn.Module):
        def forward(self, x):
            return outputs(x.flatten(1))

    with pytest.raises(InputError, match=message):
        evaluate(Strange(), *inputs, budget="linf:0.1", attacks=["fgsm"])


def test_the_result_prints_every_row_and_pictures_are_kept_on_request(pair, tmp_path):
    path = tmp_path / "records.jsonl"
    result = evaluate(*pair, budget="linf:8/255", attacks=["pgd"], draws=2, records=path, pictures=True)
    text = str(result)
    assert len(text.splitlines()) == 1 + len(result.rows) == 1 + 2 * 4
    assert "linf:8/255" in text
    first = result.rows[0]
    assert (first.attack, first.budget, first.deployment) == ("clean", None, "single")
    assert first.low <= first.rate <= first.high
    assert len(Records(path).pictures) == 6
    assert [row["deployment"] for row in result.as_json()[:4]] == ["single", "mean-16", "majority-16", "survive-10"]


class Constant(nn.Module):
    """Answers 0 whatever it is asked, and its gradient is zero everywhere."""

    def __init__(self, classes):
        super().__init__()
        self.answer = nn.Parameter(torch.eye(1, classes))

    def forward(self, x):
        return self.answer + 0 * x.flatten(1).sum(1, keepdim=True)


@pytest.mark.parametrize("attack", attacks(modality="image"))
def test_a_constant_network_is_always_right_and_no_attack_stumbles(attack, inputs):
    entry = registry.get("attacks", attack)
    if entry.facts["variants"]:
        pytest.skip("some of another library's attacks stumble over it, and that is said in an AttackError")
    for norm in entry.facts["norms"]:
        size = "3" if norm == "l0" else "0.5"
        options = {"name": attack, **entry.facts["quick"]}
        x, y = inputs[0][:4], inputs[1][:4]
        result = evaluate(Constant(4), x, y, budget=f"{norm}:{size}", attacks=[options])
        assert {row.rate for row in result.rows} == {1.0}


def test_a_network_of_one_class_has_nothing_to_attack(inputs):
    with pytest.raises(InputError, match="one class"):
        evaluate(Constant(1), *inputs, budget="linf:0.1")


@pytest.mark.parametrize("attack", attacks(modality="image"))
def test_a_budget_of_zero_changes_nothing_and_the_whole_range_is_one(attack, pair):
    net, x, y = pair
    entry = registry.get("attacks", attack)
    options = {"name": attack, **entry.facts["quick"]}
    for norm in entry.facts["norms"]:
        nothing = evaluate(net, x[:6], y[:6], budget=f"{norm}:0", attacks=[options], draws=2, verdict_draws=32)
        rates_of = {row.attack: row.rate for row in nothing.rows if row.deployment == "single"}
        assert rates_of[attack] == rates_of["clean"]
        everything = str(x[0].numel()) if norm in ("l1", "l0") else "4" if norm == "l2" else "1"
        evaluate(net, x[:6], y[:6], budget=f"{norm}:{everything}", attacks=[options], draws=2, verdict_draws=32)


def test_a_network_without_a_mean_is_transferred_from_as_it_is(inputs):
    """Dropout that is on: the attacker holds it, and averages over its draws."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.Tanh(), nn.Dropout(0.3), nn.Linear(32, 2)).train()
    x, _ = inputs
    y = nn.Sequential(*list(network)).eval()(x).argmax(1)
    network.train()
    result = rates(evaluate(network, x, y, budget="linf:0.3", attacks=["transfer"], deployments=["single"]))
    assert result["transfer", "single"][0] < result["clean", "single"][0] - 0.2
