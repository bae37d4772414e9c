"""The documents say what is true: their Python runs, their tables are those of the records, their names exist."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from variate import registry
from variate.cli.main import app
from variate.record import Records
from variate.report.attack_page import attack_page
from variate.report.defense_page import defense_page
from variate.report.entry_pages import TITLES, entry_page

ROOT = Path(__file__).parent.parent


def commands(page):
    """The commands of a page's shell blocks, what follows a # or a > left out."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.S | re.M)
    lines = [line for language, block in blocks if language in ("", "sh") for line in block.splitlines()]
    return [shlex.split(line.partition(" > ")[0], comments=True) for line in lines if line.startswith("variate ")]


WRITTEN = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/extend/*.md")),
]
PAGES = [str(page.relative_to(ROOT)) for page in WRITTEN if "```python" in page.read_text()]
SHELL = [str(page.relative_to(ROOT)) for page in WRITTEN if commands(page)]
RESULTS = sorted(ROOT.glob("docs/results/*/records.jsonl.gz"))


def given() -> dict[str, object]:
    """What the blocks take for granted: a module, a loader, and inputs with labels."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    x, y = registry.get("datasets", "digits").load()("test")
    return {"my_module": module, "loader": list(zip(x.split(50), y.split(50), strict=True)), "x": x[:20], "y": y[:20]}


@pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")  # as Foolbox is imported
@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_runs(page, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(block, given())
    if page == "README.md":
        assert "survive-10" in capsys.readouterr().out


def test_the_python_block_begins_within_ten_lines():
    assert "```python" in "\n".join((ROOT / "README.md").read_text().splitlines()[:10])


def test_the_example_runs(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import own_network

    rows = own_network.main(epochs=2).rows
    assert {row.attack for row in rows} == {"clean", "fgsm", "pgd"}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])  # the others are held by the site's strict build
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@pytest.mark.parametrize("page", SHELL)
def test_every_command_of_a_page_can_be_typed(page):
    known = typer.main.get_command(app).commands
    for _, first, *words in commands(ROOT / page):
        if first.startswith("-"):
            assert first in ("--show-config", "--install-completion", "--show-completion", "--config"), first
        elif first != "COMMAND":
            known[first].make_context(first, words)


def test_the_first_ten_minutes_run_as_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = ""
    for _, *words in commands(ROOT / "docs/start.md"):
        done = CliRunner().invoke(app, [*words, *(["--quiet"] if words[0] != "report" else [])])
        assert done.exit_code == 0, (words, done.output)
        said += done.stdout
    assert all(word in said for word in ("single", "mean-16", "majority-16", "survive-10"))
    assert (tmp_path / "runs/both.html").stat().st_size > 10_000


EXTENDED = {"attack": "jitter", "family": "triangular", "objective": "spread", "defense": "half-random"}


@pytest.fixture
def extended(tmp_path, monkeypatch):
    """A package made of the files that the pages on extending show."""
    names = {**EXTENDED, "dataset": "stripes"}
    points = []
    for page, name in names.items():
        block = re.search(r"```python\n(.*?)```", (ROOT / f"docs/extend/{page}.md").read_text(), re.S)
        stem = name.replace("-", "_")
        (tmp_path / f"{stem}.py").write_text(block.group(1))
        kind = next(plural for plural, singular in registry.SINGULAR.items() if singular == page)
        points.append(f"[variate.{kind}]\n{name} = {stem}:{stem}\n")
    info = tmp_path / "extended-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extended\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()
    for name in names.values():
        sys.modules.pop(name.replace("-", "_"), None)


@pytest.mark.parametrize("kind", EXTENDED)
def test_what_the_pages_on_extending_show_conforms(extended, kind):
    plural = next(plural for plural, singular in registry.SINGULAR.items() if singular == kind)
    check = getattr(importlib.import_module(f"variate.testing.{plural}"), f"check_{kind}")
    check(EXTENDED[kind])


def test_the_data_set_of_its_page_is_trained_on(extended, tmp_path):
    words = ["train", "--data", "stripes", "--network", "mlp", "--defense", "half-random", "--epochs", "3", "--quiet"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run"), "--attack-steps", "2"])
    assert done.exit_code == 0, done.output
    attack = ["attack", str(tmp_path / "run"), "--attack", "jitter(steps=5)", "--examples", "10", "--json", "--quiet"]
    done = CliRunner().invoke(app, [*attack, "--draws", "2", "--verdict-draws", "32", "--deployment", "single"])
    assert done.exit_code == 0, done.output
    assert {row["attack"] for row in json.loads(done.stdout)["rates"]} == {"clean", "jitter"}


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert (tmp_path / "site/results/paper/index.html").is_file()


@pytest.mark.parametrize("kind", TITLES)
def test_the_page_of_a_kind_in_full_is_that_of_its_entries(kind):
    assert (ROOT / f"docs/entries/{kind}.md").read_text() == entry_page(kind)


def test_the_readme_lists_what_there_is():
    text = (ROOT / "README.md").read_text()
    for kind in registry.SINGULAR:
        for name, entry in registry.entries(kind).items():
            assert not entry.module.startswith("variate.") or f"`{name}`" in text, (kind, name)


@pytest.mark.parametrize("path", RESULTS, ids=[path.parent.name for path in RESULTS])
def test_a_page_of_results_names_the_command_of_its_records(path):
    page = (path.parent / "README.md").read_text()
    assert Records(path).runs[0].command in page
    assert "<!-- begin table -->" in page


def test_tables_of_results_are_those_of_their_records(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import results_pages

    assert results_pages.main(["--check"]) == 0, capsys.readouterr().out


def test_no_attack_claims_an_effect_that_is_not_there():
    assert "**" not in (ROOT / "docs/results/honesty/README.md").read_text()  # what is untrue would stand in bold


def test_the_page_of_costs_is_that_of_the_committed_measurements(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import page

    assert (ROOT / "docs/what-it-costs.md").read_text() == page.page()


@pytest.mark.parametrize(("name", "page"), [("attacks", attack_page), ("defenses", defense_page)])
def test_a_page_of_entries_is_that_of_the_registry(name, page):
    assert (ROOT / f"docs/{name}.md").read_text() == page()
