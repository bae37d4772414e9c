"""What is proved, on the page, in Markdown and on the terminal; and the flag where an attack contradicts it."""

import pytest
import torch
from torch import nn

from variate.certificates.certify import certify
from variate.evaluation.evaluate import evaluate
from variate.flags.raise_flags import raised
from variate.random.input_noise import Shift
from variate.random.randomize import randomize
from variate.records.certified import Proved
from variate.records.file import Records
from variate.records.groups import notes
from variate.records.proofs import measured, proofs
from variate.report import formats
from variate.report.page import page_text
from variate.report.proved import print_proved, proved_figures, proved_markdown, proved_table

FAMILIES = {"0.bias": "normal(scale=0.25, learn=no)", "*": "fixed"}


@pytest.fixture
def all_of_it():
    torch.manual_seed(0)
    layer = nn.Linear(16, 2)
    net = randomize(nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), layer), FAMILIES)
    x = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = layer(x.flatten(1)).argmax(1)
    found = Records()
    options = {"attacks": ["fgsm"], "draws": 4, "verdict_draws": 64, "deployments": ["single", "survive-10"]}
    evaluate(net, x, y, budget="l2:0.2", records=found, name="net", **options)
    certify(net, x, y, radii=[0.1, 0.2], draws=200, records=found, name="net")
    return found, net, x, y


@pytest.fixture
def records(all_of_it):
    return all_of_it[0]


def test_attacks_far_beyond_the_proof_do_not_squeeze_its_figure(all_of_it):
    records, net, x, y = all_of_it
    before = proved_figures(records)[0].svg
    options = {"attacks": ["fgsm"], "draws": 4, "verdict_draws": 64, "deployments": ["single"]}
    evaluate(net, x, y, budget="l2:20", records=records, name="net", part="unbounded", **options)
    assert any(row.budget == "l2:20" for row in measured(records, proofs(records)[0]))
    assert proved_figures(records)[0].svg == before


def test_proved_rates_stand_beside_attacked_ones(records):
    table = proved_table(records)
    cells = {line[1].text: line[4] for line in table.lines}
    assert set(cells) == {"vote", "single", "single, by population", "survive-10", "majority-16"}
    assert "attacked" in cells["single"].small
    assert "attacked" not in cells["vote"].small
    text = proved_markdown(records)
    assert "| net | single |" in text
    assert "Certified for 40 examples" in text
    page = page_text([records])
    assert 'id="proved"' in page
    assert "The vote has no certificate on" in page
    figure = proved_figures(records)[0]
    assert "single, certified" in figure.svg
    assert "single, attacked" in figure.svg
    assert len(figure.numbers.lines) == 4 * 25


def test_the_terminal_prints_one_line_for_each_deployment(records, capsys):
    print_proved(proofs(records)[0].proved.rows, "what is proved")
    text = capsys.readouterr().out
    assert text.splitlines()[0].strip() == "what is proved"
    assert sum(line.split()[:1] == ["survive-10"] for line in text.splitlines()) == 1


def test_a_proof_above_an_attack_is_a_red_flag(records):
    assert "proof-above-attack" not in {flag.flag for flag in raised(records)}
    proven = proofs(records)[0]
    rows = [row.model_copy(update={"rate": 1.0, "low": 0.999, "high": 1.0}) for row in proven.proved.rows]
    facts = proven.proved.model_dump(exclude={"rows"}) | {"rows": [row.model_dump() for row in rows]}
    records.add([Proved.model_validate(facts)])
    flags = [flag for flag in raised(records) if flag.flag == "proof-above-attack"]
    assert len(flags) == 1
    assert "fgsm leaves" in flags[0].findings[0]


def test_a_certificate_that_is_not_shown_is_named(all_of_it):
    records, net, x, y = all_of_it
    assert not notes(records)
    certify(net, x, y, radii=[0.1, 0.2], draws=300, records=records, name="net")
    other = randomize(nn.Sequential(Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 2)), FAMILIES)
    (note,) = notes(records)
    assert "an earlier one (200 votes on 40 examples" in note
    certify(other, x, y, radii=[0.1], draws=200, records=records, name="net")
    (note,) = notes(records)
    assert note.count("another network of this name") == 2
    assert "(300 votes on 40 examples" in note
    assert len(proofs(records)) == 1
    for text in (page_text([records]), formats.as_markdown([records])):
        assert "only the newest certificate in l2 is shown" in text


def test_records_without_certificates_prove_nothing():
    assert proved_table(Records()) is None
    assert proved_markdown(Records()) is None
    assert proved_figures(Records()) == []
