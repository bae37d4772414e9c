"""Texts of one's own: files, and folders and files of Hugging Face's datasets."""

import json
import os
import random
import socket
import sys

import pytest
import torch
from typer.testing import CliRunner

import variate
from variate import registry
from variate.cli.main import app
from variate.datasets.parts.text import corpus_of, english_words, words_of
from variate.datasets.splits import cut_splits
from variate.errors import DataError, UsageError
from variate.inputs.words import ids_of

load = registry.get("datasets", "texts").load()
NAMES = ("terrible", "fine")


@pytest.fixture
def hf():
    """The library, without its bars."""
    library = pytest.importorskip("datasets", reason="datasets is not installed: pip install 'variate[datasets]'")
    library.disable_progress_bars()
    return library


@pytest.fixture
def offline(monkeypatch):
    """Nothing may be fetched."""
    tried = []
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda _, address: tried.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **_: tried.append(words))
    yield
    assert tried == []


def words_in(split, folder):
    """Every word that a text of the split has a number for."""
    words = variate.about("texts", folder=folder).details["words"]
    return {words[i] for i in set(ids_of(load(split, folder=folder)[0]).flatten().tolist()) if i > 1}


def table(hf, count, *, word, label=None, column="text", names=NAMES):
    """Texts with a word of their own, sorted by their classes, as such data often is."""
    numbers = [int(i >= count / 2) if label is None else label for i in range(count)]
    kind = hf.ClassLabel(names=list(names)) if names else hf.Value("int64")
    features = hf.Features({column: hf.Value("string"), "label": kind, "idx": hf.Value("int32")})
    rows = {column: [f"{word} film {i}" for i in range(count)], "label": numbers, "idx": list(range(count))}
    return hf.Dataset.from_dict(rows, features=features)


def splits(hf, column="text", **counts):
    """A dictionary of tables whose words are the splits' names; those of negative sizes have no labels."""
    made = {
        name: table(hf, abs(count), word=name, column=column, label=-1 if count < 0 else None)
        for name, count in counts.items()
    }
    return hf.DatasetDict(made)


def repository(parts, folder, kind="parquet"):
    """The layout of a repository of these tables."""
    (folder / "data").mkdir(parents=True)
    for name, part in parts.items():
        path = folder / "data" / f"{name}-00000-of-00001.{'jsonl' if kind == 'json' else kind}"
        getattr(part, f"to_{kind}")(path)
    (folder / "README.md").write_text("---\nlicense: mit\n---\nA data set.\n")
    return folder


def saved(parts, folder):
    parts.save_to_disk(folder)
    return folder


FILES = {
    "t.csv": "text,label\n",
    "t2.csv": "sentence,labels\n",
    "t.jsonl": ("text", "label"),
    "t2.jsonl": ("sentence", "labels"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_cut_and_its_columns_may_have_either_name(name, tmp_path):
    rows = [(f"{word} film {i}", label) for i in range(20) for word, label in (("good", "for"), ("bad", "against"))]
    names = FILES[name]
    lines = [f"{text},{label}" for text, label in rows]
    objects = [json.dumps(dict(zip(names, row, strict=True))) for row in rows] if name.endswith("jsonl") else []
    (tmp_path / name).write_text("\n".join(objects) or names + "\n".join(lines))
    sizes = [len(load(split, folder=tmp_path / name)[1]) for split in ("train", "validation", "test")]
    assert sizes == [32, 4, 4]
    assert variate.about("texts", folder=tmp_path / name).labels == ("against", "for")
    expected = corpus_of(*map(list, zip(*rows, strict=True)), length=64, budget="words:2")
    assert torch.equal(load("test", folder=tmp_path / name)[0], expected.splits["test"][0])


BAD_FILES = {
    "missing text": ("text,label\ngood,1\n,0\n", "lack a text or a label; the first is line 3"),
    "missing column": ("words,label\ngood,1\n", "has no column text or sentence"),
    "one class": ("text,label\n" + "good film,1\n" * 40, "1 classes are too few"),
    "too few": ("text,label\ngood,1\nbad,0\n", "2 texts"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_of_texts_that_cannot_be_used_is_explained(case, tmp_path):
    text, message = BAD_FILES[case]
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load("train", folder=path)


WORDS = {
    "Russian": (["фильм", "был", "очень", "хороший", "плохой"], " "),
    "Hebrew": (["סרט", "טוב", "רע"], " "),
    "Hindi": (["फिल्म", "अच्छी", "बुरी"], " "),
    "Korean": (["영화", "좋은", "나쁜"], " "),
    "German": (["schön", "größer", "müde", "für"], " "),
    "Chinese, segmented": (["电影", "很好", "不好"], " "),
    "Chinese": (["电", "影", "很", "好"], ""),
    "Thai": (["ภ", "า", "ษ"], ""),
}


@pytest.mark.parametrize("language", WORDS)
def test_words_of_every_alphabet_are_in_the_vocabulary(language, tmp_path):
    words, space = WORDS[language]
    draw = random.Random(0)
    rows = [f'"{space.join(draw.choices(words, k=9))}",{i % 2}' for i in range(100)]
    (tmp_path / "t.csv").write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
    assert set(variate.about("texts", folder=tmp_path / "t.csv").details["words"][2:]) == set(words)


def test_the_words_of_english_are_as_before():
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(chr(draw.randrange(128)) for _ in range(30))
        assert words_of(text) == english_words(text)
    assert words_of("Cafe\u0301s, don't! 12") == ["cafés", "don't", "!", "12"]


def test_texts_in_several_splits_are_named(tmp_path):
    path = tmp_path / "t.csv"
    distinct = [f"film {'good' if i % 2 else 'bad'} {i},{i % 2}" for i in range(100)]
    path.write_text("\n".join(["text,label", *distinct, *distinct[:20]]))
    with pytest.warns(UserWarning, match="of 12 in test. Rates on them are not rates on new inputs"):
        load("train", folder=path)
    path.write_text("\n".join(["text,label", *distinct[:10] * 12]))
    with pytest.raises(DataError, match=r"most test examples of .* are also in its training split"):
        load("train", folder=path)


def test_a_class_that_training_never_sees_is_named(tmp_path):
    order = cut_splits(100)["test"]
    labels = ["rare" if i == order[0] else "ab"[i % 2] for i in range(100)]
    rows = [f"film {i},{label}" for i, label in enumerate(labels)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]))
    with pytest.raises(DataError, match="no text of the training split has the label rare"):
        load("train", folder=tmp_path / "t.csv")


@pytest.mark.parametrize("line", ["[" * 100_000, '{"text": "a", "label": ' + "9" * 5000 + "}", '{"text": "\\ud800'])
def test_a_line_that_is_no_json_is_named(line, tmp_path):
    (tmp_path / "t.jsonl").write_text(f'{{"text": "a", "label": 1}}\n{line}\n')
    with pytest.raises(DataError, match="cannot read line 2 of"):
        load("train", folder=tmp_path / "t.jsonl")


def test_the_columns_that_were_found_are_named(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"premise": "a", "label": 1}\n{"premise": "b", "id": 3}\n')
    with pytest.raises(DataError, match="no column text or sentence") as error:
        load("train", folder=tmp_path / "t.jsonl")
    assert list(error.value.findings) == ["its columns are premise, label, id"]


WAYS = {"saved": saved, "parquet": repository, "json": lambda parts, folder: repository(parts, folder, "json")}


@pytest.mark.parametrize("way", WAYS)
def test_declared_splits_are_kept_and_mixed(way, hf, tmp_path, offline):
    place = WAYS[way](splits(hf, train=40, validation=10, test=20), tmp_path / "d")
    for split, count in (("train", 40), ("validation", 10), ("test", 20)):
        x, y = load(split, folder=place)
        assert x.shape == (count, 64, 1)
        assert y.sum() == count / 2
        assert 0 < y[: count // 2].sum() < count // 2
    about = variate.about("texts", folder=place)
    assert about.labels == (("fine", "terrible") if way != "json" else ("0", "1"))
    words = set(about.details["words"])
    assert "train" in words
    assert not {"validation", "test"} & words


def test_classes_go_by_their_names(hf, tmp_path, offline):
    place = saved(splits(hf, train=40, test=10), tmp_path / "d")
    x, y = load("train", folder=place)
    assert variate.about("texts", folder=place).labels == ("fine", "terrible")
    whole = table(hf, 40, word="train")
    texts, names = whole[:]["text"], [NAMES[i] for i in whole[:]["label"]]
    same = corpus_of([*texts, "test"], [*names, "fine"], length=64, budget="words:2", sizes={"train": 40, "test": 1})
    assert torch.equal(x, same.splits["train"][0])
    assert torch.equal(y, same.splits["train"][1])


@pytest.mark.parametrize("way", WAYS)
def test_without_validation_a_tenth_of_the_training_split_is_taken(way, hf, tmp_path, offline):
    place = WAYS[way](splits(hf, train=60, test=10), tmp_path / "d")
    sizes = [len(load(split, folder=place)[1]) for split in ("train", "validation", "test")]
    assert sizes == [54, 6, 10]
    assert "train" in words_in("validation", place)


def test_a_test_split_without_labels_counts_as_absent(hf, tmp_path, offline):
    place = repository(splits(hf, "sentence", train=60, validation=20, test=-30), tmp_path / "sst2")
    sizes = [len(load(split, folder=place)[1]) for split in ("train", "validation", "test")]
    assert sizes == [54, 6, 20]
    assert "train" in words_in("validation", place)
    place = saved(splits(hf, train=60, unsupervised=-30), tmp_path / "imdb")
    assert [len(load(split, folder=place)[1]) for split in ("train", "validation", "test")] == [48, 6, 6]


def test_labels_of_minus_one_are_labels_where_they_are_not_all(hf, tmp_path, offline):
    rows = {"text": [f"film {i}" for i in range(40)], "label": [-1, 1] * 20}
    place = saved(hf.Dataset.from_dict(rows), tmp_path / "d")
    assert variate.about("texts", folder=place).labels == ("-1", "1")


def test_a_single_split_is_cut_as_a_file_is(hf, tmp_path, offline):
    one = table(hf, 40, word="good", names=None)
    one.to_csv(tmp_path / "t.csv", index=False)
    one.to_parquet(tmp_path / "t.parquet")
    one.save_to_disk(tmp_path / "saved")
    (tmp_path / "folder").mkdir()
    one.to_csv(tmp_path / "folder" / "t.csv", index=False)
    for split in ("train", "validation", "test"):
        x, y = load(split, folder=tmp_path / "t.csv")
        for place in ("t.parquet", "saved", "folder"):
            other = load(split, folder=tmp_path / place)
            assert torch.equal(other[0], x)
            assert torch.equal(other[1], y)


def test_what_was_chosen_from_a_table_is_what_is_read(hf, tmp_path, offline):
    whole = table(hf, 80, word="good")
    whole.select(range(20, 60)).with_format("torch").save_to_disk(tmp_path / "d")
    y = torch.cat([load(split, folder=tmp_path / "d")[1] for split in ("train", "validation", "test")])
    assert (len(y), int(y.sum())) == (40, 20)


def test_a_folder_that_is_written_again_is_read_again(hf, tmp_path):
    place = repository(splits(hf, train=40, test=10), tmp_path / "d")
    assert len(load("test", folder=place)[1]) == 10
    path = place / "data" / "test-00000-of-00001.parquet"
    table(hf, 16, word="test").to_parquet(path)
    os.utime(path, ns=(2**61, 2**61))
    assert len(load("test", folder=place)[1]) == 16


def bad(hf, folder, case):
    if case == "row":
        parts = splits(hf, train=40, test=10)
        parts["test"] = parts["test"].map(lambda row: {"text": " " if row["idx"] == 3 else row["text"]})
        return saved(parts, folder)
    if case == "label":
        parts = splits(hf, train=40, test=10)
        parts["train"] = parts["train"].map(lambda row: {"label": -1 if row["idx"] == 7 else row["label"]})
        return saved(parts, folder)
    if case == "columns":
        return saved(splits(hf, "premise", train=40, test=10), folder)
    if case == "lists":
        return saved(hf.Dataset.from_dict({"text": ["a"] * 40, "labels": [[0, 1]] * 40}), folder)
    if case == "splits":
        return saved(splits(hf, one=40, two=40), folder)
    if case == "unseen":
        parts = splits(hf, train=40, test=10)
        parts["train"] = table(hf, 40, word="train", label=0)
        return saved(parts, folder)
    if case == "pictures":
        folder.mkdir()
        (folder / "a.png").write_bytes(b"")
        return folder
    if case == "elsewhere":
        repository(splits(hf, train=40, test=10), folder)
        card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: %s\n---\n"
        (folder / "README.md").write_text(card % "hf://datasets/us/them/t.parquet")
        return folder
    if case == "several":
        parts = splits(hf, train=40, test=10)
        for name in ("one", "two"):
            repository(parts, folder / name)
        files = "".join(f"- config_name: {name}\n  data_files: {name}/data/*\n" for name in ("one", "two"))
        (folder / "README.md").write_text(f"---\nconfigs:\n{files}---\n")
        return folder
    if case == "code":
        (repository(splits(hf, train=40, test=10), folder) / f"{folder.name}.py").write_text("raise SystemExit(3)")
        return folder
    folder.mkdir()
    (folder / "t.parquet").write_bytes(b"no table")
    return folder / "t.parquet" if case == "damaged" else folder


BAD_FOLDERS = {
    "row": "1 rows of .* lack a text or a label; the first is row 3 of split test",
    "label": "1 rows of .* lack a text or a label; the first is row 7 of split train",
    "columns": "has no column text or sentence",
    "lists": "the column labels has the type List",
    "splits": "has the splits one, two",
    "unseen": "no text of the training split has the label fine",
    "pictures": "has no tables",
    "elsewhere": "the card of .* names files elsewhere, and nothing is downloaded",
    "several": "cannot be read: Config name is missing. Please pick one among .*'one', 'two'",
    "code": "cannot be read: Dataset scripts are no longer supported",
    "damaged": "t.parquet cannot be read",
    "damaged folder": "cannot be read",
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_folder_that_cannot_be_used_is_explained(case, hf, tmp_path, offline):
    with pytest.raises(DataError, match=BAD_FOLDERS[case]):
        load("train", folder=bad(hf, tmp_path / "d", case))


def test_without_the_library_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "t.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="datasets needs a library that is not installed") as error:
        load("train", folder=tmp_path / "t.parquet")
    assert error.value.todo == "pip install 'variate[datasets]'"


def test_nothing_is_left_in_the_library_s_cache_and_its_bars_are_as_before(hf, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    place = repository(splits(hf, train=40, test=10), tmp_path / "d")
    hf.enable_progress_bars()
    capfd.readouterr()
    load("train", folder=place)
    assert not hf.are_progress_bars_disabled()
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "cache").exists()


def test_training_and_evaluation_from_the_command_line(hf, tmp_path, offline):
    place, run = saved(splits(hf, train=60, validation=12, test=-12), tmp_path / "d"), tmp_path / "run"

    def done(*words):
        found = CliRunner().invoke(app, [str(word) for word in words])
        assert found.exit_code == 0, found.output
        return found.stdout

    train = ["train", "--data", "texts", "--data-folder", place, "--network", "text-cnn", "--epochs", 1, "--quiet"]
    done(*train, "--out", run)
    few = ["--suite", "quick", "--budget", "words:1", "--deployment", "single", "--quiet", "--json"]
    told = json.loads(done("evaluate", run, "--data-folder", place, *few))
    assert {row["attack"] for row in told["rates"]} == {"clean", "quick"}
    assert {row["examples"] for row in told["rates"]} == {12}
