"""Texts: words as numbers, what may replace them, data from files, networks, attacks from the command line."""

import io
import json
import tarfile

import pytest
import torch
from typer.testing import CliRunner

import variate
from variate import registry
from variate.cli.main import app
from variate.datasets.info import About
from variate.datasets.parts.text import corpus_of, vocabulary, words_of
from variate.errors import DataError, InputError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.evaluation.fitting import bounds
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.parts.spelling import misspelt
from variate.inputs.modalities.text import Text
from variate.inputs.words import ids_of, inputs_of, smooth, tokens_of
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.report.attacked import galleries
from variate.testing.modalities import check_modality
from variate.testing.text_attacks import TEXT, WORDS, BagOfWords, _model, _texts
from variate.training.saved import build

NETWORKS = ["lstm", "text-cnn", "transformer"]
ATTACKS = [n for n, e in registry.entries("attacks").items() if "text" in e.facts["modality"]]
GOOD, BAD = "a warm funny film with real heart", "a dull tired film with no ideas"


def facts(length=6, classes=3):
    return About("text", (length, 1), classes, details={"words": list(WORDS)})


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("random", [False, True])
def test_networks_take_both_forms_and_padding_says_nothing(name, random):
    torch.manual_seed(0)
    network = build(name, facts()).eval()
    network = randomize(network, scale=0.1) if random else network
    x = _texts().float()
    with torch.no_grad():
        module = network.at(3) if random else network
        plain = module(x)
        assert plain.shape == (4, 3)
        torch.testing.assert_close(module(smooth(x, tokens_of(network).width)), plain)
    if name != "text-cnn":  # its filters see where a text ends
        longer = torch.cat([x[1:2, :4], x.new_zeros(1, 2, 1)], 1)
        torch.testing.assert_close(module(longer), plain[1:2])


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("random", [False, True])
def test_every_attack_that_is_declared_for_texts_respects_its_budget(name, random):
    network, x = _model(3), _texts()
    with torch.no_grad():
        y = network(x).argmax(1)
    network = randomize(network, scale=0.2) if random else network
    every = ("l2:1", "linf:0.2", "words:2", "chars:2")
    fitting = [text for text in every if bounds(name, Budget.parse(text), TEXT)]
    assert fitting
    check_modality(TEXT, network, x, y, fitting, attacks=[name])


def test_pgd_moves_the_vectors_by_what_the_budget_says():
    model, x = _model(2), _texts()
    y = model(x).argmax(1)
    budget = Budget.parse("l2:0.5")
    whole = TEXT.prepared(x, budget, model)
    target = Target(model, "deterministic", modality=TEXT)
    perturbed, _ = perturb(target, Plan("pgd", 1, {"steps": 200}), budget, whole, y)
    reach = TEXT.reach(whole, budget)
    torch.testing.assert_close(reach.distance(perturbed), torch.full((4,), 0.5, dtype=torch.float64), rtol=1e-3, atol=0)
    with torch.no_grad():  # a linear model: the loss of margin is the size times the length of the slope at each word
        slope = (model.head.weight[0] - model.head.weight[1]).norm()
        count = (ids_of(x) > 0).sum(1).double().sqrt()
        logits, attacked = model(x), model(perturbed)
    margins = [(one.gather(1, y[:, None]) - one.gather(1, 1 - y[:, None]))[:, 0] for one in (logits, attacked)]
    torch.testing.assert_close(margins[0] - margins[1], 0.5 * slope * count, rtol=0.03, atol=0)


def test_a_change_that_is_not_allowed_is_not_contained():
    x = inputs_of(torch.tensor([[2, 3, 0]]))
    reach = TEXT.reach(x, Budget.parse("words:1"))
    for ids, inside in (([5, 3, 0], True), ([4, 3, 0], False), ([5, 6, 0], False), ([2, 3, 4], False)):
        assert bool(reach.contains(inputs_of(torch.tensor([ids])))) is inside, ids


def test_typos_are_those_of_the_definition():
    def distance(a, b):  # Damerau's, restricted; the slow way
        table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
        for i in range(1, len(a) + 1):
            for j in range(1, len(b) + 1):
                best = min(table[i - 1, j], table[i, j - 1]) + 1
                best = min(best, table[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
                if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                    best = min(best, table[i - 2, j - 2] + 1)
                table[i, j] = best
        return table[len(a), len(b)]

    words = ["god", "good", "goods", "gold", "food", "dog", "odg", "g", "do", "a", "", "goood", "doog", "ogdo"]
    expected = [[(j, k) for k in (1, 2) for j, b in enumerate(words) if distance(a, b) == k] for a in words]
    assert misspelt(words, each=99) == expected
    assert [len(row) for row in misspelt(words, each=1)] == [len({k for _, k in row}) for row in expected]


def test_two_typos_in_a_word_cost_two():
    text = Text(("<pad>", "<unk>", "good", "god", "gold", "dog"))
    x = inputs_of(torch.tensor([[2, 3, 0]]))
    for ids, spent in (([3, 3, 0], 1), ([1, 3, 0], 1), ([5, 3, 0], 4), ([4, 5, 0], 3), ([2, 4, 0], 1)):
        found = text.reach(x, Budget.parse("chars:9")).distance(inputs_of(torch.tensor([ids])))
        assert float(found) == (spent if spent < 4 else float("inf")), ids


def test_words_and_vocabulary():
    assert words_of("It's GOOD, 100%! don't") == ["it's", "good", "100", "%", "!", "don't"]
    assert vocabulary([["b", "a", "a"], ["b", "c"]], most=10, least=2) == ["<pad>", "<unk>", "a", "b"]


def test_a_corpus_learns_its_vocabulary_from_the_training_split_alone():
    texts = [GOOD if i % 2 else BAD for i in range(60)]
    corpus = corpus_of(texts, ["for" if i % 2 else "against" for i in range(60)], length=5, budget="words:1")
    assert corpus.about.labels == ("against", "for")
    assert corpus.about.shape == (5, 1)
    x, y = corpus.splits["train"]
    assert (len(x), len(corpus.splits["validation"][0]), len(corpus.splits["test"][0])) == (48, 6, 6)
    words = corpus.about.details["words"]
    shown = [words[i] for i in ids_of(x)[0]]
    assert " ".join(shown) == " ".join((GOOD if y[0] else BAD).split()[:5])
    rare = corpus_of([*texts, "zebra zebra"] * 2, (["a", "b"] * 61), length=9, budget="words:1")
    seen = set(ids_of(rare.splits["train"][0]).flatten().tolist())
    assert set(range(2, len(rare.about.details["words"]))) <= seen


def movie_file(count=200):
    return "".join(f"{i}\t{(-1) ** i * 1.5}\t{BAD if i % 2 else GOOD} number {i % 7}\n" for i in range(count))


def tar(path, name, content):
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def snippets(tmp_path):
    """The sources of vaderSentiment in small: an archive in an archive."""
    inner = tar(tmp_path / "inner", "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt", movie_file().encode())
    return tar(tmp_path / "vader.tar.gz", "vader/additional_resources/hutto_ICWSM_2014.tar.gz", inner.read_bytes())


def test_movie_snippets_from_archives_and_folders(snippets, tmp_path):
    load = registry.get("datasets", "movie-snippets").load()
    x, y = load("train", folder=snippets)
    assert (x.shape, y.float().mean().item()) == ((160, 40, 1), pytest.approx(0.5, abs=0.1))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "movieReviewSnippets_GroundTruth.txt").write_text(movie_file())
    assert torch.equal(load("train", folder=tmp_path / "d")[0], x)
    assert variate.about("movie-snippets", folder=snippets).labels == ("against", "for")


def test_spam_from_a_package_and_a_folder(tmp_path):
    for number in range(40):
        group = ("easy-ham-1", "spam-2")[number % 2]
        place = tmp_path / "package" / "data" / group
        place.mkdir(parents=True, exist_ok=True)
        body = ("<b>win</b> money now" if number % 2 else "see you at the meeting") + f" {number}"
        (place / f"{number:05}.txt").write_text(f"From: x\nSubject: hello there\nX: y\n\n{body}\n")
    load = registry.get("datasets", "spam").load()
    x, y = load("train", folder=tmp_path / "package")
    assert x.shape == (32, 128, 1)
    with tarfile.open(tmp_path / "spam.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    assert torch.equal(load("train", folder=tmp_path / "spam.tgz")[0], x)
    words = variate.about("spam", folder=tmp_path / "spam.tgz").details["words"]
    shown = {tuple(words[i] for i in row if i > 1)[:4] for row in ids_of(x).tolist()}
    assert shown == {("hello", "there", "win", "money"), ("hello", "there", "see", "you")}
    assert "b" not in words
    assert y.unique().tolist() == [0, 1]


@pytest.mark.parametrize("name", ["movie-snippets", "spam", "texts"])
def test_data_that_is_not_there_says_where_it_is_from(name, tmp_path):
    for folder in (None, tmp_path / "none"):
        with pytest.raises(DataError) as error:
            registry.get("datasets", name).load()("train", folder=folder)
        assert error.value.todo
    (tmp_path / "broken").write_bytes(b"no archive")
    with pytest.raises(DataError):
        registry.get("datasets", name).load()("train", folder=tmp_path / "broken")


def test_inputs_that_are_no_texts_are_explained():
    x = _texts().float()
    model = _model(3).float()
    y = torch.zeros(4, dtype=torch.long)
    empty, strange, far = x.clone(), x.clone(), x.clone()
    empty[2] = 0
    strange[0, 0] += 1e-5
    far[1, 1] = 0.5
    for inputs, message in (
        (empty, "1 texts are empty; the first is number 2"),
        (strange, "are not word indices"),
        (far, "32768"),
    ):
        with pytest.raises(InputError, match="not valid text inputs") as error:
            evaluate(model, inputs, y, budget="words:1", attacks=["hotflip"], modality=TEXT)
        assert message in " ".join(error.value.findings)
    with pytest.raises(UsageError, match="has no known layer"):
        evaluate(torch.nn.Flatten(), x, y, budget="l2:1", attacks=["pgd"], modality=TEXT)
    with pytest.raises(UsageError, match="pgd has no words version"):
        evaluate(model, x, y, budget="words:1", attacks=["pgd"], modality=TEXT)


def test_more_words_break_more_and_random_networks_are_judged_over_draws():
    model = _model(3)
    x = inputs_of(2 + torch.randint(25, (40, 6), generator=torch.Generator().manual_seed(1))).double()
    y = model(x).argmax(1)
    net = randomize(model, scale=0.05)
    left = []
    for k in (0, 1, 3):
        rows = evaluate(
            net, x, y, budget=f"words:{k}", attacks=["hotflip"], modality=TEXT, draws=3, verdict_draws=32,
            deployments=["single"],
        ).rows  # fmt: skip
        left.append(rows[-1].rate)
    assert left[0] == rows[0].rate
    assert left[0] > left[1] > left[2]


@pytest.mark.parametrize("network", ["text-cnn", "lstm"])
def test_training_evaluation_report_and_export_from_the_command_line(network, tmp_path):
    rows = [{"text": f"{GOOD if i % 2 else BAD} {i}", "label": "for" if i % 2 else "against"} for i in range(120)]
    data = tmp_path / "t.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows))
    run = tmp_path / "run"

    def done(*words):
        found = CliRunner().invoke(app, [str(word) for word in words])
        assert found.exit_code == 0, found.output
        return found.stdout

    train = ["train", "--data", "texts", "--data-folder", data, "--network", network, "--epochs", 3, "--quiet"]
    done(*train, "--defense", "random-at", "--budget", "l2:0.5", "--attack-steps", 2, "--out", run)
    few = [
        "--data-folder",
        data,
        "--examples",
        8,
        "--draws",
        2,
        "--verdict-draws",
        16,
        "--deployment",
        "single",
        "--quiet",
    ]
    told = json.loads(done("evaluate", run, "--suite", "quick", "--budget", "words:2", *few, "--json"))
    assert {row["attack"] for row in told["rates"]} == {"clean", "quick"}
    done("attack", run, "--attack", "pgd(steps=3)", "--budget", "l2:1", *few)
    assert "hotflip" in done("attack", run, "--attack", "hotflip", "--budget", "chars:2", *few, "--dry-run")
    page = (tmp_path / "r.html", done("report", run, "--out", tmp_path / "r.html"))[0].read_text()
    assert "Originals and adversarial texts" in page
    (gallery,) = galleries(Records(run / "records.jsonl"))
    assert all(one.shown.words for examples in gallery.networks.values() for one in examples)
    done("export", run, "--format", "torch-export", "--out", tmp_path / "n.pt2")


def test_the_report_marks_what_was_changed():
    model, x = _model(3), _texts()
    y = model(x).argmax(1)
    for budget, attack in (("words:2", "hotflip"), ("l2:2", "pgd")):
        records = Records(None)
        evaluate(
            model, x, y, budget=budget, attacks=[attack], modality=TEXT, records=records, pictures=True,
            deployments=["single"],
        )  # fmt: skip
        (gallery,) = galleries(records)
        texts = [one.shown for one in gallery.networks["network"]]
        assert [len(text.words) for text in texts] == [6, 4, 6, 6]
        assert any(word.marked for text in texts for word in text.words)
        assert all((text.changed <= 2) if budget.startswith("words") else text.changed == 0 for text in texts)


def test_a_bag_of_words_needs_no_vocabulary_to_be_named():
    assert isinstance(_model(2), BagOfWords)
    assert list(Text().findings(_texts())) == []
