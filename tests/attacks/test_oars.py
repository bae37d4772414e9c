"""OARS on models with known boundaries, against detectors of which it is known what they reject."""

import pytest
import torch
from torch import nn

from variate.attacks.hopskipjump import hopskipjump
from variate.attacks.oars import MIN_QUERIES, SAMPLES, SEARCH, _Surroundings, oars
from variate.attacks.parts.replies import Replies
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.serving.similar import Similar
from variate.testing.linear import LinearModel, smallest_distance


class Ball:
    """Rejects a query within an l2 distance of an answered one of the same client."""

    def __init__(self, distance):
        self.distance, self.answered = distance, {}

    def rejected(self, x, clients):
        similar = []
        for point, client in zip(x.flatten(1), clients, strict=True):
            earlier = self.answered.setdefault(client, [])
            similar.append(bool(((point - torch.stack([*earlier, point + 9])).norm(dim=1) < self.distance).any()))
            earlier += [] if similar[-1] else [point]
        return torch.tensor(similar, dtype=torch.bool)


def linear(size=64):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(2, size, generator=generator, dtype=torch.float64)
    x = 0.45 + 0.1 * torch.rand(4, 1, size // 8, 8, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def oracle_of(network, x, detector=None):
    return LabelOracle(network, stream=Stream("search", 0), examples=len(x), detector=detector)


def wrong(model, found, y):
    return int((model(found).argmax(1) != y).sum())


@pytest.mark.parametrize(
    ("norm", "detector"), [("l2", "similar(step=0.05)"), ("l2", "similar"), ("linf", "similar(window=4, step=0.02)")]
)
def test_it_breaks_what_the_detector_keeps_from_a_plain_attack(norm, detector):
    model, x, y = linear()
    budget = Budget.parse(f"{norm}:{2 * float(smallest_distance(model, x, y, norm).max()):.5f}")
    plain = oracle_of(model, x, Similar.parse(detector, salt=b"salt"))
    assert wrong(model, hopskipjump(plain, x, y, budget=budget, queries=600), y) == 0
    assert plain.queries.rejected.sum() > 0.5 * plain.queries.points.sum()
    adaptive = oracle_of(model, x, Similar.parse(detector, salt=b"salt"))
    assert wrong(model, oars(adaptive, x, y, budget=budget, queries=500), y) == len(x)
    assert adaptive.queries.rejected.sum() < 0.3 * adaptive.queries.points.sum()


def test_without_rejections_it_finds_the_nearest_boundary():
    model, x, y = linear()
    for norm in ("l2", "linf"):
        nearest = smallest_distance(model, x, y, norm)
        budget = Budget.parse(f"{norm}:4")
        found = oars(oracle_of(model, x), x, y, budget=budget, queries=1000, minimal=True)
        assert wrong(model, found, y) == len(x)
        assert bool((budget.distance(found, x) < 1.5 * nearest).all())
        assert bool((budget.distance(found, x) > nearest).all())


def test_the_radius_of_probes_is_the_smallest_that_is_answered():
    """Rejected is what lies nearer than .37 to the point: the search ends there, up to its last halving."""
    point = torch.full((2, 64), 0.5, dtype=torch.float64)

    class Near:
        def rejected(self, x, clients):
            return (x - point[0]).norm(dim=1) < 0.37

    oracle = oracle_of(linear()[0], point, Near())
    replies = Replies(oracle, point, torch.zeros(2, dtype=torch.long), 100)
    surroundings = _Surroundings(replies, oracle.coins(point), point, torch.ones(2, dtype=torch.bool), 3)
    surroundings.narrow(point)
    assert oracle.queries.points.tolist() == [SEARCH * SAMPLES] * 2
    found = surroundings._least
    assert bool((found >= 0.37).all())
    assert bool((found < 0.37 * (0.3 * 8 / 1e-4) ** (1 / 2**SEARCH)).all())


def test_a_rejected_probe_is_drawn_again_further_away():
    point = torch.full((1, 64), 0.5, dtype=torch.float64)
    detector = Ball(0.3)
    detector.answered[0] = [point[0]]
    oracle = oracle_of(linear()[0], point, detector)
    replies = Replies(oracle, point, torch.zeros(1, dtype=torch.long), 1000)
    surroundings = _Surroundings(replies, oracle.coins(point), point, torch.ones(1, dtype=torch.bool), 4)
    surroundings._radius[:] = 0.2  # 0.2 and 0.24 and 0.288 are rejected, 0.3456 is not
    probes, _, answered, refused = surroundings._answered(point, "any")
    assert refused.tolist() == [25.0]
    distances = (probes - point[:, None]).norm(dim=2)[answered]
    assert len(distances) > 20
    assert torch.allclose(distances, torch.full_like(distances, 0.2 * 1.2**3))
    assert replies.left.tolist() == [1000 - 4 * 25]


def test_rejections_are_queries_and_queries_are_a_limit():
    model, x, y = linear()
    for detector in (None, Ball(0.5)):
        oracle = oracle_of(model, x, detector)
        oars(oracle, x, y, budget=Budget.parse("l2:1"), queries=320)
        assert oracle.queries.points.max() <= 320
        assert oracle.queries.points.min() > 300
        assert (oracle.queries.points - oracle.queries.forwards).tolist() == oracle.queries.rejected.tolist()


def test_the_result_does_not_depend_on_the_batch():
    model, x, y = linear()
    network, budget, x, y = randomize(model, scale=0.05), Budget.parse("l2:0.3"), x[:2], y[:2]
    together = oars(oracle_of(network, x, Similar(salt=b"1")), x, y, budget=budget, queries=310)
    for i in range(len(x)):
        one = slice(i, i + 1)
        alone = oars(oracle_of(network, x[one], Similar(salt=b"1")), x[one], y[one], budget=budget, queries=310)
        assert torch.allclose(alone, together[one], atol=1e-9)


def test_an_example_without_a_start_is_returned():
    class Never(nn.Module):
        def forward(self, x):
            return torch.stack([torch.ones(len(x)), torch.zeros(len(x))], 1)

    x = torch.rand(2, 16)
    oracle = oracle_of(Never(), x)
    assert torch.equal(oars(oracle, x, torch.zeros(2, dtype=torch.long), budget=Budget.parse("l2:1")), x)
    assert oracle.queries.points.tolist() == [20, 20]


def test_too_few_queries():
    model, x, y = linear()
    with pytest.raises(UsageError, match="oars cannot take"):
        oars(oracle_of(model, x), x, y, budget=Budget.parse("l2:1"), queries=MIN_QUERIES - 1)
