"""Studies certify what their networks allow; votes are kept, merged and taken over like every answer."""

import pytest

from variate.errors import UsageError
from variate.records.file import RECORDS, Records
from variate.study import certifying
from variate.study.file import read_study
from variate.study.grid import JUDGED, progress_of
from variate.study.running import check_study, run_study

STUDY = """
title = "Proved"
data = "digits"
network = "mlp"
defenses = ["random-smoothing(sigma=0.4)", "deterministic"]
budget = "l2:0.2"

[training]
epochs = 2

[evaluation]
examples = 10
draws = 1
verdict_draws = 32
attacks = [{ name = "fgsm", draws = 1 }]

[[certify]]
mechanism = "gaussian"
norm = "l2"
radii = { digits = [0.1, 0.2] }
draws = 60
examples = 20

[[certify]]
mechanism = "interval"
radii = [0.001]
draws = 20
examples = 5
"""


def study_of(tmp_path, text=STUDY):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return read_study(str(path))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proved")
    study = study_of(folder)
    return study, folder / "out", run_study(study, folder / "out", command="c")


def test_every_network_is_certified_by_what_it_has(done):
    _, _, records = done
    certified = {(one.network, one.mechanism): one for one in records.certificates.values()}
    smoothed = "random-smoothing(sigma=0.4)"
    assert set(certified) == {(smoothed, "gaussian"), (smoothed, "interval"), ("deterministic", "interval")}
    gaussian = certified[smoothed, "gaussian"]
    assert (gaussian.draws, gaussian.asked) == (60, 20)
    proof = records.proofs[gaussian.id, "l2"]
    assert {row.radius for row in proof.rows} == {0.1, 0.2}
    assert max(row.rate for row in proof.rows if row.deployment == "single") > 0.2  # so it has learned something


def test_merged_records_hold_votes_and_proofs(done):
    _, out, records = done
    assert Records(out / RECORDS).proofs == records.proofs
    assert Records(out / RECORDS).votes == records.votes
    assert sum(len(batch.labels) for batches in records.votes.values() for batch in batches.values()) == 20 + 5 + 5


def test_a_study_that_is_done_is_not_certified_again(done, monkeypatch):
    study, out, records = done
    monkeypatch.setattr(certifying, "certify", None)
    assert run_study(study, out, command="c").proofs == records.proofs


def test_other_radii_are_another_study(done):
    study, out, _ = done
    other = study.model_copy(update={"certify": study.certify[1:]})
    assert set(progress_of(other, out).values()) == {"trained, judging begun"}


def test_votes_of_a_merged_file_are_taken_over(done, tmp_path, monkeypatch):
    study, out, records = done
    for folder in [path for path in out.iterdir() if path.is_dir()]:
        (folder / RECORDS).unlink()
        (folder / JUDGED).unlink()
    cast = []
    original = certifying.certify

    def counted(*args, **options):
        cast.append(options["name"])
        return original(*args, **options)

    monkeypatch.setattr(certifying, "certify", counted)
    before = {key: set(batches) for key, batches in records.votes.items()}
    again = run_study(study, out, command="c")
    assert len(cast) == 4  # the deterministic network is asked for its noise too, and has none
    assert {key: set(batches) for key, batches in again.votes.items()} == before
    assert again.proofs == records.proofs


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('mechanism = "gaussian"', 'mechanism = "gausian"', "gausian"),
        ('norm = "l2"', 'norm = "l0"', "certifies nothing in l0"),
        ("radii = [0.001]", "radii = { phishing = [0.1] }", "no radius for interval"),
        ("radii = [0.001]", 'radii = ["wide"]', "wide"),
        ("examples = 5", 'deployments = ["mean-16"]', "mean-16 has no certificate"),
    ],
)
def test_a_certificate_that_cannot_be_is_refused_before_anything_is_trained(tmp_path, before, after, message):
    with pytest.raises(UsageError, match=message):
        check_study(study_of(tmp_path, STUDY.replace(before, after)))


def test_a_task_of_which_nothing_is_proved_is_refused_before_anything_is_trained(tmp_path):
    scenes = STUDY.replace('"digits"', '"scenes(size=16, train=4, validation=2, test=2)"').replace('"mlp"', '"unet"')
    with pytest.raises(UsageError, match="nothing is proved of the task positions"):
        check_study(study_of(tmp_path, scenes.replace("{ digits = [0.1, 0.2] }", "[0.1]")))
