"""Reports as text, and differences between claims: each against what the records say."""

import csv
import io
import json
import re

import pytest
from claims import JUDGED, answers, claim, network, sample
from typer.testing import CliRunner

from variate.cli.main import app
from variate.records.file import Records
from variate.records.rows import rows_of
from variate.records.schema import Convergence, Timing
from variate.report import formats, series, single
from variate.report.cost import attack_cost, spent
from variate.report.figures import figures
from variate.report.headline import headline
from variate.report.page import page_text
from variate.report.paired import averaging, twins
from variate.report.runs import merged
from variate.report.sentences import verdict
from variate.report.table import study_grids
from variate.statistics.comparison import compare


@pytest.fixture
def store():
    return sample()


def cells(sheet, *words):
    """The one line of a sheet that begins with certain words."""
    (line,) = [line for line in sheet.lines if [cell.text for cell in line[: len(words)]] == list(words)]
    return line


def test_the_difference_to_a_twin_is_that_of_the_paired_comparison(store):
    sheet = twins(store)
    attacked = [line for line in sheet.lines if line[2].text == "linf:0.1"]
    assert [line[1].text for line in attacked] == ["random, mean network", "plain", "at"]  # not the other seed's
    line = cells(sheet, "random", "at", "linf:0.1")
    assert [cell.text for cell in line[3:5]] == ["pgd (20 draws)", "pgd"]
    worst = single.strongest(store, "random", "linf:0.1")
    assert worst.draws == 20
    found = compare(single.bits(store, worst), single.bits(store, single.strongest(store, "at", "linf:0.1")))
    assert line[7].value == found.difference < 0
    assert line[7].small == f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    assert cells(sheet, "random", "plain", "none")[0].text == "random"


def test_no_difference_is_made_of_other_examples(store):
    more = Records()
    more.add([network("random"), network("plain", defense="deterministic", random=False)])
    claim(more, "random", answers(0.5))
    claim(more, "plain", answers(0.5, draws=1)[:, :-1])
    assert twins(more) is None
    assert "paired" not in verdict(more)[0]
    assert "the best deterministic network, plain" in verdict(more)[0]


def test_naive_and_averaged_attacks_are_paired_over_the_same_draws(store):
    (line,) = averaging(store).lines
    one, many = (c for c in store.claims.values() if c.network == "random" and c.attack == "pgd")
    found = compare(single.bits(store, many), single.bits(store, one), paired_draws=True)
    assert [line[3].value, line[4].value, line[5].value] == [
        20,
        rows_of(store, one)[0].rate,
        rows_of(store, many)[0].rate,
    ]
    assert line[6].value == found.difference == pytest.approx(line[5].value - line[4].value)
    assert line[6].small == f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def test_aimed_attacks_say_nothing_of_the_verdict(store):
    before = verdict(store), headline(store)
    claim(store, "random", answers(0.0), options={"target": "next"}, draws=20)
    assert (verdict(store), headline(store)) == before
    aimed = Records()
    claim(aimed, "random", answers(0.0), options={"target": "next"})
    assert headline(aimed).tone == "none"


def test_curves_hold_everything_but_one_thing(store):
    claim(store, "random", answers(0.1), options={"steps": 100}, part="steps", inputs="others")
    for steps, share in ((10, 0.5), (40, 0.4)):
        claim(store, "random", answers(share), options={"steps": steps}, part="steps")
        claim(store, "plain", answers(share, draws=1), options={"steps": steps}, part="steps", budget=f"linf:{steps}")
    for queries in (100, 1000):
        claim(store, "at", answers(0.6, draws=1), attack="square", options={"queries": queries}, part="queries")
    (steps,) = series.series(store, series.steps, fewest=2)
    assert (steps.network, list(steps.rows), steps.setting) == ("random", [10, 40], "1 draw, linf:0.1")
    (queries,) = series.series(store, series.queries, fewest=2)
    assert (queries.network, list(queries.rows)) == ("at", [100, 1000])
    assert series.series(store, series.size, fewest=3) == []
    found = {figure.id: figure for figure in figures(store)}
    assert set(found) == {"accuracy-steps", "accuracy-queries", "survival"}
    assert found["accuracy-steps"].numbers.lines[0][1].text == f"{100 * steps.rows[10].rate:.1f}"


def test_what_the_search_saw_of_its_draws_is_dashed(store):
    facts = {"network": "random", "fingerprint": "random", "inputs": "i", "attack": "pgd", "budget": "linf:0.1"}
    facts |= {"seed": 0, "settings": {}, **JUDGED}
    ladder = {"draws": [5, 10], "accuracy": [0.5, 0.4], "examples": 60, "chosen": 10, "flat": False}
    assert "accuracy-draws" not in [figure.id for figure in figures(store)]
    store.add([Convergence(**facts, **ladder)])
    (drawn,) = [figure for figure in figures(store) if figure.id == "accuracy-draws"]
    assert "stroke-dasharray" in drawn.svg
    assert [cell.text for cell in drawn.numbers.lines[0]] == ["random, pgd, search", "50.0", "40.0"]


def test_cost_is_a_mean_over_examples_and_queries_that_were_not_counted_are_not_zero(store):
    claim(store, "at", answers(0.5, draws=1), attack="square", draws=2, points=7)
    sheet = attack_cost(store)
    counted, not_counted = cells(sheet, "at", "square"), cells(sheet, "at", "pgd")
    assert [cell.text for cell in counted[3:]] == ["60", "2", "7", "6", "2", "-", "1"]
    assert not_counted[5].text == "-"


def test_csv_and_json_hold_every_rate_and_read_back(store):
    rows = [row for line in store.claims.values() for row in rows_of(store, line)]
    read = list(csv.DictReader(io.StringIO(formats.as_csv([store]))))
    listed = json.loads(formats.as_json([store]))
    assert len(read) == len(listed) == len(rows)
    for row, one, other in zip(rows, read, listed, strict=True):
        assert (float(one["rate"]), float(one["low"]), float(one["high"])) == (row.rate, row.low, row.high)
        assert json.loads(one["options"]) == other["options"] == row.options
        assert (other["network"], other["rate"], other["run"]) == (row.network, row.rate, "a & b_c")


def test_latex_is_a_booktabs_table_with_every_interval(store):
    text = formats.as_latex([store])
    assert text.count(r"\begin{tabular}") == text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    assert r"\caption{a \& b\_c: " in text
    assert re.search(r"(?<!\\)[&]", text.split(r"\begin{tabular}")[0]) is None
    for row in (r for line in store.claims.values() for r in rows_of(store, line)):
        assert rf"{100 * row.rate:.1f} {{\scriptsize [{100 * row.low:.1f}, {100 * row.high:.1f}]}}" in text
    for table in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, re.S):
        lines = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
    assert formats.escaped("a_b & 5 % ~ ^ {x} \\") == (
        r"a\_b \& 5 \% \textasciitilde{} \textasciicircum{} \{x\} \textbackslash{}"
    )


def test_several_runs_stand_in_one_table_under_their_own_names(store):
    other = Records()
    other.add([store.runs[0]])
    claim(other, "random", answers(0.7), attack="fgsm")
    (name, sheet), *rest = merged([store, other])
    assert rest == []  # one of the two has no twins
    assert sheet.heads[0] == ("run",)
    assert {line[0].text for line in sheet.lines} == {"1", "2"}
    assert sum(len(grid.lines) for _, grid in [study_grids(one)[0] for one in (store, other)]) == len(sheet.lines)
    fgsm = [head[0] for head in sheet.heads].index("fgsm")
    assert [line[fgsm].text != "-" for line in sheet.lines] == [line[0].text == "2" for line in sheet.lines]
    page = page_text([store, other])
    assert "All runs compared" in page
    for number in (1, 2):
        assert f'<li><a href="#run-{number}-run">a &amp; b_c ({number})</a></li>' in page
    assert "All runs compared" not in page_text([store])
    assert name in page_text([store, other])


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(store, tmp_path):
    kept = Records(tmp_path / "records.jsonl")
    kept.add([*store.runs, *store.networks.values(), *store.claims.values()])
    kept.add([one for examples in store.examples.values() for one in examples.values()])
    return tmp_path


@pytest.mark.parametrize("form", ["md", "json", "csv", "latex"])
def test_a_format_is_printed_or_written_and_no_page_is_made(folder, form):
    printed = invoke("report", folder, "--format", form)
    assert printed.exit_code == 0, printed.output
    assert invoke("report", folder, "--format", form, "--out", folder / "x").stdout == ""
    assert (folder / "x").read_text() == printed.stdout != ""
    assert not (folder / "report.html").exists()


def test_json_is_one_of_the_formats(folder):
    assert invoke("report", folder, "--json").stdout == invoke("report", folder, "--format", "json").stdout


def test_the_browser_is_for_the_page(folder, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert invoke("report", folder, "--open").exit_code == 0
    assert opened == [(folder / "report.html").resolve().as_uri()]
    refused = invoke("report", folder, "--open", "--format", "csv")
    assert refused.exit_code == 2
    assert "for the page, not for csv" in refused.output
    assert len(opened) == 1


def test_seconds_stand_in_every_format_where_all_of_a_claim_are_known(store):
    line = next(claim for claim in store.claims.values() if claim.attack != "clean")
    timed = Records()
    timed.add([*store.networks.values(), *store.claims.values()])
    timed.add([example for examples in store.examples.values() for example in examples.values()])
    first = Timing(claim=line.id, first=0, examples=40, attack=1.25, verdict=0.5)
    timed.add([first])
    assert spent(timed, line).attack_seconds is None  # a third of the examples is missing
    timed.add([first, first.model_copy(update={"first": 40, "examples": 20, "attack": 20.0})])
    assert (spent(timed, line).attack_seconds, spent(timed, line).verdict_seconds) == (21.25, 1.0)
    rows = json.loads(formats.as_json([timed]))
    (row,) = [row for row in rows if row["attack_seconds"] is not None]
    assert (row["attack_seconds"], row["verdict_seconds"], row["verdict_draws"]) == (21.25, 1.0, line.verdict_draws)
    assert row["forward_passes"] == 3 * line.draws
    assert "21.25,1.0" in formats.as_csv([timed])
    assert f"| 21 | {line.verdict_draws} 1 s |" in formats.as_markdown([timed])
    assert "Cost of the attacks" in formats.as_markdown([store])
