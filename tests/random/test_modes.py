"""Modes: one index for the whole network, even use of the modes where draws are averaged, and K networks given."""

from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from scipy import stats
from torch import nn

import variate
from variate.errors import RandomizeError, UsageError
from variate.evaluation.judge import judge
from variate.oracle.averaging import FreshAverage
from variate.oracle.white_box import GradientOracle
from variate.random import many
from variate.random.average import EnsembleNetwork, mean_log_probabilities
from variate.random.families.modes import Modes
from variate.random.keys import Stream, hash_words, stream_of
from variate.random.noise import threefry
from variate.random.strata import count_of_modes, enumerated
from variate.statistics.rates import Deployment
from variate.testing import families
from variate.testing.families import check_family

X = torch.linspace(-1, 1, 15).view(5, 3)


def mlp(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4)).eval()


def joined(count=3, **options):
    members = [mlp(seed) for seed in range(count)]
    return members, variate.as_modes(members, **{"around": "fixed", **options}).eval()


def test_every_draw_is_one_of_the_networks_given():
    members, net = joined()
    answers = torch.stack([member(X) for member in members])
    for key in range(30):
        with net.fixed(key):
            assert torch.allclose(net(X), answers[variate.mode_of(net, key)], atol=1e-6)
    assert {variate.mode_of(net, key) for key in range(30)} == {0, 1, 2}


def test_the_noise_around_a_mode_is_a_fraction_of_the_size_of_each_tensor():
    members, net = joined(around="normal", scale=0.1)
    draws = torch.stack([net.at(key)[0].weight.detach() for key in range(600) if variate.mode_of(net, key) == 1])
    expected = 0.1 * members[0][0].weight.detach().square().mean().sqrt()
    assert float(draws.std(0).square().mean().sqrt()) == pytest.approx(float(expected), rel=0.05)
    assert torch.allclose(draws.mean(0), members[1][0].weight.detach(), atol=0.03)


def test_networks_with_other_parameters_cannot_be_joined():
    with pytest.raises(UsageError, match="other parameters"):
        variate.as_modes([nn.Linear(2, 2), nn.Linear(2, 3)])
    with pytest.raises(UsageError, match="no modes to join"):
        variate.as_modes([nn.Linear(2, 2)])


def with_statistics(seed, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6, **options), nn.ReLU(), nn.Linear(6, 2))
        for _ in range(5):
            net(3 * torch.randn(20, 3) + seed)
    return net.eval()


def test_every_mode_has_the_batch_norm_statistics_of_its_network():
    members = [with_statistics(seed, eps=0.1) for seed in range(3)]
    before = [member(X).detach() for member in members]
    net = variate.as_modes(members, around="fixed").eval()
    for key in range(12):
        with variate.fixed(net, key):
            torch.testing.assert_close(net(X), before[variate.mode_of(net, key)], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(member(X), own) for member, own in zip(members, before, strict=True))


def test_networks_whose_buffers_no_mode_can_hold_are_named():
    with pytest.raises(UsageError, match=r"these differ.*\n.*1\.running_mean"):
        variate.as_modes([with_statistics(seed, affine=False) for seed in range(2)])
    others = [mlp(seed) for seed in range(2)]
    for value, other in enumerate(others):
        other.register_buffer("shift", torch.tensor(float(value)))
    with pytest.raises(UsageError, match="shift"):
        variate.as_modes(others)
    others[1].shift.zero_()
    assert variate.as_modes(others).shift == 0


def test_the_number_of_a_key_is_the_same_in_a_graph_and_uniform():
    keys = [0, 1, 7, 2**40 + 3, *Stream("verdict", 1).take(2000)]
    values = torch.tensor([threefry.unit(key) for key in keys])
    data = torch.stack([threefry.unit_tensor(torch.tensor(key)) for key in keys])
    assert torch.equal(values, data)
    assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-4
    assert bool(((values > 0) & (values < 1)).all())


def test_one_network_has_one_number_of_modes():
    families = {"0.*": "modes(count=2)", "*": "modes(count=3)"}
    with pytest.raises(RandomizeError) as caught:
        variate.randomize(mlp(0), families)
    assert any("one mode index" in finding for finding in caught.value.findings)
    with pytest.raises(RandomizeError):
        variate.randomize(mlp(0), {"0.*": "modes(probabilities=learned)", "*": "modes"})


@pytest.mark.parametrize(
    "option", ["count=0", "count=2.5", "around=uniform", "apart=0", "probabilities=some", "count=1, around=fixed"]
)
def test_options_that_make_no_sense(option):
    with pytest.raises(UsageError):
        variate.randomize(nn.Linear(2, 2), f"modes({option})")


def test_a_draw_survives_saving_and_the_other_modes_start_elsewhere():
    net = variate.randomize(mlp(0), "modes(count=4, probabilities=learned)", scale=0.3)
    assert [name for name in net.state_dict() if "logits" in name] == ["network_logits"]
    other = variate.randomize(mlp(1), "modes(count=4, probabilities=learned)", scale=0.3)
    other.load_state_dict(net.state_dict())
    with net.fixed(3), other.fixed(3):
        assert torch.equal(net(X), other(X))
    offsets = net.get_parameter("0.weight_offsets").detach().flatten(1)
    assert torch.allclose(offsets.mean(0), torch.zeros(18), atol=1e-6)
    assert float(torch.pdist(offsets).min()) > 0.1 * float(offsets.norm(dim=1).mean())


def test_centers_train_as_means_do_and_not_as_scales():
    net = variate.randomize(mlp(0), "modes(count=2)")
    offsets = net.get_parameter("0.weight_offsets")
    means, scales = variate.parameter_groups(net, lr=1.0, scale_lr=5.0, weight_decay=0.1)
    assert any(parameter is offsets for parameter in means["params"])
    assert {id(p) for p in scales["params"]} == {id(p) for n, p in net.named_parameters() if n.endswith("rho")}
    net(X).sum().backward()
    before = offsets.detach().clone()
    net.zero_grad()
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    torch.optim.SGD(net.parameters(), lr=1.0, weight_decay=0.1).step()
    assert torch.allclose(offsets, 0.9 * before)  # as a weight's


def test_stratified_keys_use_every_mode_equally_often():
    net = variate.randomize(mlp(0), "modes(count=4)")
    stream = Stream("verdict", 5)
    first = Counter()
    for size in (4, 8, 16):
        keys = stream.take(size)
        even = variate.stratified(net, keys)
        assert Counter(variate.mode_of(net, key) for key in even) == dict.fromkeys(range(4), size // 4)
        assert even == variate.stratified(net, keys)
        assert len(set(even)) == size
        assert {stream_of(key) for key in even} == {"verdict"}
    for _ in range(400):
        first.update(variate.mode_of(net, key) for key in variate.stratified(net, stream.take(2)))
    assert all(140 < first[mode] < 260 for mode in range(4))  # of 200; standard deviation below 13
    assert variate.stratified(net, keys[:1]) == keys[:1]
    plain = variate.randomize(mlp(0))
    assert variate.stratified(plain, keys) == keys
    assert (count_of_modes(net), count_of_modes(plain), count_of_modes(mlp(0))) == (4, 1, 1)


def test_learned_probabilities_decide_how_often_a_mode_takes_part():
    net = variate.randomize(mlp(0), "modes(count=3, probabilities=learned)")
    with torch.no_grad():
        net.network_logits.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    for start in range(20):
        keys = variate.stratified(net, Stream("user", start).take(10))
        assert Counter(variate.mode_of(net, key) for key in keys) == {0: 5, 1: 3, 2: 2}
    keys, weights = enumerated(net, [1, 2, 3, 4, 5, 6])
    assert Counter(variate.mode_of(net, key) for key in keys) == {0: 2, 1: 2, 2: 2}
    expected = torch.tensor([[0.25, 0.15, 0.1][variate.mode_of(net, key)] for key in keys])
    assert torch.allclose(weights.detach(), expected)
    with pytest.raises(UsageError, match="equally often"):
        enumerated(net, [1, 2, 3, 4])


def test_the_mean_of_all_modes_is_judged_without_chance_and_single_draws_with_it():
    members = [nn.Linear(1, 2), nn.Linear(1, 2)]
    with torch.no_grad():
        for member, bias in zip(members, ([4.0, 0.0], [0.0, 1.0]), strict=True):
            member.weight.zero_()
            member.bias.copy_(torch.tensor(bias))
    net = variate.as_modes(members, around="fixed")
    deployments = [Deployment.parse(text) for text in ("single", "mean-2", "majority-2", "survive-2")]
    x, y = torch.zeros(1, 1), torch.zeros(1, dtype=torch.long)
    right = judge(net, x, y, deployments=deployments, draws=200, stream=Stream("verdict", 0), kind="keyed")
    assert list(right) == ["single", "mean-2", "majority-2"]
    assert right["mean-2"].all()  # always one vote of each, of which the first is the surer
    assert not right["majority-2"].any()  # always a tie
    runs = right["single"][:, 0].reshape(-1, 2)
    assert 0.35 < runs.mean() < 0.65
    assert 0.3 < (runs[:, 0] == runs[:, 1]).mean() < 0.7  # independent, so often two of one mode
    served = variate.Served(net, draws=2)
    assert len({tuple(served(x)[0].tolist()) for _ in range(10)}) == 1
    searching = FreshAverage(net, 2, stream=Stream("search", 0))
    assert torch.allclose(searching(x), served(x))


def test_an_attacker_who_averages_uses_the_modes_evenly():
    _, net = joined(4)
    oracle = GradientOracle(net, draws=8, stream=Stream("search", 0))
    for _ in range(5):
        counts = Counter(variate.mode_of(net, key) for key in oracle.take_keys(X))
        assert counts == dict.fromkeys(range(4), 2)


@pytest.mark.parametrize("learn", [False, True])
def test_a_group_of_modes_is_the_loop(learn):
    net = variate.randomize(mlp(0), "modes(count=4, around=normal)", scale=0.3)
    keys = variate.stratified(net, [1, 2, 3, 4])
    assert many.group_size(net, X, keys) == (1 if net.training else 4)
    assert many.group_size(net, X, keys, training=True) == 4
    together = many.grouped(net, X, keys, learn=learn)
    alone = []
    for key in keys:
        with net.fixed(key):
            alone.append(net(X))
    alone = torch.stack(alone)
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.requires_grad == learn
    if learn:
        parameters = list(net.parameters())
        pairs = zip(*(torch.autograd.grad(o.square().sum(), parameters) for o in (together, alone)), strict=True)
        assert all(torch.allclose(one, other, atol=1e-4) for one, other in pairs)


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_an_exported_draw_is_of_one_mode(ending, tmp_path):
    members, net = joined(2)
    answers = [member(X).detach() for member in members]
    kind = "onnx" if ending == ".onnx" else "torch-export"
    variate.export(net, tmp_path / f"net{ending}", X, format=kind)
    run = variate.open_exported(tmp_path / f"net{ending}")
    seen = set()
    for _ in range(30):
        output = run(X)
        near = [index for index, answer in enumerate(answers) if torch.allclose(output, answer, atol=1e-4)]
        assert len(near) == 1
        seen.add(near[0])
    assert seen == {0, 1}


def test_an_exported_mean_is_of_all_modes(tmp_path):
    members, _ = joined(2)
    net = variate.as_modes(members, scale=1e-4).eval()  # its calls must differ a little
    variate.export(net, tmp_path / "mean.onnx", X, draws=2)
    run = variate.open_exported(tmp_path / "mean.onnx")
    expected = EnsembleNetwork(members)(X).detach()
    assert torch.allclose(expected, mean_log_probabilities(torch.stack([member(X) for member in members])))
    assert all(torch.allclose(run(X), expected, atol=1e-2) for _ in range(10))


@dataclass(frozen=True)
class IndexForEachTensor(Modes):
    def noise(self, key, uid, like):
        return super().noise(hash_words(key, uid) % 2**60, uid, like)


@dataclass(frozen=True)
class AnIndexThatIgnoresTheProbabilities(Modes):
    def edges(self, *learned):
        return super().edges(*learned) ** 2


@dataclass(frozen=True)
class EntropyOfOneMode(Modes):
    def entropy(self, mean, scale, *learned):
        return super().entropy(mean, scale, torch.zeros_like(learned[0]), *learned[1:])


@dataclass(frozen=True)
class ScaleAlone(Modes):
    def std(self, mean, scale, *learned):
        return scale.expand_as(mean)


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        (IndexForEachTensor, "different modes in two tensors"),
        (AnIndexThatIgnoresTheProbabilities, "against probabilities"),
        (EntropyOfOneMode, "entropy is"),
        (ScaleAlone, "the variance over keys"),
    ],
)
def test_the_conformance_suite_finds_what_is_broken(broken, finding, monkeypatch):
    monkeypatch.setattr(families, "family_named", lambda text: (broken(), None))
    monkeypatch.setattr(families, "network_findings", lambda text, share, **_: [])
    with pytest.raises(AssertionError, match=finding):
        check_family("modes")
