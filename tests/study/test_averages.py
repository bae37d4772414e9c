"""Rows of equal inference cost: networks of several seeds as one, and a defense with an architecture of its own."""

from pathlib import Path

import pytest
import torch
from grids import GRID, facts, run, study

from variate.datasets.load import data as load_data
from variate.errors import UsageError
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.study import work as works
from variate.study.dry_study import of_study
from variate.study.grid import places, progress_of
from variate.study.running import check_study
from variate.training.saved import load, read_card

AVERAGES = [{"of": "deterministic", "networks": 2}, {"name": "all three", "of": "deterministic", "networks": 3}]


def averaging(**changes):
    judging = {**GRID["evaluation"], "deployments": ["single", "mean-2"], "attacks": ["fgsm"]}
    usual = {"defenses": ["deterministic"], "seeds": [0, 1, 2], "averages": AVERAGES, "budget": "linf:0.1"}
    return study(**{**usual, "evaluation": judging, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("averages")
    run(averaging(), out)
    return out


def test_an_average_has_a_row_for_every_seed_of_that_and_the_next_networks():
    grid = places(averaging(), Path("out"))
    names = ["2 of deterministic, seed 0", "2 of deterministic, seed 1", "2 of deterministic, seed 2"]
    assert [name for name in grid if name.startswith("2 of")] == names
    assert grid[names[2]].members == ("deterministic, seed 2", "deterministic, seed 0")
    assert grid[names[2]].group == "2 of deterministic"
    assert grid[names[1]].cell.recipe.seed == 1
    assert [name for name in grid if name.startswith("all three")] == ["all three, seed 0"]  # the others are the same
    assert len(grid["all three, seed 0"].members) == 3


def test_the_mean_of_an_average_is_that_of_its_networks(whole):
    x, y = (part[:8] for part in load_data("digits", split="test"))
    members = [load(whole / f"deterministic-seed-{seed}") for seed in (2, 0)]
    mean = torch.stack([member(x).softmax(-1) for member in members]).mean(0).argmax(-1)
    records = Records(whole / "records.jsonl")
    claims = [claim for claim in records.claims.values() if claim.network == "2 of deterministic, seed 2"]
    clean = next(claim for claim in claims if claim.attack == CLEAN and claim.part == "table")
    assert (records.answers(clean, "mean-2").mean(0) == (mean == y).float().numpy()).all()
    line = records.networks["2 of deterministic, seed 2"]
    assert line.random
    assert line.training["average of"] == {
        f"deterministic, seed {seed}": read_card(whole / f"deterministic-seed-{seed}").fingerprint for seed in (2, 0)
    }
    assert not any("mean network" in claim.network for claim in records.claims.values())


def test_an_average_that_is_done_is_left_alone_and_one_of_other_networks_is_made_anew(whole, monkeypatch):
    before, asked = facts(whole), []
    monkeypatch.setattr(works, "join", lambda members, place: asked.append(place.name))
    run(averaging(), whole)
    assert not asked
    assert facts(whole) == before
    assert set(progress_of(averaging(), whole).values()) == {"done"}
    grid = places(averaging(), whole)
    card = whole / "2-of-deterministic-seed-0" / "card.json"
    text = card.read_text()
    try:
        card.write_text(text.replace(read_card(grid["deterministic, seed 1"].folder).fingerprint, "0" * 32))
        run(averaging(), whole)
    finally:
        card.write_text(text)
    assert asked == ["2 of deterministic, seed 0"]


def test_networks_are_averaged_after_they_are_trained_and_before_they_are_attacked_from(tmp_path):
    judging = {**GRID["evaluation"], "attacks": [], "suite": "fgsm+transfer", "examples": 4}
    chosen = averaging(seeds=[0, 1], averages=AVERAGES[:1], evaluation=judging)
    grid = places(chosen, tmp_path)
    assert grid["2 of deterministic, seed 0"].sources == ("deterministic, seed 0",)
    records = run(chosen, tmp_path)
    attacks = {claim.attack for claim in records.claims.values() if claim.network == "2 of deterministic, seed 0"}
    assert attacks == {CLEAN, "fgsm+transfer"}


def test_a_dry_run_counts_the_passes_of_an_average_and_no_training(tmp_path):
    chosen = averaging(averages=AVERAGES[:1])
    told = dict(of_study(chosen, list(places(chosen, tmp_path).values())))
    assert any("epochs of" in part.what for part in told["deterministic, seed 0"])
    assert not any("epochs of" in part.what or "twins" in part.what for part in told["2 of deterministic, seed 0"])
    assert {part.judging for part in told["2 of deterministic, seed 1"]} == {4, 32}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"averages": [{"of": "at", "networks": 2}]}, "average of 'at'"),
        ({"averages": [{"of": "deterministic", "networks": 4}]}, "needs 4 seeds, and the study has 3"),
        ({"defenses": ["random"], "averages": [{"of": "random", "networks": 2}]}, "average of random networks"),
        ({"averages": [{"name": "deterministic", "of": "deterministic", "networks": 2}]}, "one name"),
    ],
)
def test_an_average_that_cannot_be_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        check_study(averaging(**changes))


def test_a_defense_may_have_an_architecture_of_its_own(tmp_path):
    wide = {"name": "wide", "defense": "deterministic", "network": "lenet"}
    chosen = study(defenses=["deterministic", wide], network=["mlp", "linear"], seeds=0)
    networks = {name: place.cell.network for name, place in places(chosen, tmp_path).items()}
    assert networks == {"deterministic, mlp": "mlp", "wide, lenet": "lenet", "deterministic, linear": "linear"}
    with pytest.raises(UsageError, match="m5 takes no image inputs"):
        check_study(study(defenses=["deterministic", {**wide, "network": "m5"}]))
