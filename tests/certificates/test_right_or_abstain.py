"""Right or abstain, where everything is known in closed form: what an attack can buy, and what it cannot."""

import json

import numpy as np
import pytest
import torch
from halfspaces import SIGMA, at, halfspace
from scipy.special import ndtr
from scipy.stats import binom
from torch import nn

from variate.certificates import certified
from variate.certificates.acceptance import CHOOSING, Acceptance
from variate.certificates.certified import Certified
from variate.certificates.certify import certify
from variate.certificates.gaussian import Gaussian
from variate.certificates.judge_certified import judge_certified
from variate.errors import InputError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.flags.raise_flags import raised
from variate.inputs.budget import Budget
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.records.accepted import accepted_rows
from variate.records.certified import Proved
from variate.records.file import Records
from variate.records.proofs import proofs
from variate.report.page import page_text
from variate.report.proved import print_accepted, proved_markdown, proved_table
from variate.statistics.accepted import certified_radius, outcomes_of
from variate.statistics.proved import lowest, votes_for
from variate.statistics.rates import Deployment

RADIUS, DRAWS, ALPHA = 0.1, 200, 0.05


def rule(radius=RADIUS, draws=DRAWS, alpha=ALPHA):
    return Acceptance(Gaussian(np.array([SIGMA]), None), Budget.parse(f"l2:{radius}"), CHOOSING, draws, alpha)


def truth(distances):
    """The probabilities of a right and of a wrong answer at true distances: elected by a majority, then accepted."""
    p, least = ndtr(np.asarray(distances) / SIGMA), votes_for(ndtr(RADIUS / SIGMA), DRAWS, ALPHA)
    elected = binom.sf(CHOOSING // 2, CHOOSING, p)
    other = binom.cdf(CHOOSING // 2, CHOOSING, p)  # a tie elects label 0
    return elected * binom.sf(least - 1, DRAWS, p), other * binom.sf(least - 1, DRAWS, 1 - p)


class Independent(Gaussian):
    """The same noise, drawn for every example, and the votes of the halfspace without a network: quick."""

    def votes(self, network, x, keys, votes_of, reading):
        noise = SIGMA * torch.randn(len(keys), len(x), generator=torch.Generator().manual_seed(keys[0]))
        return (x[:, 0] + noise > 0.5).long()


def answers(distances, **options):
    """Answers of the rule to 4000 inputs at each of the distances: (D, 4000)."""
    plain = rule(**options)
    fast = Acceptance(Independent(np.array([SIGMA]), None), plain.radius, CHOOSING, plain.draws, plain.alpha)
    x, _ = at(np.repeat(distances, 4000))
    return fast.labels(None, x, range(fast.keys)).view(len(distances), 4000)


def test_so_many_votes_are_accepted():
    for p, draws, alpha in [(0.5, 50, 0.001), (0.9, 300, 0.05), (0.6554, DRAWS, ALPHA)]:
        k = votes_for(p, draws, alpha)
        assert lowest(k, draws, alpha) > p >= lowest(k - 1, draws, alpha)
        assert binom.sf(k - 1, draws, p) <= alpha  # which is the whole theorem
    assert votes_for(0.999, 50, 0.05) == 51  # never
    assert votes_for(0.5, 1, 0) == 1  # a deterministic network


def test_answers_are_those_of_the_closed_form_and_within_the_radius_no_more_than_alpha_are_new():
    """An input on the right side of the boundary moves past it by up to R: the best that any attack could do."""
    distances = [0.2, 0.1, 0.001, -0.05, 0.001 - RADIUS, -0.2, -0.4]
    found = answers(distances)
    right, wrong = truth(distances)
    for row, one, other in zip(found, right, wrong, strict=True):
        assert float((row == 1).double().mean()) == pytest.approx(one, abs=4.5 * 0.5 / 4000**0.5)
        assert float((row == 0).double().mean()) == pytest.approx(other, abs=4.5 * 0.5 / 4000**0.5)
    share = (found == 0).double().mean(1)
    assert float(share[:5].max()) <= ALPHA  # even where it is most probable, right at the end of the radius
    assert float(share[4]) > ALPHA / 3  # and the rule is not stricter than it says
    assert float(share[6]) > 0.9  # beyond it, the attack succeeds
    assert float((found[3] == -1).double().mean()) > 0.9  # within it, what it buys are abstentions


def test_the_proved_rates_are_below_the_truth_and_near_it():
    """Right at least, and wrong at most, at every input within reach: the worst moves straight to the boundary."""
    distances = np.linspace(0.05, 0.5, 40)
    x, y = at(distances)
    options = {"draws": 2000, "alpha": 0.001}
    exact = rule(**options)
    for row in certify(halfspace(), x, y, radii=[0.05, 0.1, 0.2], deployments=["certified-0.1"], **options).rows:
        p = ndtr((distances - row.radius) / SIGMA)
        right = exact.right(p).mean()
        assert right - 0.1 < row.rate <= right
        assert exact.wrong(p).mean() < row.wrong < 1
        assert row.deployment == "certified-0.1"
    assert exact.wrong(np.array([0.5])) <= 0.001  # where the vote is right, within R: alpha at most
    assert exact.wrong(np.array([1 - ndtr(RADIUS / SIGMA)])) <= 0.001
    assert exact.wrong(np.array([0.1])) > 0.9


def test_attacks_get_what_the_best_one_can():
    distances = np.linspace(0.05, 0.45, 30)
    x, y = at(distances)
    rows = judge_certified(
        halfspace(), x, y, radius=RADIUS, budgets=["l2:0.1", "l2:0.35"], draws=DRAWS, alpha=ALPHA, batch_size=6,
        attacks=["pgd(steps=3)"],
    )  # fmt: skip
    assert [row.budget for row in rows] == [None, "l2:0.1", "l2:0.35"]
    for row, moved in zip(rows, (0, 0.1, 0.35), strict=True):
        right, wrong = truth(distances - moved)
        assert row.outcomes.right.rate == pytest.approx(right.mean(), abs=0.12)
        assert row.outcomes.wrong.rate == pytest.approx(wrong.mean(), abs=0.12)
    assert rows[1].outcomes.wrong.rate <= 0.04  # none but by the failure of a certificate
    assert rows[2].outcomes.wrong.rate > 0.2


@pytest.fixture
def seeded(monkeypatch):
    """Keys of a stream instead of the operating system: the same answers in every run of the tests."""
    monkeypatch.setattr(certified, "fresh_keys", Stream("user", 0).take)


def test_certified_labels_do_not_change_within_the_radius(seeded):
    x, _ = at(np.linspace(-0.4, 0.4, 21))
    served = Certified(halfspace(), x, radius=RADIUS, draws=DRAWS, alpha=ALPHA)
    clean = served(x)
    assert set(clean.tolist()) == {-1, 0, 1}
    x, clean = x[clean != -1], clean[clean != -1]
    attack = Plan.of("pgd(steps=3)", 100)
    perturbed, _ = perturb(Target(halfspace(), "keyed"), attack, Budget.parse(f"l2:{RADIUS}"), x, clean)
    again = torch.stack([served(perturbed) for _ in range(8)])  # (n, B)
    assert float(((again != clean) & (again != -1)).double().mean()) <= ALPHA
    assert float((again == -1).double().mean()) > 0.2  # all that it bought


class Split(nn.Module):
    """Above, every draw is wrong, half of them in one way and half in another; below, 95 % are wrong in one way."""

    def __init__(self):
        super().__init__()
        self.noise = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        above, below = (10 * (x[:, 0] - 0.5)).clamp(0, 1), (10 * (0.5 - x[:, 0])).clamp(0, 1)
        half, few = torch.where(self.noise < 0, 3.0, -3.0), torch.where(self.noise < 1.645, 3.0, -3.0)
        return torch.stack([1 - above - below, above * half - 1, below * few - above * half - 1], 1)


def test_the_attack_of_this_deployment_makes_one_wrong_label_probable():
    network, y = randomize(Split(), scale=1.0), torch.zeros(8, dtype=torch.long)
    x = torch.stack([torch.full((8,), 0.5), torch.arange(8) / 8], 1)
    found = {}
    for use in ("single", "certified-0.1"):
        plan = Plan.of(f"error-rate(deployment={use}, steps=6, restarts=4)", 10)
        found[use], _ = perturb(Target(network, "keyed"), plan, Budget.parse("linf:0.1"), x, y)
    assert int((found["certified-0.1"][:, 0] < 0.45).sum()) >= 6
    assert int((found["single"][:, 0] > 0.55).sum()) >= 6  # wrong in two ways: accepted in neither


def test_the_three_rates_have_intervals_over_examples_and_draws():
    labels = np.array([0, 1, 2, 0])
    answers = np.array([[0, -1, 1, 0], [0, 1, 1, -1], [0, -1, 1, -1]])
    found = outcomes_of(answers, labels)
    assert (found.right.rate, found.wrong.rate, found.abstained.rate) == pytest.approx((5 / 12, 3 / 12, 4 / 12))
    assert all(rate.low < rate.rate < rate.high for rate in (found.right, found.wrong, found.abstained))


def test_answers_are_kept_and_shown_beside_what_is_proved(tmp_path, capsys):
    network, (x, y), path = halfspace(), at(np.linspace(0.1, 0.5, 30)), tmp_path / "records.jsonl"
    options = {"draws": DRAWS, "alpha": ALPHA, "records": Records(path), "name": "net"}
    certify(network, x, y, radii=[RADIUS], deployments=["certified-0.1", "vote"], **options)
    judging = {"radius": "0.1", "budgets": ["l2:0.1"], "batch_size": 20, "attacks": ["pgd(steps=3)"]}
    rows = judge_certified(network, x, y, **judging, **options)
    lines = path.read_text()
    passes = []
    handle = network.register_forward_hook(lambda *_: passes.append(1))
    again = Records(path)
    assert judge_certified(network, x, y, **judging, **(options | {"records": again})) == rows
    handle.remove()
    assert path.read_text() == lines
    assert len(passes) < DRAWS  # the votes were not cast again
    assert len(again.certificates) == 1
    assert [row.attack for row in accepted_rows(again)] == ["clean", "pgd"]
    assert "wrong at most" in proved_table(again).lines[0][3].small
    assert "attacked" in proved_table(again).lines[0][3].small
    assert "| net | certified-0.1 | pgd within l2:0.1 steps=3 |" in proved_markdown(again)
    assert "Right or abstain" in page_text([again])
    print_accepted(rows)
    assert "pgd within l2:0.1" in capsys.readouterr().out


def test_more_wrong_answers_than_are_proved_raise_the_flag():
    network, (x, y), records = halfspace(), at(np.full(40, 0.05)), Records()
    naming = {"records": records, "name": "net"}
    options = {"draws": DRAWS, "alpha": ALPHA, **naming}
    certify(network, x, y, radii=[0.4], deployments=["certified-0.1"], **options)
    evaluate(network, x, y, budget="l2:0.4", attacks=[], deployments=["single"], verdict_draws=4, **naming)
    judge_certified(network, x, y, radius=0.1, budgets=["l2:0.4"], attacks=["pgd(steps=5)"], **options)
    assert "proof-above-attack" not in {flag.flag for flag in raised(records)}
    proved = proofs(records)[0].proved
    rows = [row.model_copy(update={"wrong": 0.01}) for row in proved.rows]
    records.add([Proved.model_validate(json.loads(proved.model_copy(update={"rows": rows}).model_dump_json()))])
    flags = [flag for flag in raised(records) if flag.flag == "proof-above-attack"]
    assert "accepted and wrong" in flags[0].findings[0]


def test_a_request_takes_fresh_votes_and_leaves_the_network_alone(seeded):
    network, (x, _) = halfspace(), at(np.full(30, 0.24))
    served = Certified(network, x[:1], radius=0.1, draws=40, alpha=0.01)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    answers = [served(x[:1]) for _ in range(20)]
    assert torch.equal(state, torch.get_rng_state())
    assert {int(answer) for answer in answers} == {-1, 1}  # near the threshold, fresh votes fall either way
    assert repr(served) == "Certified(RandomSequential, l2:0.1, draws=40, alpha=0.01)"


def test_noise_that_is_fixed_or_lost_later_is_refused():
    network, (x, _) = halfspace(), at([0.3])
    served = Certified(network, x, radius=0.1, draws=DRAWS)
    with network.fixed(3), pytest.raises(UsageError, match="known draw"):
        served(x)
    with pytest.raises(InputError, match="finite"):
        served(torch.full((1, 3), torch.nan))
    assert int(served(x)) in (-1, 1)


IMPOSSIBLE = {
    "radius": ({"radius": "far"}, "has no radius"),
    "negative": ({"radius": -1}, "has no radius"),
    "too far": ({"radius": 2}, "cannot certify the vote within l2:2"),
    "norm": ({"norm": "l0"}, "no certificate in l0"),
    "draws": ({"draws": 5}, "can certify nothing"),
    "alpha": ({"alpha": 0}, "alpha is 0"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_would_always_abstain_is_refused(name):
    options, words = IMPOSSIBLE[name]
    x, y = at([0.3, 0.2])
    options = {"radius": 0.1, "draws": DRAWS, **options}
    with pytest.raises(UsageError, match=words):
        Certified(halfspace(), x, **options)
    with pytest.raises(UsageError, match=words):
        judge_certified(halfspace(), x, y, budgets=[], **options)


def test_a_name_says_where_it_is_judged():
    assert certified_radius("certified-0.5") == "0.5"
    assert certified_radius("majority-16") is None
    with pytest.raises(UsageError, match="variate certify --deployment certified"):
        Deployment.parse("certified-0.5")
    x, y = at([0.3, 0.2])
    with pytest.raises(UsageError, match="certify l2:9"):
        certify(halfspace(), x, y, radii=[0.1], draws=DRAWS, deployments=["certified-9"])
    with pytest.raises(UsageError, match="pgd has no l0"):
        judge_certified(halfspace(), x, y, radius=0.1, budgets=["l0:1"], attacks=["pgd"], draws=DRAWS)


def test_interval_bounds_answer_where_a_draw_is_right_everywhere():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    x = torch.rand(20, 3)
    with torch.no_grad():
        y = network(x).argmax(1)
    (row,) = judge_certified(network, x, y, radius="0.01", budgets=[], norm="linf")
    assert row.outcomes.wrong.rate == 0
    proof = certify(network, x, y, radii=["0.01"], deployments=["vote"])
    assert row.outcomes.right.rate == proof.rows[0].rate
    with pytest.raises(UsageError, match="judge_certified"):
        certify(network, x, y, radii=["0.01"], deployments=["certified-0.01"])
