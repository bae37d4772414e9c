"""``variate certify``: a trained network, a network of one's own, and mistakes."""

import json

import pytest
from typer.testing import CliRunner

from variate.cli.main import app
from variate.records.file import Records

OWN = """
import torch
from torch import nn
import variate

def network():
    torch.manual_seed(0)
    plain = nn.Sequential(variate.Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3))
    return variate.randomize(plain, {"0.bias": "normal(scale=0.3, learn=no)", "*": "normal"}).eval()

def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.GELU()).eval()

def data():
    x = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return x, network().mean()(x).argmax(1)
"""


def run(*words):
    return CliRunner().invoke(app, ["certify", *map(str, words)])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    written = tmp_path_factory.mktemp("own") / "certified_by_test.py"
    written.write_text(OWN)
    return written


@pytest.fixture
def own(path, tmp_path):
    return [f"{path}:network", "--data", f"{path}:data", "--out", tmp_path / "out"]


def test_a_network_of_ones_own(own, tmp_path):
    done = run(*own, "--draws", 200, "--radii", "0.1", "0.3", "--quiet", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert {row["radius"] for row in rows} == {0.1, 0.3}
    assert {row["deployment"] for row in rows} >= {"vote", "single", "survive-10", "majority-16"}
    records = Records(tmp_path / "out" / "records.jsonl")
    assert [line.norm for line in records.proofs.values()] == ["l2"]
    assert "--radii 0.1 0.3" not in done.stderr
    again = run(*own, "--draws", 200, "--radii", "0.1", "--radii", "0.3", "--deployment", "single", "--quiet")
    assert again.exit_code == 0, again.output
    assert "Certified for 30 examples" in again.stdout
    assert "vote" not in again.stdout.partition("Certified:")[0]
    assert len(Records(tmp_path / "out" / "records.jsonl").certificates) == 1  # its votes were kept
    short = ["--require", "certified single l2:0.1>=1%", "--require", "certified single l2:0.3>=99"]
    gated = run(*own, "--draws", 200, "--radii", "0.1", "0.3", "--deployment", "single", "--quiet", "--json", *short)
    assert gated.exit_code == 3, gated.output
    assert [judgment["holds"] for judgment in json.loads(gated.stdout)["requirements"]] == [True, False]


def test_right_or_abstain_is_proved_and_judged(own, tmp_path):
    words = [*own, "--draws", 50, "--alpha", 0.05, "--radii", "0.1", "--deployment", "certified-0.1", "--quiet"]
    done = run(*words, "--attack", "pgd(steps=2, draws=4)", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [row["deployment"] for row in found["rows"]] == ["certified-0.1"]
    assert [(row["attack"], row["budget"]) for row in found["judged"]] == [("clean", None), ("pgd", "l2:0.1")]
    for row in found["judged"]:
        rates = [row["outcomes"][name]["rate"] for name in ("right", "wrong", "abstained")]
        assert sum(rates) == pytest.approx(1)
    done = run(*words, "--attack", "pgd(steps=2, draws=4)")
    assert "certified-0.1, 30 examples" in done.stdout
    assert "pgd within l2:0.1" in done.stdout
    done = run(*words, "--attack", "none")
    assert "wrong <=" in done.stdout
    assert "abstained" not in done.stdout


def test_votes_end_early_where_that_is_asked_for(own):
    done = run(*own, "--draws", 200, "--radii", "0.05", "--early-stop", "--quiet", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [row["deployment"] for row in found["rows"]] == ["vote"]
    assert "up to 200 votes" in found["sentence"]


def test_a_trained_network(tmp_path):
    words = [
        "train",
        "--data",
        "digits",
        "--network",
        "mlp",
        "--defense",
        "random-smoothing(sigma=0.2)",
        "--epochs",
        "1",
    ]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "c"), "--quiet"])
    assert done.exit_code == 0, done.output
    plan = run(tmp_path / "c", "--examples", 20, "--dry-run", "--json")
    assert json.loads(plan.stdout)["forward passes"] == 20 * 1100
    done = run(tmp_path / "c", "--examples", 20, "--draws", 50, "--radii", "0.05", "--quiet")
    assert done.exit_code == 0, done.output
    assert "l2:0.05" in done.stdout
    assert "standard deviation 0.2 on the input" in done.stdout


MISTAKES = {
    "no noise": (["{plain}", "--radii", "0.1"], "nothing can be proved"),
    "no data": (["{own}", "--radii", "0.1"], "needs --data and --out"),
    "far": (["{own}", "--radii", "9", "--data", "{data}", "--out", "{out}"], "no number of draws can certify"),
    "norm": (["{own}", "--norm", "l0", "--data", "{data}", "--out", "{out}"], "no certificate in l0"),
    "mechanism": (["{own}", "--mechanism", "magic", "--data", "{data}", "--out", "{out}"], "no certificate named"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_end_in_a_message(name, own, tmp_path):
    words, message = MISTAKES[name]
    places = {"own": own[0], "plain": own[0].replace(":network", ":plain"), "data": own[2], "out": str(own[4])}
    words = [word.format(**places) for word in words]
    if name == "no noise":
        words += ["--data", own[2], "--out", str(own[4])]
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert "Traceback" not in done.output
