"""Tables: what attacks make of rows is in their units, in range, whole where it is counted, and as strong as it can be."""

import json

import pytest
import torch
from torch import nn

from variate import registry
from variate.attacking.plan import Plan, Target, launch
from variate.budget import Budget
from variate.errors import UsageError
from variate.features import Column, columns_of
from variate.modalities.tabular import Tabular
from variate.modality import modality_of
from variate.randomization import randomize
from variate.testing.modalities import check_modality

FEATURES = [
    {"name": "income", "low": 0, "high": 200, "unit": "kEUR"},
    {"name": "age", "low": 20, "high": 70, "step": 1},
    {"name": "height", "low": 1.0, "high": 2.0, "mutable": False},
    {"name": "tcp", "group": "protocol"},
    {"name": "udp", "group": "protocol"},
    {"name": "icmp", "group": "protocol"},
    {"name": "red", "group": "color", "mutable": False},
    {"name": "blue", "group": "color", "mutable": False},
    {"name": "rate", "low": -1, "high": 1},
]
TABLE = Tabular(FEATURES)
OURS = [n for n in registry.entries("attacks") if n not in ("foolbox", "art")]
SIZES = {"linf": ["0.1", "1"], "l2": ["0.3", "1.2"], "l1": ["0.5", "1.5"], "l0": ["2"]}


def rows(count=6, seed=0):
    """Rows of the table, each a valid one."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(count, len(FEATURES), generator=draw)
    x[:, 1] = (x[:, 1] * 50).round() / 50
    for start, size in ((3, 3), (6, 2)):
        picked = torch.randint(size, (count,), generator=draw)
        x[:, start : start + size] = nn.functional.one_hot(picked, size)
    return x


@pytest.fixture
def toy():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(len(FEATURES), 16), nn.ReLU(), nn.Linear(16, 3))
    x = rows()
    return network, x, network(x).argmax(1)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("random", [False, True])
def test_every_attack_makes_possible_rows_within_the_budget(toy, name, random):
    network, x, y = toy
    net = randomize(network, scale=0.1) if random else network
    norms = registry.get("attacks", name).facts["norms"]
    budgets = [f"{norm}:{size}" for norm in norms for size in SIZES[norm]]
    budgets += ["features:income=10,age=2,protocol=1,rate=5%"] if "linf" in norms else []
    check_modality(TABLE, net, x, y, budgets, attacks=[name])
