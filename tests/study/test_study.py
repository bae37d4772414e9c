"""Studies: one file says it all, and what is there is not computed again."""

import os

import pytest
from claims import assert_same

from variate.errors import DataError, UsageError
from variate.records.file import Records
from variate.study import work
from variate.study.file import read_study
from variate.study.packaged import packaged_studies
from variate.study.running import check_study, run_study
from variate.training import run_folder as cell
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell

MOVIE_SNIPPETS = os.environ.get("VARIATE_TEST_MOVIE_SNIPPETS")  # the sources of vaderSentiment
TINY = """
title = "Tiny"
data = "digits"
network = "mlp"
defenses = ["deterministic", "random-at"]
budget = "linf:0.1"

[training]
epochs = 1
attack_steps = 1

[evaluation]
examples = 20
draws = 2
verdict_draws = 32
attacks = [{ name = "fgsm" }, { name = "pgd", steps = 2, draws = 1 }, { name = "transfer", steps = 2 }]

[curves]
examples = 10
steps = 2
sizes = ["0", "0.1"]
draws = [1, 3]
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return read_study(str(path))


def test_a_study_trains_judges_and_records_everything(tiny, tmp_path):
    records = run_study(tiny, str(tmp_path / "out"), folders=str(tmp_path), command="variate study tiny.toml")
    assert Records(tmp_path / "out" / "records.jsonl").claims == records.claims
    assert list(records.networks) == ["deterministic", "random-at"]
    assert {scale.network for scale in records.scales} == {"random-at"}
    parts = {(claim.network, claim.part) for claim in records.claims.values()}
    assert parts == {
        ("deterministic", "test split"),
        ("deterministic", "table"),
        ("deterministic", "sizes"),
        ("random-at", "test split"),
        ("random-at", "table"),
        ("random-at", "sizes"),
        ("random-at", "draws"),
        ("random-at, mean network", "twins"),
        ("random-at, one frozen draw", "twins"),
    }
    whole = {len(records.examples[c.id]) for c in records.claims.values() if c.part == "test split"}
    assert whole == {400}
    assert len(records.pictures) == 2 * 3 * 6


def test_a_stopped_study_goes_on_to_the_same_records(tiny, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    run_study(tiny, whole, command="c")
    trained, judged = [], []
    original_train, original_evaluate = cell.train, work.evaluate

    def training(*args, **options):
        trained.append(options["name"])
        return original_train(*args, **options)

    def stopping(*args, **options):
        judged.append(options["name"])
        if len(judged) == 7:
            raise KeyboardInterrupt
        return original_evaluate(*args, **options)

    monkeypatch.setattr(cell, "train", training)
    monkeypatch.setattr(work, "evaluate", stopping)
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny, out, command="c")
    run_study(tiny, out, command="c")
    assert trained == ["deterministic", "random-at"]
    assert_same(out / "records.jsonl", whole / "records.jsonl")


@pytest.mark.parametrize("name", packaged_studies())
def test_packaged_studies_name_things_that_exist(name):
    try:
        folders = {"movie-snippets": MOVIE_SNIPPETS} if name == "movie-snippets" and MOVIE_SNIPPETS else None
        check_study(read_study(name), folders=folders)
    except DataError as error:  # the last that is looked at are the networks, for which data must be there
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not a TOML file"),
        ("title = 'x'", "is not a study"),
        (TINY.replace("epochs = 1", "epochs = 0"), "training.epochs"),
        (TINY.replace("epochs = 1", "epoches = 1"), "training.epoches"),
    ],
)
def test_a_file_that_is_no_study_is_named(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_study(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TINY.replace('name = "pgd"', 'name = "pdg"'), "did you mean 'pgd'"),
        (TINY.replace("steps = 2, draws", "stepps = 2, draws"), "did you mean 'steps'"),
        (TINY.replace("random-at", "randm-at"), "did you mean 'random-at'"),
        (TINY.replace('"mlp"', '"mpl"'), "did you mean 'mlp'"),
        (TINY.replace("verdict_draws = 32", "verdict_draws = 20"), "too few to judge mean-16"),
        (TINY.replace('"0", "0.1"', '"0", "much"'), "is not a number"),
    ],
)
def test_what_a_study_names_is_checked_before_anything_is_trained(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        run_study(read_study(str(path)), tmp_path / "out", command="c")
    assert not (tmp_path / "out").exists()


def test_a_study_that_does_not_exist_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'digits'"):
        read_study("digit")


def test_a_folder_with_another_network_is_not_overwritten(tmp_path):
    first = Cell(data="digits", network="mlp", defense="deterministic", recipe=Recipe(epochs=1))
    card = train_cell(first, tmp_path)
    assert train_cell(first, tmp_path) == card
    with pytest.raises(UsageError, match="trained otherwise") as error:
        train_cell(Cell(data="digits", network="mlp", defense="deterministic", recipe=Recipe(epochs=2)), tmp_path)
    assert error.value.findings == ("epochs: 1 there, 2 now",)


def test_a_cell_can_train_on_a_part_of_its_data(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(cell, "Batches", lambda x, y, **options: seen.append(len(x)) or [(x[:8], y[:8])])
    train_cell(
        Cell(data="digits", network="mlp", defense="deterministic", recipe=Recipe(epochs=1), train_examples=50),
        tmp_path,
    )
    assert seen == [50]
