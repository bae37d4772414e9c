"""Certificates on networks whose truth is known: tight where a closed form says so, never above it."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torch import nn

from variate.certificates.ablation import Ablation
from variate.certificates.certified import Certified
from variate.certificates.certify import certify
from variate.certificates.gaussian import Gaussian
from variate.certificates.subject import mechanism_of
from variate.certificates.uniform import Uniform
from variate.datasets.load import labelled
from variate.errors import UsageError
from variate.evaluation.evaluate import evaluate
from variate.inputs.budget import Budget
from variate.inputs.modalities.tabular import Tabular
from variate.inputs.modalities.text import Text
from variate.inputs.words import inputs_of
from variate.models.text_cnn import TextCNN
from variate.random.input_noise import Mask, Shift
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.statistics.crossed import crossed, crossed_counts
from variate.statistics.proved import draws_for, lowest, majority
from variate.training.defense import defended

SIGMA, WORDS = 0.25, [str(i) for i in range(10)]
FAMILIES = {"0.bias": f"normal(scale={SIGMA}, learn=no)", "*": "fixed"}


def linear(classes=2, seed=0):
    torch.manual_seed(seed)
    layer = nn.Linear(16, classes)
    return layer, randomize(nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), layer), FAMILIES)


def inputs(count, seed=1):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def distance_to_boundary(layer, x):
    """Distance in l2 of every input from the boundary of two classes: (B,)."""
    with torch.no_grad():
        gap = layer(x.flatten(1)).diff(dim=1).abs()[:, 0]
        return (gap / (layer.weight[0] - layer.weight[1]).norm()).double()


def test_a_linear_network_is_certified_up_to_the_error_of_the_binomial():
    layer, net = linear()
    x = inputs(300)
    with torch.no_grad():
        y = layer(x.flatten(1)).argmax(1)
    truth, alpha, draws = distance_to_boundary(layer, x), 0.01, 3000
    proof = certify(net, x, y, radii=[0.1], draws=draws, alpha=alpha)
    assert int((proof.radius > truth).sum()) <= 300 * alpha + 5 * (300 * alpha) ** 0.5
    p = ndtr(truth.numpy() / SIGMA)  # the probability of the label
    lost = 6 * np.sqrt(p * (1 - p) / draws) + 8 / draws
    least = mechanism_of(net, x).radius(np.maximum(p - lost, 0), "l2")
    assert bool((proof.radius.numpy() >= least).all())
    assert torch.equal(proof.label, torch.where(proof.radius > 0, y, -1))


@pytest.mark.parametrize("norm", ["l2", "l1", "linf"])
def test_the_gaussian_bound_is_the_answer_of_the_worst_linear_network(norm):
    """A linear classifier along d attains the bound: the Neyman-Pearson test is linear."""
    sigma, p = np.array([0.1, 0.4, 0.2]), np.array([0.6, 0.9, 0.999])
    mechanism, eps = Gaussian(sigma, None), 0.07
    worst = {"l2": eps / 0.1, "l1": eps / 0.1, "linf": eps * math.sqrt(sum(sigma**-2.0))}[norm]  # ||d / sigma||
    left = mechanism.remains(p, Budget.parse(f"{norm}:{eps}"))
    np.testing.assert_allclose(left, [ndtr(_quantile(q) - worst) for q in p], rtol=1e-12)
    radius = mechanism.radius(p, norm)
    for q, r in zip(p, radius, strict=True):
        assert mechanism.remains(q, Budget.parse(f"{norm}:{r:.12f}")) == pytest.approx(0.5, abs=1e-9)
        assert mechanism.probability(Budget.parse(f"{norm}:{r:.12f}")) == pytest.approx(q, abs=1e-9)


def _quantile(p):
    from scipy.stats import norm

    return norm.ppf(p)


def test_no_input_within_reach_falls_below_the_bound_where_everything_is_random():
    """Two layers, every weight random, another sigma for each value: 400,000 draws at each of 25 inputs."""
    sigma, draws = torch.tensor([0.2, 0.5]), 400_000
    coins = torch.Generator().manual_seed(0)
    noise = sigma * torch.randn(draws, 2, generator=coins)
    first, second = (torch.randn(draws, *shape, generator=coins) for shape in [(3, 2), (2, 3)])
    means = torch.tensor([[1.0, -1.0], [0.5, 1.5], [-1.0, 0.3]]), torch.tensor([[1.0, -0.5, 0.8], [-0.6, 0.9, 0.1]])

    def probability(x):
        hidden = torch.einsum("nij,nj->ni", means[0] + 0.3 * first, x + noise).tanh()
        logits = torch.einsum("nij,nj->ni", means[1] + 0.3 * second, hidden)
        return float((logits.argmax(1) == 0).double().mean())

    mechanism, center = Gaussian(sigma.double().numpy(), None), torch.tensor([0.4, 0.2])
    at_center, slack = probability(center), 5 / (2 * draws**0.5)
    for angle, size in itertools.product(np.linspace(0, 2 * math.pi, 6)[:-1], [0.05, 0.1, 0.2, 0.4, 0.8]):
        d = size * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float32)
        for p in (probability(center + d), 1 - probability(center + d)):
            start = at_center if p == probability(center + d) else 1 - at_center
            bound = mechanism.remains(np.array(start - slack), Budget.parse(f"l2:{size}"))
            assert p >= bound - slack


def test_the_procedure_fails_no_more_often_than_alpha():
    layer, net = linear(seed=3)
    x, alpha = inputs(2000, seed=5), 0.1
    with torch.no_grad():
        y = layer(x.flatten(1)).argmax(1)
    truth = distance_to_boundary(layer, x)
    failed = [
        float((certify(net, x, y, radii=[0.05], draws=60, alpha=alpha, seed=seed).radius > truth).double().mean())
        for seed in range(5)
    ]
    assert np.mean(failed) < alpha  # each input's draws are independent of its label's; alpha is not reached exactly
    assert np.mean(failed) > alpha / 20  # and the bound is not vacuous


def test_votes_and_survivors_by_enumeration():
    for votes, p in itertools.product([1, 2, 3, 5, 8], [0.2, 0.5, 0.7, 0.95]):
        truth = sum(
            math.prod(p if bit else 1 - p for bit in bits)
            for bits in itertools.product([0, 1], repeat=votes)
            if sum(bits) > votes / 2
        )
        assert float(majority(p, votes)) == pytest.approx(truth, abs=1e-12)
    layer, net = linear()
    x = inputs(50)
    with torch.no_grad():
        y = layer(x.flatten(1)).argmax(1)
    rows = certify(net, x, y, radii=[0.1], draws=500, deployments=["single", "survive-3", "majority-5", "vote"]).rows
    rates = {row.deployment: row.rate for row in rows}
    assert rates["survive-3"] < rates["single"] < rates["majority-5"] <= rates["vote"]
    assert all(row.low <= row.rate <= row.high for row in rows)


def test_a_mask_shows_every_subset_equally_often_and_its_bound_holds_by_enumeration():
    """Eight words, of which three are shown; one or two are replaced by any of three words."""
    net = randomize(
        nn.Sequential(Mask((8,), keep=3, hidden=-1.0), nn.Flatten()), {"0.order": "normal(scale=1, learn=no)"}
    )
    x = torch.ones(1, 8)
    with torch.no_grad():
        shown = torch.stack([(net(x)[0] > 0).double() for _ in range(4000)])  # (n, 8)
    assert torch.equal(shown.sum(1), torch.full((4000,), 3.0, dtype=torch.float64))
    together = shown.T @ shown / 4000  # of two positions: 3 * 2 / (8 * 7)
    expected = torch.full((8, 8), 6 / 56, dtype=torch.float64).fill_diagonal_(3 / 8)
    assert float((together - expected).abs().max()) < 5 * (0.25 / 4000) ** 0.5
    score = np.random.default_rng(0).normal(size=(8, 3))
    subsets = list(itertools.combinations(range(8), 3))

    def probability(words):
        return np.mean([sum(score[i, words[i]] for i in subset) > 0 for subset in subsets])

    mechanism, words = Ablation(8, 3, None), (0, 1, 2, 0, 1, 2, 0, 1)
    start = probability(words)
    for changed in (1, 2):
        lowest_found = min(
            probability([new[positions.index(i)] if i in positions else word for i, word in enumerate(words)])
            for positions in itertools.combinations(range(8), changed)
            for new in itertools.product(range(3), repeat=changed)
        )
        assert lowest_found >= float(mechanism.remains(np.array(start), Budget.parse(f"l0:{changed}"))) - 1e-12
    assert float(mechanism.seen(1)) == pytest.approx(3 / 8)
    radius = mechanism.radius(np.array([0.4, 0.5, 0.9, 1.0]), "l0")
    assert radius.tolist() == [0, 0, 1, 1]


def test_texts_are_certified_in_words_by_default():
    torch.manual_seed(0)
    x = inputs_of(torch.randint(1, 10, (6, 8)))
    net, _ = defended("random-ablation(keep=0.25)", TextCNN((8, 1), 2, details={"words": WORDS}), shape=(8, 1))
    net.eval()
    with torch.no_grad():
        y = net(x).argmax(1)
    proof = certify(net, x, y, radii=[1], draws=50, alpha=0.01, modality=Text(words=WORDS))
    assert {row.norm for row in proof.rows} == {"words"}


def test_uniform_noise_certifies_in_l1_what_a_box_can_lose():
    net = randomize(
        nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 2)),
        {"0.bias": "uniform(scale=0.2, learn=no)", "*": "fixed"},
    )
    mechanism = mechanism_of(net, inputs(4))
    assert isinstance(mechanism, Uniform)
    half = 0.2 * 3**0.5
    assert float(mechanism.remains(np.array(0.9), Budget.parse("l1:0.1"))) == pytest.approx(
        0.9 - 0.1 / (2 * half), rel=1e-5
    )
    with pytest.raises(UsageError, match="no certificate in l2"):
        certify(net, inputs(4), torch.zeros(4, dtype=torch.long), radii=[0.1], norm="l2")


def test_on_levels_the_sum_is_exact():
    shift = Shift((1, 4, 4), levels=255)
    net = randomize(nn.Sequential(shift), {"0.bias": "normal(scale=0.25, learn=no)"})
    x = torch.randint(256, (64, 1, 4, 4), generator=torch.Generator().manual_seed(0)) / 255
    with net.fixed(5), torch.no_grad():
        steps = net(x) * 255
        moved = (steps.round() - (x * 255).round()).long()
    assert float((steps - steps.round()).abs().max()) < 1e-4
    assert bool((moved == moved[:1]).all())  # the same whole number at every input
    assert len(moved[0].unique()) > 8
    leaf = x.clone().requires_grad_()
    (3 * net(leaf)).sum().backward()
    assert torch.equal(leaf.grad, torch.full_like(x, 3.0))


def test_the_mean_of_weight_draws_casts_a_vote_under_one_noise():
    net = randomize(
        nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3)),
        {"0.bias": FAMILIES["0.bias"], "*": "normal(scale=2)"},
    )
    x, y, records = inputs(40), torch.arange(40) % 3, Records()
    for n in (1, 8):
        certify(net, x, y, radii=[0.05], draws=60, alpha=0.05, votes_of=n, records=records)
    agreement = [np.mean([batch[0].agreed]) / 60 for batch in records.votes.values()]
    assert agreement[1] > agreement[0] + 0.02  # the weights' noise is averaged away, that of the input stays


def test_votes_in_the_records_are_not_cast_again(tmp_path):
    _, net = linear(3)
    x, y, path = inputs(50), torch.arange(50) % 3, tmp_path / "records.jsonl"
    whole = certify(net, x, y, radii=[0.1], draws=100, batch_size=20, records=Records(path))
    lines = path.read_text().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["format", "certificate", "votes", "votes", "votes", "proved"]
    path.write_text("".join(lines[:3]))
    passes = []
    layer_in = net[2].register_forward_hook(lambda *_: passes.append(1))
    again = certify(net, x, y, radii=[0.1], draws=100, batch_size=20, records=Records(path))
    layer_in.remove()
    assert path.read_text() == "".join(lines)
    assert again.rows == whole.rows
    assert torch.equal(again.radius, whole.radius)
    before = len(passes)
    assert certify(net, x, y, radii=[0.1, 0.2], draws=100, records=Records(path)).rows[: len(whole.rows)] == whole.rows
    assert before > 0


def test_counts_tell_what_every_answer_tells():
    bits = np.random.default_rng(0).random((30, 17)) < np.linspace(0.2, 1, 17)
    one, other = crossed(bits)[0], crossed_counts(bits.sum(0).astype(float), bits.sum(1).astype(float))
    np.testing.assert_allclose(other.per_example, one.per_example)
    np.testing.assert_allclose(other.per_draw, one.per_draw)
    assert other.residual == pytest.approx(one.residual)


@pytest.fixture(scope="module")
def trained():
    x, y = labelled("digits", split="train")
    torch.manual_seed(0)
    network = nn.Sequential(
        Shift(tuple(x.shape[1:])), nn.Flatten(), nn.Linear(x[0].numel(), 64), nn.ReLU(), nn.Linear(64, 10)
    )
    net = randomize(network, {"0.bias": "normal(scale=0.2, learn=no)", "*": "normal(scale=0.05)"})
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for step in range(300):
        chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(step))[:128]
        loss = nn.functional.cross_entropy(net(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net, *labelled("digits", split="test")


def test_no_attack_goes_below_what_is_proved(trained):
    net, x, y = trained
    x, y = x[:60], y[:60]
    rows = certify(net, x, y, radii=[0.25, 0.5], draws=1200).rows
    for radius in (0.25, 0.5):
        proved = {row.deployment: row.rate for row in rows if row.radius == radius}
        result = evaluate(
            net, x, y, budget=f"l2:{radius}", attacks=[{"name": "pgd", "steps": 20}], draws=20, verdict_draws=320,
            deployments=["single", "survive-10", "majority-16"],
        )  # fmt: skip
        measured = {row.deployment: row.rate for row in result.rows if row.attack == "pgd"}
        assert proved["single"] > 0.2
        for deployment, rate in measured.items():
            assert rate >= proved[deployment] - 0.02, (radius, deployment)


def test_the_defense_smoothing_is_certified_too():
    network, _ = defended("smoothing(sigma=0.3)", nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
    mechanism = mechanism_of(network.eval(), inputs(4))
    assert isinstance(mechanism, Gaussian)
    assert mechanism.sigma.min() == mechanism.sigma.max() == pytest.approx(0.3)


class Around(nn.Module):
    """Reads the input past its noise."""

    def __init__(self):
        super().__init__()
        self.shift, self.layer = Shift((1, 4, 4)), nn.Linear(16, 3)

    def forward(self, x):
        return self.layer((self.shift(x) + 0.1 * x).flatten(1))


def random(*layers, **families):
    return randomize(nn.Sequential(*layers), {**families, "*": "normal"} if families else "normal")


REFUSED = {
    "no noise": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.GELU()), "not what certificates need"),
    "not random": (lambda: nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3)), "0.bias is not random"),
    "behind": (lambda: random(nn.Hardtanh(0, 0.5), Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3)), "input itself"),
    "around": (lambda: randomize(Around()), "past shift"),
    "two": (lambda: random(Shift((1, 4, 4)), Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3)), "2 layers"),
    "another family": (
        lambda: randomize(nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3)), "laplace"),
        "nothing is proved by laplace",
    ),
    "average": (lambda: linear(3)[1].average([1, 2]), "a known draw has no certificate"),
    "frozen": (lambda: linear(3)[1].at(3), "is not random"),
    "train mode": (
        lambda: random(Shift((1, 4, 4)), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 3)).train(),
        "batch",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_of_which_nothing_is_proved_says_why(name):
    make, words = REFUSED[name]
    with pytest.raises(UsageError, match=words):
        certify(make(), inputs(6), torch.arange(6) % 3, radii=[0.1])


def test_a_fixed_key_voids_the_certificate():
    _, net = linear()
    with net.fixed(3), pytest.raises(UsageError, match="known draw"):
        certify(net, inputs(4), torch.zeros(4, dtype=torch.long), radii=[0.1])


IMPOSSIBLE = {
    "too few draws": ({"draws": 9}, "at least 11 draws"),
    "too few for a radius": ({"draws": 100, "radii": [1.0]}, "at least 218106 draws"),
    "norm": ({"norm": "l0"}, "no certificate in l0"),
    "mean": ({"deployments": ["mean-3"]}, "votes_of=3"),
    "alpha": ({"alpha": 1.0}, "alpha is 1.0"),
    "votes_of": ({"votes_of": 0}, "votes_of is 0"),
    "radius": ({"radii": ["far"]}, "l2:far"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_can_prove_nothing_is_refused_before_any_work(name):
    options, words = IMPOSSIBLE[name]
    _, net = linear()
    with pytest.raises(UsageError, match=words):
        certify(net, inputs(4), torch.zeros(4, dtype=torch.long), **{"radii": [0.1], **options})


def test_so_many_draws_are_needed():
    for p, alpha in itertools.product([0.5, 0.9, 0.999], [0.001, 0.05]):
        n = draws_for(p, alpha) + 1
        assert lowest(n, n, alpha) > p >= lowest(n - 2, n - 2, alpha)


def test_a_scale_that_is_not_learned_stays_in_the_units_of_the_tensor():
    _, net = linear()
    assert float(net.stds()["0.bias"].min()) == pytest.approx(SIGMA, rel=1e-6)
    assert not net[0].bias_rho.requires_grad
    with pytest.raises(UsageError, match="stays at its value"):
        randomize(nn.Linear(2, 2), "normal(learn=no)")


def bounded(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def test_a_deterministic_network_is_certified_by_interval_bounds_without_error():
    net, x = bounded(), inputs(60)
    with torch.no_grad():
        y = net(x).argmax(1)
    proof = certify(net, x, y, radii=["0.001", "0.01", "0.2"], deployments=["single", "vote"])
    rates = [row.rate for row in proof.rows if row.deployment == "vote"]
    assert rates == [row.rate for row in proof.rows if row.deployment == "single"]
    assert rates[0] > rates[2]
    assert set(proof.radius.tolist()) <= {0.0, 0.001, 0.01, 0.2}
    assert "deterministic network" in proof.sentence
    for radius, rate in zip((0.001, 0.01, 0.2), rates, strict=True):
        result = evaluate(net, x, y, budget=f"linf:{radius}", attacks=[{"name": "pgd", "steps": 10}])
        left = next(row.rate for row in result.rows if row.attack == "pgd")
        assert rate <= left


def test_each_draw_is_verified_and_survivors_follow():
    net, x = randomize(bounded(), scale=0.05), inputs(40)
    with torch.no_grad():
        y = net.mean()(x).argmax(1)
    proof = certify(net, x, y, radii=["0.005"], draws=200, deployments=["single", "survive-10", "vote"])
    rates = {row.deployment: row.rate for row in proof.rows}
    assert 0.1 < rates["survive-10"] < rates["single"] < 1
    result = evaluate(
        net, x, y, budget="linf:0.005", attacks=[{"name": "pgd", "steps": 10}], draws=20, verdict_draws=200,
        deployments=["single", "survive-10"],
    )  # fmt: skip
    for row in result.rows:
        assert row.rate >= rates[row.deployment] - 0.02
    with pytest.raises(UsageError, match="no certificate in l2"):
        certify(net, x, y, radii=["0.1"], norm="l2")


@pytest.mark.parametrize("random", [False, True])
def test_a_backward_pass_proves_what_intervals_do_and_more(random):
    torch.manual_seed(1)
    layers = [part for _ in range(3) for part in (nn.Linear(16, 16), nn.ReLU())]
    net, x = nn.Sequential(nn.Flatten(), *layers, nn.Linear(16, 3)), inputs(40)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 2
        net[-1].bias -= net(x).mean(0)
    net = randomize(net, scale=0.02) if random else net
    with torch.no_grad():
        y = (net.mean() if random else net)(x).argmax(1)
    options = {"radii": ["0.005", "0.01"], "draws": 20, "alpha": 0.05, "deployments": ["single"]}
    plain, tighter = (certify(net, x, y, mechanism=name, **options) for name in ("interval", "crown-ibp"))
    rates = [[row.rate for row in proof.rows] for proof in (plain, tighter)]
    assert rates[0][0] <= rates[1][0]
    assert rates[0][1] < 0.1 < 0.5 < rates[1][1]
    assert bool((tighter.low >= plain.low).all())
    assert "interval bounds and those of a backward pass" in tighter.sentence
    result = evaluate(net, x, y, budget="linf:0.01", attacks=[{"name": "pgd", "steps": 10}], draws=20, verdict_draws=50)
    assert rates[1][1] <= next(row.rate for row in result.rows if row.attack == "pgd" and row.deployment != "mean-16")
    with torch.inference_mode(), pytest.raises(UsageError, match="inference mode keeps none"):
        certify(net, x, y, mechanism="crown-ibp", **options)


def test_what_no_draw_is_verified_on_has_no_certificate():
    """Within a large ball hardly any draw is verified: that is no label that the vote could agree on."""
    net, x = randomize(bounded(), scale=0.05), inputs(30)
    with torch.no_grad():
        y = net.mean()(x).argmax(1)
    proof = certify(net, x, y, radii=["0.9"], draws=50, deployments=["vote"])
    assert proof.rows[0].rate == 0
    assert bool((proof.radius == 0).all())
    assert bool((proof.label == -1).all())


def test_another_certificate_can_be_asked_for():
    _, net = linear(3)
    x, y = inputs(20), torch.arange(20) % 3
    assert certify(net, x, y, radii=["0.01"], draws=50, mechanism="interval").norm == "linf"
    with pytest.raises(UsageError, match="not what certificates need"):
        certify(net, x, y, mechanism="ablation")
    with pytest.raises(UsageError, match="did you mean 'gaussian'"):
        certify(net, x, y, mechanism="gausian")


CATEGORIES = [{"name": "size"}, {"name": "age"}] + [
    {"name": f"{kind}={c}", "group": kind} for kind in ("kind", "state") for c in "abc"
]


def test_categories_have_no_certificate_in_a_norm():
    torch.manual_seed(0)
    net = randomize(nn.Sequential(Shift((8,)), nn.Linear(8, 2)), FAMILIES)
    x = torch.tensor([[0.2, 0.5, 1, 0, 0, 1, 0, 0], [0.7, 0.1, 0, 1, 0, 0, 0, 1]])
    with pytest.raises(UsageError, match="tables with categories"):
        certify(net, x, torch.tensor([0, 1]), radii=[0.1], modality=Tabular(CATEGORIES))
    fixed = [column | {"mutable": "group" not in column} for column in CATEGORIES]
    certify(net, x, torch.tensor([0, 1]), radii=[0.1], draws=50, modality=Tabular(fixed))


def test_a_change_of_category_touches_two_columns_of_a_mask():
    """The worst network answers otherwise wherever it sees a change, over all masks that show three of eight."""
    subsets = [list(subset) for subset in itertools.combinations(range(8), 3)]

    def probability(row, other):
        return np.mean([bool((row[subset] == other[subset]).all()) for subset in subsets])

    def rows(numbers, kinds):
        for size, age in itertools.product(numbers, repeat=2):
            for kind, state in itertools.product(kinds, repeat=2):
                yield np.concatenate([[size, age], np.eye(3)[kind], np.eye(3)[state]])

    def changes(row, other):
        parts = [(0, 1), (1, 2), (2, 5), (5, 8)]
        return sum(bool((row[a:b] != other[a:b]).any()) for a, b in parts)

    one_column, columns = Ablation(8, 3, None), Ablation(8, 3, None).on(Tabular(CATEGORIES))
    every = list(rows((0.0, 1.0), range(3)))
    for count in (1, 2):
        budget = Budget.parse(f"l0:{count}")
        least = min(probability(every[0], other) for other in every if changes(every[0], other) == count)
        assert least == pytest.approx(float(columns.remains(np.array(1.0), budget)))  # two categories: four columns
        assert least < float(one_column.remains(np.array(1.0), budget)) - 0.2
    assert "category" in columns.sentence()


def test_tables_with_categories_are_certified_by_a_mask():
    torch.manual_seed(0)
    families = {"0.order": "normal(scale=1, learn=no)", "*": "fixed"}
    net = randomize(nn.Sequential(Mask((8,), keep=1), nn.Linear(8, 2)), families)
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor([9.0, -9.0]))
    x = torch.tensor([[0.2, 0.5, 1, 0, 0, 1, 0, 0], [0.7, 0.1, 0, 1, 0, 0, 0, 1]])
    options = {"draws": 100, "modality": Tabular(CATEGORIES), "deployments": ["vote"]}
    rows = certify(net, x, torch.tensor([0, 0]), radii=[1], **options).rows
    assert [(row.deployment, row.norm, row.rate) for row in rows] == [("vote", "l0", 1)]
    with pytest.raises(UsageError, match="no number of draws can certify l0:2"):
        certify(net, x, torch.tensor([0, 0]), radii=[2], **options)  # it may touch four of the eight columns
    served = Certified(net, x, radius=1, draws=100, modality=Tabular(CATEGORIES))
    assert served(x).tolist() == [0, 0]
    assert "two" in served.acceptance.mechanism.sentence()


def test_a_mask_alone_is_certified_like_one_before_random_parameters():
    x = torch.rand(20, 9, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    proofs = []
    for defense in ("ablation(keep=0.22)", "random-ablation(keep=0.22, scale=0.001)"):
        net, _ = defended(defense, nn.Linear(9, 2), shape=(9,))
        net.eval()
        y = net.at(1)(x).argmax(1)
        assert len({tuple(net(torch.ones(1, 9))[0].tolist()) for _ in range(20)}) > 1
        proofs.append(certify(net, x, y, radii=[1], draws=200, alpha=0.01, modality=Tabular()))
    for proof in proofs:
        assert proof.norm == "l0"
        assert "shows 2 of 9 positions" in proof.sentence
