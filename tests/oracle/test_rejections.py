"""Queries that a detector refuses: counted, not answered, and no success for the attacker."""

import pytest
import torch

from variate.attacks.boundary import boundary
from variate.attacks.hopskipjump import hopskipjump
from variate.attacks.popskipjump import popskipjump
from variate.attacks.rays import rays
from variate.inputs.budget import Budget
from variate.oracle.losses import reached
from variate.oracle.oracle import LabelOracle
from variate.oracle.rejections import REJECTED
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.serving.similar import Similar
from variate.testing.linear import LinearModel


class Every:
    """Refuses every query of some examples, and remembers who asked."""

    def __init__(self, *refused):
        self.refused, self.clients = refused, []

    def rejected(self, x, clients):
        assert len(x) == len(clients)
        self.clients += clients
        return torch.tensor([client in self.refused for client in clients], dtype=torch.bool)


def oracle_of(detector, *, draws=2, examples=3):
    torch.manual_seed(0)
    model = LinearModel(torch.randn(3, 8), torch.zeros(3))
    stream = Stream("search", 0)
    return LabelOracle(randomize(model, scale=0.1), draws=draws, stream=stream, examples=examples, detector=detector)


def inputs(count=3):
    return torch.rand(count, 8, generator=torch.Generator().manual_seed(1))


def test_a_rejected_query_is_counted_and_not_answered():
    oracle, x = oracle_of(Every(1)), inputs()
    free = oracle_of(None)
    labels, all_labels = oracle.labels(x), free.labels(x)
    assert labels.tolist() == [int(all_labels[0]), REJECTED, int(all_labels[2])]
    rows = torch.tensor([1, 1, 2])
    assert oracle.labels(x, rows=rows).tolist()[:2] == [REJECTED] * 2
    assert oracle.queries.points.tolist() == [1, 3, 2]
    assert oracle.queries.rejected.tolist() == [0, 3, 0]
    assert oracle.queries.forwards.tolist() == [2, 0, 4]


def test_a_query_of_which_all_is_rejected_takes_its_draws_all_the_same():
    """So that the draws of an example do not depend on what others of its batch are refused."""
    refusing, free, x = oracle_of(Every(0)), oracle_of(None), inputs(1)
    refusing.labels(x)
    free.labels(x)
    assert refusing.stream.index == free.stream.index
    assert refusing.queries.points.tolist() == free.queries.points.tolist()


def test_each_example_is_a_client_of_its_own():
    detector = Similar()
    oracle, x = oracle_of(detector), inputs(1).expand(3, -1)
    assert bool((oracle.labels(x) != REJECTED).all())
    assert bool((oracle.labels(x) == REJECTED).all())


def test_no_answer_is_no_success():
    labels, y = torch.tensor([REJECTED, 0, 1]), torch.tensor([0, 0, 0])
    assert reached(labels, y, None).tolist() == [False, False, True]
    assert reached(labels, y, torch.tensor([1, 1, 1])).tolist() == [False, False, True]


@pytest.mark.parametrize("attack", [hopskipjump, popskipjump, boundary, rays])
def test_a_plain_attack_that_is_always_refused_returns_the_input(attack):
    norm = "linf" if attack is rays else "l2"
    oracle, x = oracle_of(Every(0, 1, 2)), inputs()
    y = torch.zeros(3, dtype=torch.long)
    assert torch.equal(attack(oracle, x, y, budget=Budget.parse(f"{norm}:0.5"), queries=1000), x)
    assert (oracle.queries.rejected == oracle.queries.points).all()
    assert (oracle.queries.rejected > 0).all()
    assert not oracle.queries.forwards.any()
