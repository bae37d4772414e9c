"""Scores in records: written with 16 bits, read as numbers, told from bits, and shown under their own word."""

import json

import numpy as np
import pytest

from variate.errors import RecordError, UsageError
from variate.records.bits import pack, unpack, unpack_all
from variate.records.calibration import answered, calibration
from variate.records.claim import Claim
from variate.records.consistency import check_line
from variate.records.curve import EpochAccuracy, rise_of
from variate.records.file import Records
from variate.records.rows import result_of, rows_of
from variate.records.schema import Example, Picture
from variate.report.attacked import galleries
from variate.report.page import write_page

CLAIM = Claim(
    network="net", fingerprint="f", inputs="i", attack="pgd", options={}, settings={}, budget="linf:0.1", draws=3,
    verdict_draws=16, deployments=["single", "survive-4"], seed=0, modality="image", allowed="a", drawn="keys",
    task="regression(tolerance=0.3)",
)  # fmt: skip


def example(number, answers, claim=CLAIM):
    return Example(claim=claim.id, example=number, answers={"single": answers}, distance=0.1, forwards=6, backwards=6)


def scores(examples=30, draws=16):
    return np.random.default_rng(0).beta(4, 2, (draws, examples))


@pytest.fixture
def judged(tmp_path):
    """A file with the scores of a claim, read again."""
    lines = [example(j, pack(column)) for j, column in enumerate(scores().T)]
    pictures = [Picture(claim=CLAIM.id, example=0, shape=[1, 1, 1], original="00", adversarial="ff")]
    Records(tmp_path / "records.jsonl").add([CLAIM, *lines, *pictures])
    return Records(tmp_path / "records.jsonl")


@pytest.mark.parametrize("count", [1, 7, 8, 160])
def test_scores_survive_packing_to_16_bits(count):
    values = np.random.default_rng(count).random(count)
    read = unpack(pack(values))
    assert read.dtype == np.float64
    assert np.abs(read - values).max() <= 0.5 / 65535 + 1e-12
    assert (unpack(pack(read)) == read).all()
    ends = np.array([0.0, 1.0, 0.0])
    assert unpack(pack(ends.astype(np.float32))).tolist() == [0, 1, 0]
    assert pack(ends) == "3:s:0000ffff0000"


def test_bits_keep_their_text_and_type():
    assert pack(np.array([True, False, True])) == "3:a0"
    assert unpack("3:a0").dtype == np.bool_


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_numbers_that_are_no_scores_are_not_packed(value):
    with pytest.raises(UsageError, match="not in"):
        pack(np.array([0.5, value]))
    assert unpack(pack(np.array([1 + 1e-7, -1e-7]))).tolist() == [1, 0]


@pytest.mark.parametrize("texts", [
    ["2:s:ffff"], ["2:s:"], ["2:s:ffff0000ff"], ["2:s:zzzz0000"], ["0:s:"], ["-1:s:ffff"], [":s:ffff"], ["s:ffff"],
    ["2:s:ffff000"], ["1:S:ffff"], ["1:s:ff f"], ["1:sffff"], ["16:s:ffff"], ["16:s:", "16:ffff"], ["1:s:ffff", "1:80"],
    ["16:ffff", "16:s:" + 16 * "ffff"], ["1:s:ffff", "2:s:ffffffff"], ["8:ff", "8:s"],
])  # fmt: skip
def test_damaged_scores_are_an_error(texts):
    with pytest.raises(RecordError, match=r"damaged|have .* answers"):
        unpack_all(texts)


def test_every_damaged_character_of_scores_is_an_error_or_another_score():
    random, text = np.random.default_rng(1), pack(np.array([0.1, 0.9, 0.5]))
    for _ in range(400):
        place, cut = random.integers(len(text)), random.integers(2)
        changed = text[:place] + chr(random.integers(32, 127)) + text[place + cut :]
        try:
            read = unpack(changed)
        except RecordError:
            continue
        assert len(changed) == len(text)
        assert ((read >= 0) & (read <= 1)).all()
        check_line(example(0, changed), "line 2")  # what is read is no finding


@pytest.mark.parametrize("text", ["2:s:ffff", "2:s:zzzz0000", "1:s:", "1:t:ffff"])
def test_damaged_scores_are_found_when_a_file_is_read(tmp_path, text):
    path = tmp_path / "records.jsonl"
    Records(path).add([CLAIM, example(0, text)])
    with pytest.raises(RecordError, match="packed answers"):
        Records(path)


def test_bits_among_the_scores_of_a_claim_are_an_error(tmp_path):
    records = Records()
    records.add([CLAIM, example(0, pack(scores()[:, 0])), example(1, pack(scores()[:, 1] > 0.5))])
    with pytest.raises(RecordError, match=r"16 and 16 scored answers|damaged"):
        records.answers(CLAIM, "single")


def test_scores_have_rows_and_no_calibration(judged):
    assert np.abs(judged.answers(CLAIM, "single") - scores()).max() < 1e-5
    single, four = rows_of(judged, CLAIM)
    assert single.rate == pytest.approx(scores().mean(), abs=1e-5)
    assert 0 < four.low < four.rate < single.low < single.rate < single.high < 1
    assert answered(judged, CLAIM, "single") is None
    with pytest.raises(UsageError, match="right and wrong"):
        calibration(np.full(20, 0.5), scores()[0, :20])


def test_a_report_shows_scores(judged, tmp_path):
    (gallery,) = galleries(judged)
    (one,) = gallery.networks["net"]
    assert one.read == "under attack"
    assert one.outcome == f"score {100 * judged.answers(CLAIM, 'single')[:, 0].mean():.1f} % over 16 draws"
    write_page([judged], tmp_path / "report.html")
    assert f"{100 * scores().mean():.1f}" in (tmp_path / "report.html").read_text()


def test_a_label_is_needed_by_classes_alone():
    assert json.loads(example(0, "1:s:ffff").model_dump_json())["label"] is None
    old = {"kind": "example", "claim": "c", "example": 0, "label": 3, "answers": {}, "distance": 0.0, "forwards": 1}
    line = Example(**old, backwards=1)
    assert line.label == 3
    assert line.model_dump_json().startswith(json.dumps(old)[:-1].replace(" ", "").removesuffix("}"))


def test_the_task_is_part_of_the_identity():
    plain, other = (Claim(**CLAIM.model_dump() | {"task": task}) for task in ("classes", "regression(tolerance=0.4)"))
    assert len({claim.id for claim in (CLAIM, plain, other)}) == 3
    assert CLAIM.subject != other.subject


def test_a_training_curve_may_hold_scores():
    curve = [EpochAccuracy(e, "validation", 0.5, pack(np.full(20, 0.1 * e))) for e in range(1, 9)]
    assert curve[3].robust_accuracy == pytest.approx(0.4, abs=1e-5)
    assert rise_of(curve, "validation").value == pytest.approx(0.2, abs=1e-4)


def test_a_result_of_scores_is_written(judged):
    assert "survive-4" in str(result_of(judged, [CLAIM]))
