"""``variate.datasets.look``: what data are taken for, what is odd about them, and examples that a person can read."""

import io
import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from variate.datasets.look import look
from variate.datasets.parts.example_text import BARS, SHADES, lines_of_example
from variate.errors import DataError, UsageError

ROWS = [(20 + i, 10.5 + i / 7, ("cook", "nurse", "pilot")[i % 3], ("good", "bad")[i % 2]) for i in range(60)]


def table(path, rows=ROWS):
    path.write_text("\n".join(["age,income,job,label", *(",".join(map(str, row)) for row in rows)]))
    return path


def by_name(found):
    return {column.name: column for column in found.columns}


def test_every_class_is_counted_in_every_split():
    found = look("digits")
    assert (found.read_as, found.kind, found.shape, found.error) == ("digits", "image", (1, 8, 8), None)
    assert {name: part.examples for name, part in found.splits.items()} == {
        "train": 1097,
        "validation": 300,
        "test": 400,
    }
    assert len(found.classes) == 10
    assert sum(counts["test"] for counts in found.classes.values()) == 400
    assert [example.label for example in found.examples] == ["0", "1", "2", "3"]
    assert (found.splits["test"].low, found.splits["test"].high) == (0, 1)
    assert not any(found.duplicates.values())


def test_the_columns_of_a_file_are_what_they_are_taken_for(tmp_path):
    columns = by_name(look(table(tmp_path / "t.csv")))
    assert {name: column.taken_for for name, column in columns.items()} == {
        "age": "whole number",
        "income": "number",
        "job": "category",
        "label": "label",
    }
    assert columns["age"].values == "20 to 79"
    assert columns["job"].values == "cook, nurse, pilot"
    assert not any(column.odd or column.missing for column in columns.values())


def test_odd_cells_are_named_by_line_though_the_table_cannot_be_used(tmp_path):
    rows = list(ROWS)
    rows[3] = ("much", *rows[3][1:])
    rows[6] = (rows[6][0], "", *rows[6][2:])
    found = look(table(tmp_path / "t.csv", rows))
    columns = by_name(found)
    assert columns["age"].odd == ("line 5: 'much'",)
    assert (columns["age"].taken_for, columns["age"].values) == ("whole number", "20 to 79")
    assert (columns["income"].odd, columns["income"].missing) == (("line 8: no value",), 1)
    assert isinstance(found.error, DataError)
    assert found.splits is None
    told = json.loads(json.dumps(found.as_json()))
    assert "missing values" in told["error"]["problem"]


def test_a_declaration_decides_what_a_column_is(tmp_path):
    rows = [(*row[:3], i % 5, row[3]) for i, row in enumerate(ROWS)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["age,income,job,code,label", *(",".join(map(str, row)) for row in rows)]))
    (tmp_path / "t.toml").write_text('drop = ["job"]\n[features.code]\ncategorical = true\n')
    columns = by_name(look(path))
    assert [columns[name].taken_for for name in ("job", "code")] == ["left out", "category"]


def test_duplicates_are_counted_within_and_across_splits_and_so_are_labels_that_disagree(monkeypatch):
    x = torch.rand(30, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(30) % 2
    repeated = torch.cat([x[:10], x[:3]]), torch.cat([y[:10], y[:3]])  # three twice
    module = ModuleType("own_to_look_at")
    parts = {"train": repeated, "validation": (x[8:15], y[8:15]), "test": (x[14:20], 1 - y[14:20])}
    module.data = lambda split: parts[split]
    monkeypatch.setitem(sys.modules, "own_to_look_at", module)
    found = look("own_to_look_at:data")
    assert {where: count for where, count in found.duplicates.items() if count} == {
        "repeated within train": 3,
        "in validation, and in train too": 2,
        "in test, and in validation too": 1,
        "inputs with several labels": 1,
    }


def test_a_split_that_cannot_be_read_is_a_note(monkeypatch):
    module = ModuleType("own_without_test")
    module.data = lambda split: {"train": (torch.rand(9, 4), [0, 1, 2] * 3)}[split]
    monkeypatch.setitem(sys.modules, "own_without_test", module)
    found = look("own_without_test:data")
    assert list(found.splits) == ["train"]
    assert [note.partition(":")[0] for note in found.notes] == ["no validation split", "no test split"]


def test_what_is_left_out_of_a_folder_is_a_note(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            shades = np.random.default_rng([i, ord(name)]).integers(0, 256, (4, 4), np.uint8)
            Image.fromarray(shades).save(tmp_path / name / f"{i}.png")
    (tmp_path / "a/x.heic").write_bytes(b"")
    found = look(tmp_path)
    assert found.read_as == "images"
    assert "a/x.heic: .heic is not read" in found.notes[0]


def test_the_number_of_examples_is_asked_for():
    assert [len(look("digits", examples=count).examples) for count in (0, 1, 12)] == [0, 1, 12]


@pytest.mark.parametrize(("data", "message"), [("digit", "did you mean 'digits'"), ("texts(x=1)", "option of texts")])
def test_what_is_not_there_is_explained(data, message):
    with pytest.raises(UsageError, match=message):
        look(data)


def test_a_picture_is_drawn_in_shades_at_most_so_wide():
    picture = torch.zeros(3, 40, 60)
    picture[:, :, 30:] = 1
    lines = lines_of_example(picture, "image", {})
    assert {len(line) for line in lines} == {24}
    assert len(lines) == 8
    assert set(lines) == {SHADES[0] * 12 + SHADES[-1] * 12}
    small = lines_of_example(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), "image", {})
    assert small == ["  @@", "@@  "]


def test_a_sound_is_drawn_as_its_loudness():
    clip = torch.full((1, 2400), 0.5)
    clip[:, :1200] += 0.5 * torch.sin(torch.arange(1200) / 3)
    bars, told = lines_of_example(clip, "audio", {"rate": 2400})
    assert bars == BARS[-1] * 12 + BARS[0] * 12
    assert told == "1 s, -6 dB of full scale"


def test_a_row_is_in_its_own_units_and_a_text_in_its_words():
    features = [
        {"name": "age", "low": 20, "high": 70, "step": 1, "unit": "years"},
        {"name": "cook", "group": "job"},
        {"name": "nurse", "group": "job"},
    ]
    assert lines_of_example(torch.tensor([0.5, 0.0, 1.0]), "tabular", {"features": features}) == [
        "age 45 years, job nurse"
    ]
    words = torch.tensor([2, 1, 0, 0]) / 65_536
    details = {"words": ["<pad>", "<unk>", "film"]}
    assert lines_of_example(words.unsqueeze(1), "text", details) == ["film <unk>"]
    assert lines_of_example(torch.ones(20), "tabular", {}) == ["1, 1, 1, 1, 1, 1, 1, 1, ... (20 values)"]


def test_recordings_named_as_spoken_digits_are_read_as_such(tmp_path):
    for i, speaker in enumerate(("ann", "bob", "cid", "dan", "eve")):
        for word in ("no", "yes"):
            file = io.BytesIO()
            wavfile.write(file, 8000, (9000 * np.sin(np.arange(4000) * (i + 1) / 20)).astype(np.int16))
            (tmp_path / f"{word}_{speaker}_0.wav").write_bytes(file.getvalue())
    found = look(tmp_path)
    assert (found.read_as, found.kind) == ("spoken-digits", "audio")
    assert found.notes == ["sounds: 10 padded"]
    assert found.duplicates["inputs with several labels"] == 5
