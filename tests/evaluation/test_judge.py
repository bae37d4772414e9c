import numpy as np
import pytest
import torch
from torch import nn

from variate.errors import InputError, UsageError
from variate.evaluation.judge import check_draws, judge, judge_until
from variate.random.keys import Stream
from variate.random.seeding import under
from variate.statistics.rates import Deployment
from variate.testing.coin import Coin, shared_coin
from variate.testing.findings import Z

WAYS = [Deployment.parse(text) for text in ("single", "mean-4", "majority-4", "survive-3")]


class Recited(nn.Module):
    """Returns the logits of a list, one after another: shape (n, B, K)."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.asked = logits, 0

    def forward(self, x):
        self.asked += 1
        return self.logits[self.asked - 1]


def verdict(network, x, y, *, ways=WAYS, draws=12, kind="keyed", seed=0):
    return judge(network, x, y, deployments=ways, draws=draws, stream=Stream("verdict", seed), kind=kind)


def logits_of_labels(rows, classes=3):
    return 5 * nn.functional.one_hot(torch.tensor(rows), classes).float()


def test_single_draws_are_those_of_the_verdicts_keys(net, x, y):
    found = verdict(net, x, y)
    assert set(found) == {"single", "mean-4", "majority-4"}  # survive is computed from single draws
    for key, bits in zip(Stream("verdict", 0).take(12), found["single"], strict=True):
        with torch.no_grad():
            assert np.array_equal(bits, (net.at(key)(x).argmax(1) == y).numpy())


def test_groups_are_consecutive_and_a_rest_is_left_out(net, x, y):
    found = verdict(net, x, y, draws=11)
    keys = Stream("verdict", 0).take(11)
    assert [len(found[source]) for source in ("single", "mean-4", "majority-4")] == [11, 2, 2]
    for group, bits in enumerate(found["mean-4"]):
        average = net.average(keys[4 * group : 4 * group + 4])
        with torch.no_grad():
            assert np.array_equal(bits, (average(x).argmax(1) == y).numpy())


@pytest.mark.parametrize(
    ("votes", "right"),
    [([0, 0, 0, 1], True), ([0, 0, 1, 1], False), ([0, 0, 1, 2], True), ([1, 1, 2, 0], False), ([0, 1, 2, 2], False)],
)
def test_a_majority_is_strict_and_a_tie_is_wrong(votes, right):
    logits = logits_of_labels([[vote] for vote in votes] * 2)  # (8, 1, 3)
    found = verdict(Recited(logits), torch.zeros(1, 2), torch.tensor([0]), ways=WAYS[2:3], draws=8)
    assert found["majority-4"].tolist() == [[right], [right]]


def test_a_mean_averages_probabilities_not_logits():
    logits = torch.tensor([[[30.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]], [[0.0, 2.0]]] * 2)
    found = verdict(Recited(logits), torch.zeros(1, 2), torch.tensor([1]), ways=WAYS[1:2], draws=8)
    assert found["mean-4"].tolist() == [[True], [True]]  # the mean logit would say 0


def test_a_deterministic_network_is_asked_once(mlp, x, y):
    calls = []
    mlp.register_forward_hook(lambda *_: calls.append(1))
    found = verdict(mlp, x, y, kind="deterministic")
    assert len(calls) == 1
    assert {bits.shape for bits in found.values()} == {(1, 5)}
    assert len({bits.tobytes() for bits in found.values()}) == 1


@pytest.mark.parametrize(("draws", "error"), [(40, 0.05), (60, 0.5), (100, 0.0), (100, 1.0)])
def test_a_coins_error_is_found(draws, error):
    x, y = torch.rand(200, 1, 2, 2), torch.zeros(200, dtype=torch.long)
    right = verdict(Coin(error), x, y, draws=draws)["single"]
    spread = (error * (1 - error) / right.size) ** 0.5
    assert abs(right.mean() - (1 - error)) <= Z * spread


@pytest.mark.parametrize("error", [0.05, 0.5])
def test_a_shared_coin_is_right_or_wrong_on_the_whole_batch(error):
    x, y = torch.rand(20, 1, 2, 2), torch.zeros(20, dtype=torch.long)
    right = verdict(shared_coin(error), x, y, draws=400)["single"]
    assert bool((right == right[:, :1]).all())
    assert abs(right.mean() - (1 - error)) <= Z * (error * (1 - error) / len(right)) ** 0.5


@pytest.mark.parametrize("name", ["user", "train", "search", "serve", "probe"])
def test_only_the_verdicts_stream_may_judge(name, net, x, y):
    with pytest.raises(UsageError, match=f"the {name} stream cannot judge"):
        judge(net, x, y, deployments=WAYS, draws=12, stream=Stream(name), kind="keyed")


@pytest.mark.parametrize(("way", "least"), [("single", 2), ("mean-16", 32), ("majority-3", 6), ("survive-10", 11)])
def test_too_few_draws(way, least, net, x, y):
    ways = [Deployment.parse(way)]
    check_draws(ways, least)
    with pytest.raises(UsageError, match=f"at least {least} verdict draws"):
        verdict(net, x, y, ways=ways, draws=least - 1)


def test_the_network_is_left_as_it_was(x, y):
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    found = verdict(network, x, y)
    assert not bool((found["single"] == found["single"][0]).all())  # dropout that is on is judged on
    assert network.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_seeds_verdict_repeats_and_others_differ(net, x, y):
    x, y = x.repeat(20, 1, 1, 1), y.repeat(20)
    one, same, other = (verdict(net, x + 0, y, seed=seed)["single"] for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_nan_logits_are_an_error(net, x, y):
    with torch.no_grad():
        net[1].weight.fill_(float("nan"))
    with pytest.raises(InputError, match="NaN"):
        verdict(net, x, y)


def test_verdict_draws_equal_those_under_the_same_keys(x):
    network, y = Coin(0.5), torch.zeros(5, dtype=torch.long)
    found = verdict(network, x, y)["single"]
    for key, bits in zip(Stream("verdict", 0).take(12), found, strict=True):
        with under(network, key):
            assert np.array_equal(bits, (network(x).argmax(1) == y).numpy())


def test_judging_goes_on_until_the_interval_is_narrow(x):
    coin, inputs = shared_coin(0.1), torch.rand(30, 1, 4, 4)
    labels = torch.zeros(30, dtype=torch.long)
    narrow = judge_until(coin, inputs, labels, width=0.1)
    wide = judge_until(coin, inputs, labels, width=0.4)
    assert narrow.reached
    assert narrow.rate.low <= 0.9 <= narrow.rate.high
    assert narrow.rate.high - narrow.rate.low <= 0.1
    assert wide.draws < narrow.draws
    assert not judge_until(coin, inputs, labels, width=0.01, most=64).reached
    survived = judge_until(coin, inputs, labels, width=0.3, deployment="survive-5")
    assert survived.rate.low <= 0.9**5 <= survived.rate.high
    same = judge_until(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval(), inputs, labels, width=0.5)
    assert same.draws == 1
