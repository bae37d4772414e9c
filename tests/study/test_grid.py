"""Studies as grids: what varies, in which order and in how many processes, changes no record; no failure stops all."""

import re
from pathlib import Path

import pytest
from grids import GRID, facts, run, study

from variate.errors import UsageError, VariateError
from variate.flags.evidence import Evidence
from variate.records.file import Records
from variate.study.file import read_study
from variate.study.grid import left_out, places, progress_of
from variate.study.running import check_study
from variate.study.work import Order, Task, work
from variate.training.cell import Cell
from variate.training.run_folder import train_cell


def suite(**changes):
    return study(**changes, evaluation={**GRID["evaluation"], "attacks": [], "suite": "fgsm+transfer(steps=2)"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study of four networks that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    run(study(), out)
    return out


def test_networks_are_named_by_their_defense_and_by_what_varies():
    def names(**changes):
        return list(places(study(**changes), Path("out")))

    assert names(seeds=3) == ["deterministic", "random"]
    assert names() == ["deterministic, seed 0", "deterministic, seed 1", "random, seed 0", "random, seed 1"]
    defenses = [{"name": "random, snr 2", "defense": "random"}]
    two = {"defenses": defenses, "network": ["mlp", "lenet"], "data": ["digits", "fashion-mnist"], "seeds": 0}
    assert names(**two) == [
        "random, snr 2, mlp, digits",
        "random, snr 2, lenet, digits",
        "random, snr 2, mlp, fashion-mnist",
        "random, snr 2, lenet, fashion-mnist",
    ]


def test_a_defense_trains_as_it_says_and_as_the_study_says_otherwise():
    own = {"name": "long", "defense": "random", "objective": "cross-entropy+snr(target=2):1", "epochs": 3}
    chosen = study(defenses=["random", own], training={"epochs": 2, "lr": 0.01}, seeds=[7])
    first, second = (place.cell.recipe for place in places(chosen, Path("out")).values())
    assert (first.epochs, first.lr, first.objective, first.budget, first.seed) == (2, 0.01, None, "linf:0.1", 7)
    assert (second.epochs, second.lr, second.objective) == (3, 0.01, "cross-entropy+snr(target=2):1")


def test_budgets_may_be_those_of_each_data_set():
    budgets = {"digits": "linf:0.1", "fashion-mnist": ["linf:0.2", "l2:1.5"]}
    chosen = study(data=["digits", "fashion-mnist"], budget=budgets, seeds=[0], defenses=["at"])
    first, second = places(chosen, Path("out")).values()
    assert (first.budgets, second.budgets) == (("linf:0.1",), ("linf:0.2", "l2:1.5"))
    assert (first.cell.recipe.budget, second.cell.recipe.budget) == ("linf:0.1", "linf:0.2")


def test_a_data_set_may_have_networks_and_training_of_its_own(tmp_path):
    chosen = study(
        data=["digits", "fashion-mnist"],
        network={"digits": "mlp", "fashion-mnist": ["mlp", "lenet"]},
        training_on={"fashion-mnist": {"epochs": 7}},
        seeds=[0],
        defenses=["random"],
    )
    grid = places(chosen, tmp_path, folders={"fashion-mnist": tmp_path})
    cells = {name: (p.cell.network, p.cell.recipe.epochs, p.cell.data_folder) for name, p in grid.items()}
    assert cells == {
        "random, digits": ("mlp", 1, None),
        "random, mlp, fashion-mnist": ("mlp", 7, tmp_path),
        "random, lenet, fashion-mnist": ("lenet", 7, tmp_path),
    }
    with pytest.raises(UsageError, match="no network for fashion-mnist"):
        check_study(study(data=["digits", "fashion-mnist"], network={"digits": "mlp"}))


def test_an_attack_is_left_out_where_it_does_not_bound_the_norm_and_that_is_said_once():
    chosen = study(
        evaluation={**GRID["evaluation"], "attacks": ["pgd(steps=1)", "pgd", "fmn"]}, budget=["l0:3", "l2:1"]
    )
    assert left_out(chosen) == ["pgd does not support l0: not run at l0:3"]


def test_the_grid_is_recorded_in_its_order(whole):
    records = Records(whole / "records.jsonl")
    names = ["deterministic, seed 0", "deterministic, seed 1", "random, seed 0", "random, seed 1"]
    assert list(records.networks) == names
    judged = list(dict.fromkeys(claim.network for claim in records.claims.values()))
    assert [name for name in judged if name in names] == names
    assert [(r.data, r.seed) for r in records.runs] == [("digits", 0), ("digits", 1)]
    ran = {(c.network, c.budget, c.attack) for c in records.claims.values() if c.part == "table" and c.budget}
    assert ran == {(n, b, a) for n in names for b in ("linf:0.1", "l2:0.5") for a in ("fgsm", "fmn")}
    assert {claim.seed for claim in records.claims.values() if claim.network.startswith("random, seed 1")} == {1}


def test_the_order_in_which_places_are_worked_at_changes_no_record(whole, tmp_path):
    order = Order(study(), tmp_path, accelerator="auto")
    for name in reversed(order.places()):
        assert work(order, Task(name, ("train", "judge"))) is None
    run(study(), tmp_path)
    assert facts(tmp_path) == facts(whole)


def test_what_is_done_is_not_worked_at_again(whole, monkeypatch):
    before = (whole / "records.jsonl").read_bytes()
    monkeypatch.setattr("variate.study.work.train_cell", pytest.fail)
    monkeypatch.setattr("variate.study.work.evaluate", pytest.fail)
    run(study(), whole)
    assert (whole / "records.jsonl").read_bytes() == before


def test_records_from_before_places_had_their_own_are_taken_over(whole, tmp_path, monkeypatch):
    run(study(), tmp_path)
    before = facts(tmp_path)
    for folder in filter(Path.is_dir, tmp_path.iterdir()):
        (folder / "records.jsonl").unlink()
    answered = []
    monkeypatch.setattr("variate.evaluation.evaluate.answers", lambda *args, **options: answered.append(args))
    run(study(), tmp_path)
    assert not answered
    assert facts(tmp_path) == before


def test_a_network_that_fails_stops_no_other_and_is_all_that_a_second_run_does(whole, tmp_path, monkeypatch):
    asked = []

    def failing(cell, out, **options):
        asked.append(out.name)
        if out.name == "deterministic-seed-1":
            raise RuntimeError("no luck")
        return train_cell(cell, out, **options)

    with monkeypatch.context() as broken:
        broken.setattr("variate.study.work.train_cell", failing)
        with pytest.raises(VariateError, match="1 of 4 networks failed") as error:
            run(study(), tmp_path)
    assert error.value.exit_code == 1
    assert error.value.findings[0].startswith("deterministic, seed 1: RuntimeError: no luck")
    assert len(asked) == 4
    assert "no luck" in (tmp_path / "deterministic-seed-1" / "failure.txt").read_text()
    assert list(Records(tmp_path / "records.jsonl").networks) == [
        "deterministic, seed 0",
        "random, seed 0",
        "random, seed 1",
    ]
    assert list(progress_of(study(), tmp_path).values()) == ["done", "to do", "done", "done"]
    asked.clear()
    monkeypatch.setattr(
        "variate.study.work.train_cell", lambda cell, out, **o: asked.append(out.name) or train_cell(cell, out, **o)
    )
    run(study(), tmp_path)
    assert asked == ["deterministic-seed-1"]
    assert facts(tmp_path) == facts(whole)
    assert not (tmp_path / "deterministic-seed-1" / "failure.txt").exists()


def test_networks_to_transfer_from_are_trained_first(tmp_path):
    chosen = suite(budget="linf:0.1")
    grid = places(chosen, tmp_path)
    assert grid["random, seed 0"].sources == ("deterministic, seed 0", "random, seed 1")
    assert "not trained" in work(Order(chosen, tmp_path), Task("random, seed 0", ("train", "judge")))
    records = run(chosen, tmp_path)
    claims = [
        c for c in records.claims.values() if c.attack == "fgsm+transfer(steps=2)" and c.network == "random, seed 0"
    ]
    prints = {claim.network: f"{claim.fingerprint} {claim.answers}" for claim in records.claims.values()}
    assert [c.options["sources"] for c in claims] == [{n: prints[n] for n in grid["random, seed 0"].sources}]
    assert not any(c.options.get("sources") for c in run(study(), tmp_path / "none").claims.values())
    quick = study(evaluation={**GRID["evaluation"], "suite": "quick"})  # which transfers from none
    assert not any(place.sources for place in places(quick, tmp_path).values())


def test_the_first_seed_of_every_network_comes_before_the_second_of_any(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr("variate.study.engines.local.work", lambda order, task: done.append(task))
    run(study(), tmp_path)
    assert [task.name for task in done] == [
        "deterministic, seed 0", "random, seed 0", "deterministic, seed 1", "random, seed 1",
    ]  # fmt: skip
    assert {task.steps for task in done} == {("train", "judge")}
    done.clear()
    run(suite(), tmp_path)
    assert [task.steps for task in done] == [("train",)] * 4 + [("judge",)] * 4


def test_another_training_or_evaluation_is_noticed(tmp_path):
    one = {"defenses": ["random"], "seeds": [0]}
    run(study(**one), tmp_path)
    assert progress_of(study(**one), tmp_path) == {"random": "done"}
    more = {**GRID["evaluation"], "attacks": [{"name": "fgsm"}, {"name": "fmn", "steps": 3}]}
    assert progress_of(study(**one, evaluation=more), tmp_path) == {"random": "trained, judging begun"}
    longer = study(**one, training={"epochs": 2})
    assert "trained otherwise" in progress_of(longer, tmp_path)["random"]
    with pytest.raises(VariateError, match="1 of 1 networks failed") as error:
        run(longer, tmp_path)
    assert "epochs: 1 there, 2 now" in error.value.findings[0]


def test_the_validation_split_leaves_the_test_split_untouched(tmp_path, monkeypatch):
    asked = []
    original = Cell.split
    monkeypatch.setattr(Cell, "split", lambda cell, name: asked.append(name) or original(cell, name))
    chosen = study(defenses=["random"], seeds=[0], evaluation={**GRID["evaluation"], "split": "validation"})
    records = run(chosen, tmp_path)
    assert set(asked) == {"train", "validation"}
    assert "test split" not in {claim.part for claim in records.claims.values()}
    assert records.runs[0].title == "Grid (validation split)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"defenses": ["random(shar=channel)"]}, "did you mean 'share'"),
        ({"defenses": [{"defense": "random", "objective": "cross-entrpy"}]}, "did you mean 'cross-entropy'"),
        ({"defenses": [{"defense": "deterministic", "objective": "snr"}]}, "snr"),
        ({"defenses": [{"defense": "random", "optimizer": "adam-w"}]}, "adam-w"),
        ({"defenses": ["random", {"name": "random", "defense": "at"}]}, "one name"),
        ({"data": ["digits", "digit"]}, "did you mean 'digits'"),
        ({"network": ["mlp", "mpl"]}, "did you mean 'mlp'"),
        ({"budget": ["linf:0.1", "l3:1"]}, "norm"),
        ({"budget": {"digit": "linf:0.1"}}, "no budget for digits"),
        ({"budget": "l0:3", "evaluation": {"attacks": ["fgsm"]}}, "no attack of the study supports l0"),
        ({"evaluation": {"attacks": ["pgd", "jsma"]}}, "jsma supports the norm of no budget"),
        ({"evaluation": {"suite": "quik"}}, "did you mean 'quick'"),
        ({"evaluation": {"attacks": ["fgsm"], "deployments": ["medium"]}}, "medium"),
        ({"seeds": [1, 1]}, "one name"),
    ],
)
def test_the_whole_grid_is_checked_before_anything_is_trained(changes, message):
    with pytest.raises(UsageError, match=message) as error:
        check_study(study(**changes))
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"attacks": ["fgsm"], "metrics": ["auroc"]}}, "auroc does not measure the task regression"),
        ({"evaluation": {"attacks": ["apgd-dlr"]}}, "apgd-dlr does not work on the task regression"),
        ({"evaluation": {"attacks": [{"name": "fgsm", "climb": "ctc"}]}}, "ctc"),
        (
            {"defenses": [{"defense": "deterministic", "objective": "cross-entropy+margin-variance"}]},
            "the objective margin-variance is one of classes",
        ),
    ],
)
def test_what_a_task_does_not_know_is_refused_before_anything_is_trained(changes, message):
    check_study(study(data="diabetes"))
    with pytest.raises(UsageError, match=message):
        check_study(study(data="diabetes", **changes))


def test_the_networks_of_several_data_sets_are_held_to_their_own(whole):
    records = Records(whole / "records.jsonl")
    run, network = records.runs[0], records.networks["random, seed 0"]
    assert Evidence(records, network.network).data == "digits"
    records.runs.insert(0, run.model_copy(update={"data": "fashion-mnist"}))
    assert Evidence(records, network.network).data == "digits"
    assert Evidence(records, "another").data == "fashion-mnist"


def test_doubts_are_measured_once_at_the_first_budget(tmp_path):
    evaluation = {**GRID["evaluation"], "doubts": True}
    records = run(study(defenses=["random"], seeds=[0], evaluation=evaluation), tmp_path)
    budgets = {claim.budget for claim in records.claims.values() if claim.part == "doubts"}
    assert budgets >= {"linf:0.1", None}
    assert {budget.partition(":")[0] for budget in budgets if budget} == {"linf"}
    assert len(records.gradients) == 8


def test_the_page_of_studies_shows_one_that_can_be_done(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    (tmp_path / "study.toml").write_text(text)
    chosen = read_study(str(tmp_path / "study.toml"))
    check_study(chosen)
    assert len(places(chosen, tmp_path)) == 20


def test_a_defense_may_start_from_a_trained_network(whole, monkeypatch):
    monkeypatch.chdir(whole)
    chosen = study(defenses=[{"defense": "random", "start": "deterministic-seed-0"}], seeds=[0])
    check_study(chosen)
    (place,) = places(chosen, whole / "out").values()
    assert place.cell.start == whole / "deterministic-seed-0"  # wherever the process that trains stands
    with pytest.raises(VariateError, match="nowhere holds no saved network"):
        check_study(study(training={"start": "nowhere"}))


def test_the_folders_of_several_data_sets_are_given_by_name():
    from variate.cli.study import _folders

    known = ["digits", "phishing"]
    assert _folders([], known) is None
    assert _folders(["data"], known) == Path("data")
    assert _folders(["phishing=a=b", "digits=c"], known) == {"phishing": Path("a=b"), "digits": Path("c")}
    with pytest.raises(UsageError, match="fishing"):
        _folders(["fishing=a", "digits=c"], known)
