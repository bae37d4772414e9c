"""The price of a query stands beside the queries of every attack that sees scores."""

import pytest
import torch
from torch import nn

from variate.cli.shown_result import costs
from variate.evaluation.diagnostics import PRICED, STEPS, doubt
from variate.evaluation.evaluate import evaluate
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.report.cost import attack_cost, price

OPTIONS = {"budget": "linf:0.1", "draws": 4, "verdict_draws": 32}
SQUARE = {"name": "square", "queries": 20}


@pytest.fixture
def inputs():
    return torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 3


def measured(network, inputs, attacks=(SQUARE,)):
    records = Records()
    result = evaluate(network, *inputs, attacks=attacks, records=records, name="n", **OPTIONS)
    doubt(network, *inputs, records=records, name="n", steps=2, **OPTIONS)
    return records, result


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()


def test_a_random_network_has_a_price_and_it_falls_with_the_step(network, inputs):
    records, result = measured(randomize(network, scale=0.3), inputs)
    lines = list(records.gradients.values())
    known = [line for line in lines if line.price_by_step]
    assert known
    assert all(line.example < PRICED for line in known)
    for line in known:
        assert line.price is not None
        prices = [line.price_by_step[f"{step:g}"] for step in STEPS]
        assert line.price == min(prices)  # once is best
        assert prices == sorted(prices, reverse=True)  # a linear network: the longer the step, the better
        assert min(prices) > 1
    median, count, _ = price(records, result.claims[-1])
    assert count == len(known)
    assert price(records, result.claims[0]) is None  # of clean inputs
    small = [cell.small for cells in attack_cost(records).lines for cell in cells]
    assert f"price {median:.3g}" in small
    (line,) = costs(records, result)
    assert f"the price of a query is {median:.3g}" in line


def test_attacks_that_see_gradients_and_deterministic_networks_have_none(network, inputs):
    records, result = measured(randomize(network, scale=0.3), inputs, attacks=["fgsm"])
    assert price(records, result.claims[-1]) is None
    records, result = measured(network, inputs)
    assert price(records, result.claims[-1]) is None
    assert costs(records, result) == []
