"""Certificates of other tasks: of every label, position or number by itself, against closed forms and one another."""

import math

import pytest
import torch
from scipy.special import ndtr, ndtri
from torch import nn
from typer.testing import CliRunner

import variate
from variate.certificates.certify import certify
from variate.certificates.judge_certified import judge_certified
from variate.errors import InputError, UsageError
from variate.random.randomize import randomize
from variate.records.file import Records

SIGMA = 0.25
X = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 1])
FEW = {"draws": 200, "radii": [0.1, 0.2]}
WEIGHTS = torch.tensor([[3.0, -2.0, 1.0, 2.0], [1.0, 1.0, -4.0, 0.5]])
BIAS = torch.tensor([-2.0, 1.0])


class TwoLogits(nn.Module):
    """One logit z as two: 0 and z."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        z = self.network(x)
        return torch.cat([torch.zeros_like(z), z], 1)


class Only(nn.Module):
    """One of the outputs of a network."""

    def __init__(self, network, index):
        super().__init__()
        self.network, self.index = network, index

    def forward(self, x):
        return self.network(x)[:, self.index]


def network(rows=(0,), families=None):
    layers = nn.Sequential(variate.Shift((4,)), nn.Linear(4, len(rows)))
    with torch.no_grad():
        layers[1].weight.copy_(WEIGHTS[list(rows)])
        layers[1].bias.copy_(BIAS[list(rows)])
    return randomize(layers, {"0.bias": f"normal(scale={SIGMA}, learn=no)", "*": families or "fixed"}).eval()


def numbers(x=X, row=0):
    """What the network answers without noise."""
    return x @ WEIGHTS[row] + BIAS[row]


def test_one_logit_is_certified_as_the_two_that_say_the_same():
    one, two = certify(network(), X, Y, task="binary", **FEW), certify(TwoLogits(network()), X, Y, **FEW)
    assert torch.equal(one.label, two.label)
    assert torch.equal(one.radius, two.radius)
    assert float(one.radius.max()) > 0
    assert [row.rate for row in one.rows] == [row.rate for row in two.rows]


def test_a_binary_label_is_0_or_1():
    with pytest.raises(InputError, match="label 2"):
        certify(network(), X, torch.tensor([0, 1, 2]), task="binary", **FEW)


def test_every_label_is_certified_as_if_it_were_the_only_one():
    y = torch.tensor([[0, 1], [1, 1], [1, 0]])
    both = certify(network((0, 1)), X, y, task="labels", **FEW)
    alone = [certify(Only(network((0, 1)), i), X, y[:, i], task="binary", **FEW) for i in (0, 1)]
    assert torch.equal(both.label, torch.stack([proof.label for proof in alone], 1))
    assert torch.equal(both.radius, torch.stack([proof.radius for proof in alone], 1))
    assert torch.equal(both.low, torch.stack([proof.low for proof in alone], 1))
    assert float(both.radius.max()) > 0
    for i, row in enumerate(both.rows):  # the score of an answer is the share of its labels that are right
        if row.deployment != "single, by population":  # of that, the lower end of an interval is bounded
            assert row.rate == pytest.approx(sum(proof.rows[i].rate for proof in alone) / 2)


def test_if_all_labels_must_be_right_their_draws_count_together():
    y = torch.tensor([[0, 1], [1, 1], [1, 0]])
    net, records = network((0, 1)), Records()
    whole = certify(net, X, y, task="labels(exact=true)", records=records, **FEW)
    share = certify(net, X, y, task="labels", **FEW)
    assert whole.label.shape == (3,)
    assert all(one.rate <= other.rate for one, other in zip(whole.rows, share.rows, strict=True))
    (batch,) = next(iter(records.votes.values())).values()
    assert batch.labels == [1, 1, 1]


@pytest.mark.parametrize("tolerance", [0.5, 2.0])
def test_a_number_is_certified_within_its_tolerance_as_the_closed_form_allows(tolerance):
    """W.(x + beta) is normal: the median stays within the tolerance as long as the attacker cannot move it out."""
    slope = float(WEIGHTS[0].norm())
    y = numbers() - 0.6 * tolerance  # one side decides where the noise is small beside the tolerance
    proof = certify(network(), X, y, task=f"regression(tolerance={tolerance})", draws=20_000, radii=[0.05])
    reach = 0.4 * tolerance / slope  # how far the attacker must go to move the median out
    p = ndtr(0.4 * tolerance / (SIGMA * slope)) - ndtr(-1.6 * tolerance / (SIGMA * slope))
    most = int(p > 0.5)
    assert proof.label.tolist() == [most] * 3
    assert proof.radius.tolist() == pytest.approx([SIGMA * ndtri(max(p, 1 - p))] * 3, abs=0.01)
    assert most == (tolerance > 1)
    assert not most or bool((proof.radius <= reach).all())


def test_where_one_side_decides_the_radius_of_a_number_is_tight():
    slope = float(WEIGHTS[0].norm())
    y = numbers() - 100 + 0.8  # the tolerance of 100 ends .8 above what is answered
    proof = certify(network(), X, y, task="regression(tolerance=100)", draws=100_000, radii=[0.1])
    assert proof.radius.tolist() == pytest.approx([0.8 / slope] * 3, abs=0.01)
    single = next(row for row in proof.rows if row.deployment == "single")
    assert single.rate == pytest.approx(float(ndtr(0.8 / slope / SIGMA - 0.1 / SIGMA)), abs=0.01)


def test_no_attack_within_the_budget_goes_below_the_proved_score_of_numbers():
    net = network((0, 1), families="normal(scale=0.1)")
    y = torch.stack([numbers(row=0) + 0.3, numbers(row=1) - 0.3], 1)
    task = "regression(tolerance=1)"
    proof = certify(net, X, y, task=task, draws=2000, radii=[0.1])
    proved = {row.deployment: row.rate for row in proof.rows}
    result = variate.evaluate(net, X, y, task=task, budget="l2:0.1", attacks=["pgd(steps=20)"], draws=50,
                              verdict_draws=2000, deployments=["single", "survive-10", "majority-16"])  # fmt: skip
    left = {row.deployment: row.rate for row in result.rows if row.attack == "pgd"}
    for deployment, rate in left.items():
        assert 0 < proved[deployment] <= rate + 0.02, deployment


def test_a_position_is_certified_by_itself_and_one_that_does_not_count_not_at_all():
    """A network that looks at each position alone: class 1 where the value is above a half."""
    maps = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        maps.weight.copy_(torch.tensor([0.0, 4.0]).view(2, 1, 1, 1))
        maps.bias.copy_(torch.tensor([2.0, 0.0]))
    shifted = nn.Sequential(variate.Shift((1, 2, 3)), maps)
    net = randomize(shifted, {"0.bias": f"normal(scale={SIGMA}, learn=no)", "*": "fixed"}).eval()
    x = torch.tensor([[0.9, 0.1, 0.7], [0.3, 0.55, 0.8]]).view(1, 1, 2, 3)
    y = torch.tensor([[[1, 0, 0], [0, 1, -1]]])  # the third is wrong, the last does not count
    proof = certify(net, x, y, task="positions(score_by=accuracy)", draws=20_000, radii=[0.1, 0.3])
    reach = (x[0, 0] - 0.5).abs()
    assert proof.label.shape == y.shape
    assert proof.label[0].tolist() == [[1, 0, 1], [0, 1, -1]]
    assert bool((proof.radius[0] <= reach + 0.002).all())
    assert proof.radius[0].flatten()[:5].tolist() == pytest.approx(reach.flatten()[:5].tolist(), abs=0.02)
    assert float(proof.radius[0, 1, 2]) == 0
    vote = {row.radius: row.rate for row in proof.rows if row.deployment == "vote"}
    assert vote == {0.1: pytest.approx(3 / 5), 0.3: pytest.approx(2 / 5)}  # .4, .4 and .2 are right


def test_what_does_not_count_is_in_no_rate():
    net, x = nn.Sequential(variate.Shift((1, 1, 2)), nn.Conv2d(1, 2, 1)), torch.rand(4, 1, 1, 2)
    net = randomize(net, {"0.bias": "normal(scale=0.25, learn=no)", "*": "fixed"}).eval()
    answers = net.mean()(x).argmax(1)
    task, few = "positions(score_by=accuracy)", {"draws": 100, "radii": [0.01]}
    y = answers.clone()
    y[:, :, 1] = -1
    half = certify(net, x, y, task=task, **few)
    y[:, :, 1] = 1 - answers[:, :, 1]
    full = certify(net, x, y, task=task, **few)
    one, two = (next(row.rate for row in proof.rows if row.deployment == "single") for proof in (half, full))
    assert one > two


def test_each_vote_may_be_cast_by_the_mean_of_numbers():
    """The mean of 16 weights under one noise varies less, so more votes are within the tolerance."""
    net = network(families="normal(scale=0.8)")
    one, many = (
        certify(net, X, numbers(), task="regression(tolerance=1.5)", votes_of=of, **FEW).low.mean() for of in (1, 16)
    )
    assert many > one + 0.05


def test_votes_of_parts_are_kept_and_not_cast_again(tmp_path):
    y = torch.tensor([[0, 1], [1, 1], [1, 0]])
    net = network((0, 1))
    first = certify(net, X, y, task="labels", records=Records(tmp_path / "r.jsonl"), batch_size=2, **FEW)
    before = (tmp_path / "r.jsonl").read_text()
    again = certify(net, X, y, task="labels", records=Records(tmp_path / "r.jsonl"), batch_size=2, **FEW)
    assert torch.equal(first.radius, again.radius)
    assert (tmp_path / "r.jsonl").read_text() == before
    share = certify(net, X, y, task="labels(exact=true)", records=Records(tmp_path / "r.jsonl"), **FEW)
    assert share.label.shape == (3,)  # another task is another certificate


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("positions", r"positions\(score_by=accuracy\)"),
        ("regression(tolerance=1, until=2)", "leave out until"),
        ("transcript(symbols=3)", "measure instead"),
    ],
)
def test_scores_that_are_no_mean_of_parts_are_refused_with_what_to_do(task, words):
    with pytest.raises(UsageError, match=words):
        certify(network(), X, Y, task=task, **FEW)


def test_what_is_of_classes_alone_says_so():
    numeric = {"task": "regression(tolerance=1)", **FEW}
    with pytest.raises(UsageError, match="right or abstain is not for the task regression"):
        certify(network(), X, numbers(), deployments=["certified-0.1"], **numeric)
    plain = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 1)).eval()
    with pytest.raises(UsageError, match="nothing can be proved of this network for the task regression"):
        certify(plain, X, numbers(), **numeric)
    with pytest.raises(UsageError, match="nothing can be proved"):  # bounds do not follow how one logit is read
        certify(plain, X, Y, task="binary", **FEW)
    with pytest.raises(UsageError, match="one part"):
        certify(network((0, 1)), X, torch.ones(3, 2).long(), task="labels", early_stop=True, **FEW)
    with pytest.raises(InputError, match="these inputs cannot be judged"):
        certify(network(), X, torch.full((3,), math.nan), **numeric)


def test_early_stop_serves_a_single_number():
    proof = certify(network(), X, numbers(), task="regression(tolerance=3)", early_stop=True, draws=2000, radii=[0.1])
    assert bool((proof.label == 1).all())
    assert int(proof.cast.max()) < 2000


def test_judging_right_or_abstain_is_of_classes():
    rows = judge_certified(TwoLogits(network()), X, Y, radius=0.1, budgets=["l2:0.1"], attacks=["noise"], draws=100)
    assert len(rows) == 2


OWN = """
import torch, variate
from torch import nn

def network():
    layers = nn.Sequential(variate.Shift((4,)), nn.Linear(4, 1))
    return variate.randomize(layers, {"0.bias": "normal(scale=0.25, learn=no)", "*": "fixed"}).eval()

def data():
    return torch.rand(4, 4).numpy(), torch.arange(4).numpy() % 2

def numeric():
    return torch.rand(4, 4).numpy(), torch.rand(4).numpy()
"""


def test_the_command_takes_the_task(tmp_path, monkeypatch):
    from variate.cli.main import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "one_logit.py").write_text(OWN)

    def run(data, task, *more):
        words = ["certify", "one_logit.py:network", "--data", f"one_logit.py:{data}", "--out", f"out-{data}"]
        words += ["--draws", "100", "--radii", "0.1", "--task", task, "--quiet", *more]
        return CliRunner().invoke(app, words)

    done = run("data", "binary")
    assert done.exit_code == 0, done.output
    done = run("numeric", "regression(tolerance=2)")
    assert done.exit_code == 0, done.output
    assert "vote" in done.output
    done = run("numeric", "regression(tolerance=2)", "--deployment", "certified-0.1")
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    done = run("data", "positions")
    assert done.exit_code == 2
    assert "score_by=accuracy" in done.output
