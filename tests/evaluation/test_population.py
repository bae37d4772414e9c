"""What the clean rate proves comes with every evaluation of a network whose input noise is Gaussian."""

import math

import pytest
import torch
from scipy.special import ndtr, ndtri
from torch import nn

from variate.evaluation.evaluate import evaluate
from variate.flags.raise_flags import raised
from variate.inputs.modalities.tabular import Tabular
from variate.random.input_noise import Shift
from variate.random.randomize import randomize
from variate.records.certified import PopulationBound
from variate.records.file import Records
from variate.records.population import population_rows
from variate.report.page import page_text
from variate.report.proved import proved_markdown, proved_table
from variate.training.defense import defended

SIGMA = 0.25


def network(family="normal"):
    torch.manual_seed(0)
    layers = nn.Sequential(Shift((4,)), nn.Linear(4, 2, bias=False))
    return randomize(layers, {"0.bias": f"{family}(scale={SIGMA}, learn=no)", "*": "fixed"})


def labelled(count=60):
    x = torch.rand(count, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return x, network()[1](x).argmax(1)


def judged(net, budget="l2:0.1", **options):
    options = {"attacks": [{"name": "pgd", "steps": 5}], "draws": 4, "verdict_draws": 200, **options}
    return evaluate(net, *labelled(), budget=budget, deployments=["single", "survive-3"], **options)


@pytest.mark.parametrize(("budget", "distance"), [("l2:0.1", 0.1), ("l1:0.1", 0.1), ("linf:0.05", 0.05 * math.sqrt(4))])
def test_it_follows_from_the_clean_rate_alone(budget, distance):
    result = judged(network(), budget)
    (row,) = result.proved
    clean, attacked = (next(r for r in result.rows if r.attack == name) for name in ("clean", "pgd"))
    for found, p in ((row.proved.rate, clean.rate), (row.proved.low, clean.low), (row.proved.high, clean.high)):
        assert found == pytest.approx(float(ndtr(ndtri(p) - distance / SIGMA)))
    assert 0.2 < row.proved.low < row.proved.rate < attacked.rate + 0.02
    assert row.measured == attacked
    assert f"at least {100 * row.proved.low:.1f} % are right" in str(result)
    assert f"pgd has left {100 * attacked.rate:.1f} %" in str(result)
    assert "standard deviation 0.25 on the input" in str(result)


def test_a_linear_network_loses_what_is_proved_and_no_more():
    """All inputs at the same distance from the boundary: Jensen's inequality is an equality, and PGD gets there."""
    net = randomize(
        nn.Sequential(Shift((1,)), nn.Linear(1, 2)), {"0.bias": f"normal(scale={SIGMA}, learn=no)", "*": "fixed"}
    )
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[-5.0], [5.0]]))
        net[1].bias.copy_(torch.tensor([2.5, -2.5]))
    x, y = torch.full((20, 1), 0.75), torch.ones(20, dtype=torch.long)
    result = evaluate(
        net, x, y, budget="l2:0.2", attacks=["pgd(steps=5)"], draws=4, verdict_draws=600, deployments=["single"]
    )
    (row,) = result.proved
    assert row.proved.rate == pytest.approx(row.measured.rate, abs=0.06)
    assert row.measured.rate == pytest.approx(float(ndtr(0.05 / SIGMA)), abs=0.06)


WITHOUT = {
    "no noise": lambda: judged(nn.Linear(4, 2)),
    "another family": lambda: judged(network("uniform")),
    "a norm without certificate": lambda: judged(network(), "l0:1", attacks=["noise"]),
    "a frozen draw": lambda: judged(network().at(3)),
    "no single draws": lambda: evaluate(
        network(), *labelled(), budget="l2:0.1", attacks=[], deployments=["mean-2"], verdict_draws=8
    ),
    "another part": lambda: judged(network(), part="doubts", attacks=[]),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_elsewhere_nothing_is_proved(name):
    result = WITHOUT[name]()
    assert result.proved == []
    assert "proved" not in str(result)


def test_a_change_of_category_is_not_in_the_norm_of_the_noise():
    features = [{"name": "size"}, {"name": "age"}, *({"name": f"kind={c}", "group": "kind"} for c in "ab")]
    x = torch.tensor([[0.2, 0.5, 1.0, 0.0], [0.7, 0.1, 0.0, 1.0]])
    options = {"budget": "l2:0.1", "attacks": [], "verdict_draws": 8, "deployments": ["single"]}
    found = evaluate(network(), x, torch.tensor([0, 1]), modality=Tabular(features), **options)
    assert found.proved == []
    assert len(evaluate(network(), x, torch.tensor([0, 1]), modality="tabular", **options).proved) == 1


def test_the_defense_smoothing_has_it_too():
    net, _ = defended(f"smoothing(sigma={SIGMA})", nn.Linear(4, 2))
    assert len(judged(net.eval()).proved) == 1


def test_reports_show_it_from_the_records_alone(tmp_path):
    judged(network(), records=tmp_path / "records.jsonl", name="net")
    records = Records(tmp_path / "records.jsonl")
    table = proved_table(records)
    assert [cell.text for cell in table.lines[0][:3]] == ["net", "single, by population", "60"]
    assert "attacked" in table.lines[0][3].small
    assert "| net | single, by population |" in proved_markdown(records)
    assert "proved at least" in page_text([records])  # beside the headline's rate
    assert "proof-above-attack" not in {flag.flag for flag in raised(records)}
    (row,) = population_rows(records)
    facts = row.bound.model_dump() | {"distance": -2.0}  # as if the noise were not that of the proof
    records.add([PopulationBound.model_validate(facts)])
    assert (
        "follow from the clean rate" in next(f for f in raised(records) if f.flag == "proof-above-attack").findings[0]
    )
