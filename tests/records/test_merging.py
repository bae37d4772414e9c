"""Merging and picking lose no kind of line, whichever kinds there will be."""

from dataclasses import replace
from typing import get_args

import pytest

from variate.certificates.certify import certify
from variate.certificates.judge_certified import judge_certified
from variate.datasets.load import labelled
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.records.file import RECORDS, Records
from variate.records.merging import gather, of_networks
from variate.records.schema import Lines
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import describe, run_record, train_cell
from variate.training.saved import load

KINDS = {get_args(line.model_fields["kind"].annotation)[0] for line in get_args(Lines)}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file with a line of every kind, of two networks."""
    folder = tmp_path_factory.mktemp("all")
    records = Records(folder / RECORDS)
    x, y = (part[:4] for part in labelled("digits"))
    records.add([run_record(command="c", title="t", data="digits", seed=0, x=x)])
    for name in ("one", "other"):
        cell = Cell("digits", "mlp", "random-smoothing(sigma=0.5)", Recipe(seed=len(name), epochs=1), train_examples=64)
        card = train_cell(cell, folder / name)
        net = load(folder / name)
        records.add(describe(card, net, name))
        asked = Evaluation(budget="l2:0.1", attacks=["fgsm"], draws=2, verdict_draws=32, metrics=["accuracy"])
        evaluate(net, x, y, evaluation=asked, records=records, name=name, pictures=True)
        if name == "one":
            evaluate(net, x, y, evaluation=replace(asked, draws="auto"), records=records, name=name)
        doubt(net, x, y, evaluation=asked, records=records, name=name)
        certify(net, x, y, radii=[0.1], draws=30, records=records, name=name)
        judge_certified(
            net, x, y, radius=0.1, budgets=["l2:0.1"], attacks=["fgsm"], draws=30, records=records, name=name
        )
    return folder / RECORDS


def kinds_in(path):
    return {line.split('"kind":"')[1].split('"')[0] for line in path.read_text().splitlines()}


def lines_in(path):
    return sorted(path.read_text().splitlines())


def test_the_file_has_a_line_of_every_kind(path):
    assert kinds_in(path) - {"format"} == KINDS


def test_a_merged_file_has_the_same_lines(path, tmp_path):
    gather([Records(path)], Records(tmp_path / RECORDS))
    assert lines_in(tmp_path / RECORDS) == lines_in(path)


def test_the_records_of_all_networks_are_those_of_each(path, tmp_path):
    whole, merged = Records(path), Records(tmp_path / RECORDS)
    merged.add(whole.runs)
    derived = {claim.network for claim in whole.claims.values()} - {"one", "other"}
    parts = [of_networks(whole, names) for names in (["one"], ["other"], derived)]
    assert {claim.network for claim in parts[0].claims.values()} == {"one"}
    assert {certificate.network for certificate in parts[1].certificates.values()} == {"other"}
    assert not {*parts[0].votes} & {*parts[1].votes}
    gather(parts, merged)
    assert lines_in(tmp_path / RECORDS) == lines_in(path)
