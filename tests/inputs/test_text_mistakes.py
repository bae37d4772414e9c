"""Texts: what cannot be is refused with a reason, files are read as they are, and doubts are measured within words."""

import json
import os
import re

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from variate.cli.main import app
from variate.datasets.info import About, about
from variate.datasets.load import labelled
from variate.errors import DataError, InputError, UsageError
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, Target, perturb
from variate.flags.evidence import DOUBTS
from variate.flags.raise_flags import raised
from variate.flags.unbounded_survives import UNBOUNDED
from variate.inputs.budget import Budget
from variate.inputs.modalities.text import Text
from variate.inputs.words import ids_of, inputs_of
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.testing.text_attacks import TEXT, WORDS, BagOfWords
from variate.training.defense import defended
from variate.training.saved import build

FACTS = About("text", (6, 1), 3, details={"words": list(WORDS)})


def texts(count):
    """Texts of six words of the vocabulary."""
    return inputs_of(2 + torch.randint(25, (count, 6), generator=torch.Generator().manual_seed(1)))


def bag(classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return BagOfWords(classes).eval()


class Masked(BagOfWords):
    """Answers alike, and hides the gradient."""

    def forward(self, x):
        return super().forward(x.detach())


class Foreign(nn.Module):
    """A network for texts that makes vectors of words in a way of its own."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(len(WORDS), 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.words(ids_of(x)).sum(1))


class Members(nn.Module):
    """The mean of four networks, each with vectors of its own."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList(BagOfWords(2) for _ in range(4))

    def forward(self, x):
        return torch.stack([member(x) for member in self.members]).mean(0)


def rows(count=60):
    """Texts of two kinds, each with a number of its own, so that none is in two splits."""
    kinds = ("a dull film, no ideas", "against"), ("a good film with heart", "for")
    return [(f"{kinds[i % 2][0]} {i}", kinds[i % 2][1]) for i in range(count)]


def jsonl(path, found, between="\n"):
    path.write_text(between.join(json.dumps({"text": t, "label": y}, ensure_ascii=False) for t, y in found), "utf-8")
    return path


def doubted(network, budget, **options):
    records, x = Records(), texts(24)
    with torch.no_grad():
        y = (network.mean() if hasattr(network, "mean") else network)(x).argmax(1)
    doubt(network, x, y, budget=budget, records=records, name="n", draws=3, verdict_draws=24, modality=TEXT, **options)
    return records, {flag.flag: flag for flag in raised(records)}


@pytest.mark.parametrize("random", [False, True])
def test_doubts_within_words_are_measured_with_attacks_on_words(random):
    network = randomize(bag(), scale=0.1) if random else bag()
    records, flags = doubted(network, "words:2", steps=5)
    asked = {(claim.attack, claim.budget) for claim in records.claims.values() if claim.part == DOUBTS}
    sizes = {("hotflip", f"words:{k}") for k in (1, 2, 4)}
    assert asked == {("clean", None), *sizes, ("greedy-words", "words:2")}
    assert {claim.attack for claim in records.claims.values() if claim.part == UNBOUNDED} == {"clean", "pgd"}
    assert len(records.gradients) == 24
    assert [name for name, flag in flags.items() if flag.level == "warning"] == []


def test_a_hidden_gradient_is_noticed_within_words():
    masked = Masked(3).eval()
    masked.load_state_dict(bag().state_dict())
    records, flags = doubted(masked, "words:2")
    assert "zero-gradients" in flags
    assert {claim.attack for claim in records.claims.values()} == {"clean", "greedy-words"}


def test_a_network_without_our_layer_is_asked_and_nothing_is_said_of_its_gradient():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        foreign = Foreign().eval()
    records, flags = doubted(foreign, "words:2")
    assert {claim.attack for claim in records.claims.values()} == {"clean", "greedy-words"}
    assert not records.gradients
    assert "zero-gradients" not in flags
    x = texts(24)
    y = foreign(x).argmax(1)
    left = [
        evaluate(foreign, x, y, budget="words:3", attacks=[name], modality=TEXT, deployments=["single"]).rows[-1].rate
        for name in ("greedy-words", "greedy-words-labels")
    ]
    assert left[0] < 0.5
    for budget, attack in (("words:2", "hotflip"), ("l2:1", "pgd")):
        with pytest.raises(UsageError, match="has no known layer") as error:
            evaluate(foreign, x, y, budget=budget, attacks=[attack], modality=TEXT)
        assert "greedy-words" in str(error.value.todo)


def test_vectors_of_another_width_do_not_transfer():
    x = texts(4)
    networks = [build(name, FACTS).eval() for name in ("text-cnn", "transformer")]
    budget, y = Budget.parse("l2:1"), torch.zeros(4, dtype=torch.long)
    target = Target(networks[0], "deterministic", sources={"other": networks[1]}, modality=TEXT)
    whole = TEXT.prepared(x, budget, networks[0])
    with pytest.raises(InputError, match="vectors of size 50, but this network's words have vectors of size 64"):
        perturb(target, Plan("transfer", 1, {"steps": 2}, source="other"), budget, whole, y)


def test_noise_on_numbers_of_words_is_refused():
    with pytest.raises(UsageError, match="another word or none"):
        defended("smoothing", build("text-cnn", FACTS))
    defended("smoothing", build("mlp", About("tabular", (3,), 2, details={"features": []})))


def trained(folder, *words):
    data = jsonl(folder / "t.jsonl", rows(80))
    train = ["train", "--data", "texts", "--data-folder", data, "--network", "text-cnn", "--epochs", 1, "--quiet"]
    return CliRunner().invoke(app, [str(word) for word in [*train, "--attack-steps", 1, *words]])


def test_training_without_a_budget_replaces_words_as_the_usual_one_does(tmp_path):
    ways = {"usual": (), "said": ("--budget", "words:2"), "moved": ("--budget", "l2:1")}
    states = {}
    for name, words in ways.items():
        done = trained(tmp_path, "--defense", "at", *words, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
        states[name] = (tmp_path / name / "network.safetensors").read_bytes()
    assert states["usual"] == states["said"] != states["moved"]


def test_training_within_a_budget_that_no_inner_attack_bounds_is_refused(tmp_path):
    train = "train --data digits --network mlp --defense at --budget l0:3 --epochs 1 --quiet --out"
    done = CliRunner().invoke(app, [*train.split(), str(tmp_path / "a")])
    assert done.exit_code == 2
    assert "no inner attack supports l0" in " ".join(done.output.split())


def test_a_file_that_was_written_again_is_read_again(tmp_path):
    path = jsonl(tmp_path / "t.jsonl", rows(60))
    assert len(labelled("texts", folder=path, split="train")[0]) == 48
    jsonl(path, [*rows(120), ("zebra zebra crossing", "third"), ("a zebra", "third")])
    os.utime(path, ns=(1, 1))
    assert len(labelled("texts", folder=path, split="train")[0]) == 98
    assert about("texts", folder=path).labels == ("against", "for", "third")
    folder = tmp_path / "d"
    folder.mkdir()
    for count in (40, 60):
        lines = [f"{i}\t{1 if y == 'for' else -1}\t{t}\n" for i, (t, y) in enumerate(rows(count))]
        (folder / "movieReviewSnippets_GroundTruth.txt").write_text("".join(lines))
        assert len(labelled("movie-snippets", folder=folder, split="train")[0]) == 0.8 * count


def test_files_are_read_as_they_are_written(tmp_path):
    plain = "".join(f'"{t}",{y}\n' for t, y in rows())
    files = {"comma.csv": "text,label\n" + plain, "mark.csv": "\ufefftext,label\n" + plain}
    files["semicolon.csv"] = files["comma.csv"].replace('",', '";').replace("text,", "text;")
    files["turned.csv"] = "id,label,text\n" + "".join(f'{i},{y},"{t}"\n' for i, (t, y) in enumerate(rows()))
    loaded = []
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
        loaded.append(labelled("texts", folder=tmp_path / name))
    separated = jsonl(tmp_path / "t.jsonl", [(t.replace(" ", "\u2028"), y) for t, y in rows()])  # no end of a line
    windows = jsonl(tmp_path / "w.jsonl", rows(), "\r\n")
    loaded += [labelled("texts", folder=path) for path in (separated, windows)]
    for x, y in loaded[1:]:
        assert torch.equal(x, loaded[0][0])
        assert torch.equal(y, loaded[0][1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "text,class\na,b\n", "has no column label or labels"),
        ("t.csv", "text,label\na,b\na,b,c\n", "line 3 has 3 cells"),
        ("t.csv", "text,label\n", "has no rows"),
        ("t.jsonl", '{"text": "a", "label": "b"}\n{"text": "a"\n', "cannot read line 2 of"),
        ("t.jsonl", '{"text": null, "label": "b"}\n', "1 rows of .* lack a text or a label; the first is line 1"),
        ("t.jsonl", '["a", "b"]\n', "has no column text or sentence"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError) as error:
        labelled("texts", folder=path)
    assert re.search(message, "\n".join([str(error.value), *error.value.findings]))


def margin_of(network, x, y):
    with torch.no_grad():
        logits = network(x)
    return (logits.gather(1, y[:, None]) - logits.gather(1, 1 - y[:, None])).sum()


def test_hotflip_follows_every_member_of_an_ensemble():
    """The first order alone, on 30 ensembles: by the vectors of one member it takes about 0.4 of what asking takes."""
    x, budget, shares = texts(40), Budget.parse("words:1"), []
    for seed in range(30):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Members().eval()
        y = network(x).argmax(1)
        target, start = Target(network, "deterministic", modality=TEXT), margin_of(network, x, y)
        plans = Plan("hotflip", 1, {"beam": 1}), Plan("greedy-words", 1, {"places": 6})
        followed, asked = (start - margin_of(network, perturb(target, p, budget, x, y)[0], y) for p in plans)
        shares.append(float(followed / asked))
    assert sum(shares) / len(shares) > 0.5


@pytest.mark.parametrize(
    ("neighbors", "words"),
    [
        ([[3]] * 20, "20 words have neighbors"),
        ([[99]] * len(WORDS), "word 0 has the neighbor 99"),
        ([["a"]] * len(WORDS), "word 0 has the neighbor 'a'"),
        ({"3": ["4"]}, "the neighbors are dict"),
    ],
)
def test_neighbors_that_do_not_fit_the_vocabulary(neighbors, words):
    with pytest.raises(UsageError, match="do not fit the vocabulary") as raised_error:
        Text(WORDS, neighbors).check(Budget.parse("words:1"))
    assert words in raised_error.value.findings[0]


def test_words_are_replaced_only_with_a_vocabulary():
    with pytest.raises(UsageError, match="without their vocabulary"):
        evaluate(bag(), texts(4), torch.arange(4) % 3, budget="words:1", attacks=["greedy-words"], modality="text")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_words_are_not_rounded(dtype):
    x, y = texts(4), torch.arange(4) % 3
    with pytest.raises(InputError, match="pass float32"):
        evaluate(bag(), x.to(dtype), y, budget="words:1", attacks=[], modality=TEXT)
    with pytest.raises(InputError, match="words are rounded"):
        ids_of(x.to(dtype))
    for budget in ("words:1", "l2:2"):
        attacks = ["hotflip"] if budget == "words:1" else ["pgd(steps=5)"]
        kept = evaluate(bag().to(dtype), x, y, budget=budget, attacks=attacks, modality=TEXT, deployments=["single"])
        usual = evaluate(bag(), x, y, budget=budget, attacks=attacks, modality=TEXT, deployments=["single"])
        assert [row.rate for row in kept.rows] == pytest.approx([row.rate for row in usual.rows], abs=0.25)
