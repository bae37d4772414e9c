"""What may stand in the place of a word, and options of data sets."""

import json
import random

import pytest

import variate
from variate.datasets.load import labelled
from variate.datasets.parts.neighbors import cooccurring, neighbors
from variate.datasets.parts.wordnet import WordNet, synonyms, wordnet
from variate.errors import DataError, UsageError
from variate.inputs.words import ids_of
from variate.study.file import read_study
from variate.study.grid import places

# a WordNet in small: two senses of film, similar and opposite adjectives, an irregular verb
DATA = {
    "noun": [
        "00000001 04 n 02 film 0 movie 0 000 | a show",
        "00000002 04 n 02 film 0 coat(a) 0 000 | a thin cover",
    ],
    "verb": [
        "00000003 31 v 02 know 0 love 0 000 | like",
        "00000004 31 v 02 make 0 create 0 000 | bring about",
        "00000009 31 v 02 bore 0 tire 0 000 | weary",
    ],
    "adj": [
        "00000005 00 a 02 good 0 fine 0 002 & 00000006 a 0000 ! 00000007 a 0101 | pleasing",
        "00000006 00 s 01 nice 0 001 & 00000005 a 0000 | pleasant",
        "00000007 00 a 01 bad 0 001 ! 00000005 a 0101 | not good",
        "00000008 00 s 02 boring 0 dull 0 000 | tiresome",
    ],
    "adv": [],
}
INDEX = {
    "noun": ["film n 2 0 2 0 00000001 00000002", "movie n 1 0 1 0 00000001", "coat n 1 0 1 0 00000002"],
    "verb": [
        *(f"{word} v 1 0 1 0 {where}" for word, where in (("know", "00000003"), ("love", "00000003"))),
        *(f"{word} v 1 0 1 0 {where}" for word, where in (("make", "00000004"), ("create", "00000004"))),
        *(f"{word} v 1 0 1 0 {where}" for word, where in (("bore", "00000009"), ("tire", "00000009"))),
    ],
    "adj": [
        *(f"{word} a 1 2 & ! 1 0 {where}" for word, where in (("good", "00000005"), ("fine", "00000005"))),
        *(f"{word} a 1 1 & 1 0 {where}" for word, where in (("nice", "00000006"), ("bad", "00000007"))),
        *(f"{word} a 1 0 1 0 00000008" for word in ("boring", "dull")),
    ],
    "adv": [],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "wordnet"
    place.mkdir()
    for kind, lines in (("data", DATA), ("index", INDEX)):
        for name, rows in lines.items():
            (place / f"{kind}.{name}").write_text("\n".join(["  1 A licence ", *rows, ""]))
    (place / "verb.exc").write_text("made make\nknew know\n")
    (place / "cntlist.rev").write_text("love%2:37:00:: 1 9\nfilm%1:10:00:: 1 7\n")
    monkeypatch.setenv("WNSEARCHDIR", str(place))
    return place


def named(words, rows):
    return {words[number]: [words[other] for other in row] for number, row in enumerate(rows) if row}


def test_synonyms_stand_in_the_same_form_and_antonyms_never(folder):
    words = (
        "<pad> <unk> film films movie movies coat good fine nice bad loved knew made created make boring tiring dull"
    )
    vocabulary = words.split()
    found = named(vocabulary, synonyms(vocabulary, WordNet(folder), 8))
    assert found == {
        "film": ["movie", "coat"],
        "films": ["movies"],
        "movie": ["film"],
        "movies": ["films"],
        "coat": ["film"],
        "good": ["fine", "nice"],
        "fine": ["good", "nice"],
        "nice": ["good", "fine"],
        "loved": ["knew"],
        "knew": ["loved"],
        "made": ["created"],
        "created": ["made"],
        "boring": ["tiring", "dull"],
        "tiring": ["boring"],
        "dull": ["boring"],
    }
    assert named(vocabulary, synonyms(vocabulary, WordNet(folder), 1))["good"] == ["fine"]


def test_a_word_is_the_part_of_speech_that_it_mostly_is(folder):
    nouns = folder / "index.noun"
    nouns.write_text(nouns.read_text() + "love n 1 0 1 0 00000002\n")
    assert {one.part for one in WordNet(folder).analyses("love")} == {"v"}
    (folder / "cntlist.rev").write_text("love%1:37:00:: 1 9\n")
    assert {one.part for one in WordNet(folder).analyses("love")} == {"n"}


def test_a_wordnet_that_is_not_there_or_broken_is_explained(folder, monkeypatch):
    (folder / "data.noun").write_text("00000001 04 n zz film\n")
    with pytest.raises(DataError, match="no WordNet that can be read"):
        wordnet()
    monkeypatch.setenv("WNSEARCHDIR", str(folder / "none"))
    with pytest.raises(DataError, match="there is no WordNet in") as error:
        wordnet()
    assert "wordnet-base" in error.value.todo


NUMBERS = {word: number for number, word in enumerate(["<pad>", "<unk>", "good", "fine", "film", "movie"])}


def test_a_list_of_ones_own(tmp_path):
    path = tmp_path / "n.json"
    path.write_text(json.dumps({"good": ["fine", "good", "zebra", "fine"], "zebra": ["good"], "<unk>": ["good"]}))
    assert neighbors(str(path), [], NUMBERS) == [[], [], [3], [], [], []]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read"),
        ("[1]", "does not hold an object"),
        ('{"good": "fine"}', "lists no words for 'good'"),
        ('{"zebra": ["good"]}', "replaces no word"),
    ],
)
def test_a_list_that_cannot_be_used_is_explained(text, message, tmp_path):
    path = tmp_path / "n.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        neighbors(str(path), [], NUMBERS)
    with pytest.raises(UsageError, match="no neighbors 'nearest'"):
        neighbors("nearest", [], NUMBERS)


def test_words_that_stand_among_the_same_words_are_neighbors():
    draw = random.Random(0)
    groups = {name: [f"{name}{i}" for i in range(12)] for name in ("sea", "law")}
    around = {"ship": "sea", "boat": "sea", "judge": "law", "court": "law"}
    texts = [[*draw.sample(groups[group], 3), word, *draw.sample(groups[group], 3)] for word, group in around.items()
             for _ in range(60)]  # fmt: skip
    words = ["<pad>", "<unk>", *dict.fromkeys(word for text in texts for word in text)]
    numbers = {word: number for number, word in enumerate(words)}
    found = named(words, cooccurring(texts, numbers))
    for one, other in (("ship", "boat"), ("judge", "court")):
        assert found[one][0] == other
        assert not {word for word in found[one] if around.get(word, word[:3]) != around[one]}


@pytest.fixture
def texts(tmp_path):
    rows = [f"{'good' if i % 2 else 'dull'} film number {i},{i % 2}" for i in range(80)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["text,label", *rows]))
    return path


def test_options_of_a_data_set(texts, tmp_path):
    own = tmp_path / "n.json"
    own.write_text('{"good": ["dull"]}')
    data = f"texts(length=3, neighbors={own})"
    facts = variate.about(data, folder=texts)
    words = facts.details["words"]
    assert facts.shape == (3, 1)
    assert named(words, facts.details["neighbors"]) == {"good": ["dull"]}
    x, _ = labelled(data, folder=texts)
    assert x.shape == (8, 3, 1)
    assert variate.about("texts", folder=texts).shape == (64, 1)
    own.write_text('{"dull": ["good"]}')  # a file that changes is read again
    assert named(words, variate.about(data, folder=texts).details["neighbors"]) == {"dull": ["good"]}
    assert int(ids_of(x).max()) < len(words)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("texts(width=3)", "no option of texts named 'width'"),
        ("texts(length=none)", "length none is not a valid number of words"),
        ("texts(length=0.5)", "length 0.5 is not a valid number of words"),
        ("digits(length=3)", "digits has no options"),
        ("texts(neighbors=nearest)", "no neighbors 'nearest'"),
        ("words(length=3)", "no dataset named 'words'"),
    ],
)
def test_options_that_do_not_exist_are_explained(data, message, texts):
    with pytest.raises(UsageError, match=message):
        variate.about(data, folder=texts)


def test_a_study_finds_what_it_says_of_a_data_set_with_options_under_its_name_alone(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'title = "t"\ndata = ["texts(length=3)", "texts(length=4)", "digits"]\ndefenses = ["at"]\n'
        'networks = { texts = "text-cnn", digits = "mlp" }\n'
        'budgets = { texts = "words:1", "texts(length=4)" = "words:2", digits = "linf:0.1" }\n'
        "[training_on.texts]\nepochs = 3\n[evaluation]\nattacks = ['pgd', 'hotflip']\n"
    )
    study = read_study(str(path))
    found = places(study, tmp_path, folders={"texts": tmp_path / "t.csv"})
    told = {
        place.cell.data: (place.cell.network, place.cell.recipe.budget, place.cell.recipe.epochs)
        for place in found.values()
    }
    assert told["texts(length=3)"] == ("text-cnn", "words:1", 3)
    assert told["texts(length=4)"] == ("text-cnn", "words:2", 3)
    assert told["digits"][:2] == ("mlp", "linf:0.1")
    assert {place.cell.data_folder for place in found.values()} == {tmp_path / "t.csv", None}
    assert len({place.folder for place in found.values()}) == 3
