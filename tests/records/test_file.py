"""Records: whole lines or none, whatever happens to the disk."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from variate.errors import RecordError
from variate.hashing import fingerprint
from variate.records import appending
from variate.records.bits import pack, unpack, unpack_all
from variate.records.file import Records
from variate.records.schema import Claim, Example, Picture, RunLine, Scale

CLAIM = Claim(
    network="net",
    fingerprint="f",
    inputs="i",
    attack="pgd",
    options={"steps": 2},
    budget="linf:0.1",
    draws=3,
    verdict_draws=8,
    deployments=["single"],
    seed=0,
    settings={"steps": 2},
    modality="image",
    allowed="a",
    drawn="keys",
)


def example(number: int) -> Example:
    bits = np.random.default_rng(number).random(8) < 0.5
    return Example(
        claim=CLAIM.id,
        example=number,
        label=1,
        answers={"single": pack(bits)},
        distance=0.1,
        forwards=6,
        backwards=6,
    )


def test_everything_that_is_written_is_read_again(tmp_path):
    path = tmp_path / "folder" / "records.jsonl"
    run = RunLine(
        command="c",
        date="2026-01-01",
        machine="m",
        versions={"a": "1"},
        seed=0,
        data="d",
        shape=[1],
        examples=1,
        title="t",
    )
    scale = Scale(network="net", parameter="w", elements=4, mean_rms=1, std_rms=0.1, std_min=0.05, std_max=0.2)
    picture = Picture(claim=CLAIM.id, example=0, label=1, shape=[1, 1, 1], original="00", adversarial="ff")
    written = Records(path)
    written.add([run, scale, CLAIM, *map(example, range(5)), picture])
    read = Records(path)
    assert read.runs == [run]
    assert read.scales == [scale]
    assert read.claims == {CLAIM.key: CLAIM}
    assert read.pictures == [picture]
    assert read.examples == written.examples
    assert read.answers(CLAIM, "single").shape == (8, 5)


def test_adding_twice_writes_once(tmp_path):
    path = tmp_path / "records.jsonl"
    Records(path).add([CLAIM, example(0)])
    before = path.read_bytes()
    Records(path).add([CLAIM, example(0)])
    assert path.read_bytes() == before


def test_a_last_line_cut_short_is_dropped_and_the_file_goes_on(tmp_path):
    path = tmp_path / "records.jsonl"
    Records(path).add([CLAIM, example(0), example(1)])
    path.write_bytes(path.read_bytes()[:-20])
    cut = path.read_bytes()
    again = Records(path)
    assert path.read_bytes() == cut  # reading changes nothing: the line may be another process's
    assert sorted(again.examples[CLAIM.id]) == [0]
    again.add([example(1)])
    assert sorted(Records(path).examples[CLAIM.id]) == [0, 1]


def test_a_foreign_line_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    Records(path).add([CLAIM])
    with path.open("a") as file:
        file.write('{"kind": "recipe", "flour": 3}\n')
    with pytest.raises(RecordError, match=r"line 3 of .*records.jsonl is not a record"):
        Records(path)


def test_compressed_records_are_read_and_not_written(tmp_path):
    path = tmp_path / "records.jsonl"
    Records(path).add([CLAIM, example(0)])
    packed = tmp_path / "records.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    read = Records(packed)
    assert sorted(read.examples[CLAIM.id]) == [0]
    with pytest.raises(RecordError, match="compressed"):
        read.add([example(1)])


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_file import CLAIM, example
from variate.errors import RecordError
from variate.records.file import Records
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
records = Records({path!r})
try:
    for number in range(1000):
        records.add([CLAIM, *map(example, range(4 * number, 4 * number + 4))])
except RecordError as error:
    print(error)
else:
    sys.exit("the limit was never met")
"""


def test_a_full_disk_leaves_whole_lines_and_says_so(tmp_path, request):
    """A real limit on the size of the file, met in the middle of a line."""
    path = tmp_path / "records.jsonl"
    code = FULL.format(tests=str(request.path.parent), limit=5000, path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot write records" in done.stdout
    assert "intact" in done.stdout
    data = path.read_bytes()
    assert data.endswith(b"\n")
    kept = len(Records(path).examples[CLAIM.id])
    assert kept > 0
    assert kept % 4 == 0
    Records(path).add([example(kept)])
    assert len(Records(path).examples[CLAIM.id]) == kept + 1


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write records"):
        Records(tmp_path / "file" / "records.jsonl").add([CLAIM])


@pytest.mark.parametrize("count", [1, 7, 8, 160])
def test_bits_survive_packing(count):
    bits = np.random.default_rng(count).random(count) < 0.3
    assert (unpack(pack(bits)) == bits).all()


@pytest.mark.parametrize("texts", [
    ["32:ff"], ["32:ff", "32:ff"], ["32:", "32:"], ["16:ffff", "16:00", "16:00ff00"], ["-5:ff", "-5:ff"], ["8:f"],
    ["8:ff ", "8:ff"], ["8:zz"], ["0:"], [":ff"], ["8"], ["8:ffff"], ["eight:ff"], ["16:f f "], ["\u0668:ff"],
])  # fmt: skip
def test_answers_of_another_length_than_they_say_are_an_error(texts):
    with pytest.raises(RecordError, match=r"damaged|have .* answers"):
        unpack_all(texts)
    if len(texts) == 1:
        with pytest.raises(RecordError, match=r"damaged|have .* answers"):
            unpack(texts[0])


def test_a_fingerprint_tells_values_names_shapes_and_types_apart():
    base = {"w": torch.zeros(2, 3)}
    others = [
        {"v": torch.zeros(2, 3)},
        {"w": torch.zeros(3, 2)},
        {"w": torch.zeros(2, 3, dtype=torch.float64)},
        {"w": torch.ones(2, 3)},
        {"w": torch.zeros(2, 3), "b": torch.zeros(0)},
    ]
    prints = {fingerprint(tensors) for tensors in [base, *others]}
    assert len(prints) == 1 + len(others)
    assert fingerprint(base) == fingerprint({"w": torch.zeros(2, 3).clone()})
    assert fingerprint({"w": torch.zeros(2, dtype=torch.bfloat16)}) != fingerprint({"w": torch.ones(2).bfloat16()})


def test_answers_are_made_before_the_file_is_opened(tmp_path):
    records = Records(tmp_path / "records.jsonl")
    with pytest.raises(TypeError, match="records must be a collection"):
        records.add(line for line in [CLAIM])
    assert not (tmp_path / "records.jsonl").exists()


def test_a_file_says_its_version_and_others_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "records.jsonl"
    Records(path).add([CLAIM])
    header, *lines = path.read_text().splitlines(keepends=True)
    assert header == '{"kind":"format","version":2}\n'
    path.write_text("".join(lines))
    with pytest.raises(RecordError, match=r"format 1[^\0]*python -m variate.records.convert"):
        Records(path)
    path.write_text(header.replace("2", "3") + "".join(lines))
    with pytest.raises(RecordError, match=r"newer Variate[^\0]*pip install --upgrade"):
        Records(path)


DAMAGED = {
    "a stored example without answers": (-1, {"example": 7}),
    "bits that are none": (2, {"answers": {"single": "8:zz"}}),
    "bits that are too few": (2, {"answers": {"single": "99:ff"}}),
    "answers of another deployment": (2, {"answers": {"mean-2": "8:ff"}}),
    "a count of 400 digits": (2, {"forwards": 10**400}),
    "a distance that is not finite": (2, {"distance": float("nan")}),
    "confidences that are not finite": (2, {"confidences": {"single": float("inf")}}),
    "pixels that are no hexadecimal": (-1, {"original": "zz"}),
    "too few pixels": (-1, {"adversarial": ""}),
    "a shape without sides": (-1, {"shape": [0]}),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_records_that_reports_cannot_show_are_refused(tmp_path, case):
    path = tmp_path / "r.jsonl"
    picture = Picture(claim=CLAIM.id, example=0, label=1, shape=[1, 1, 1], original="00", adversarial="ff")
    Records(path).add([CLAIM, example(0), example(1), picture])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    place, change = DAMAGED[case]
    lines[place] |= change
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RecordError):
        Records(path)


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"kind": "claim"', "null", '{"kind": "example", "example": ' + "9" * 5000 + "}"]
)
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "r.jsonl"
    Records(path).add([CLAIM])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RecordError, match="line 3 of"):
        Records(path)


def test_two_who_opened_a_file_together_write_each_line_once(tmp_path):
    path = tmp_path / "records.jsonl"
    one, other = Records(path), Records(path)
    one.add([CLAIM, example(0)])
    other.add([CLAIM, example(0), example(1)])
    one.add([example(1), example(2)])
    lines = path.read_bytes().splitlines()
    assert len(lines) == len(set(lines)) == 1 + 1 + 3
    assert sorted(one.examples[CLAIM.id]) == sorted(Records(path).examples[CLAIM.id]) == [0, 1, 2]


def test_a_file_that_is_held_is_left_to_its_holder(tmp_path, monkeypatch):
    monkeypatch.setattr(appending, "PATIENCE", 0.05)
    path = tmp_path / "records.jsonl"
    one, other = Records(path), Records(path)
    with one.held():
        one.add([CLAIM])
        with pytest.raises(RecordError, match="another evaluation writes to"), other.held():
            pass
        with pytest.raises(RecordError, match="another evaluation writes to"):
            other.add([example(0)])
    with other.held():
        assert other.claims == {CLAIM.key: CLAIM}  # what was written in the meantime is known
        other.add([example(0)])
    assert sorted(Records(path).examples[CLAIM.id]) == [0]


def test_a_damaged_line_of_another_process_is_named_by_its_number(tmp_path):
    path = tmp_path / "records.jsonl"
    records = Records(path)
    records.add([CLAIM])
    with path.open("a") as file:
        file.write('{"kind": "recipe", "flour": 3}\n')
    with pytest.raises(RecordError, match=r"line 3 of .*records.jsonl is not a record"):
        records.add([example(0)])
