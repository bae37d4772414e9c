"""The documents say what is true: their Python runs, their tables are those of the records, their names exist."""

import contextlib
import importlib.util
import os
import re
import subprocess
import sys

import pytest
import typer
from docs.generate import site
from docs.generate.entry_pages import TITLES
from pages import ROOT, WRITTEN, blocks, commands, named

import variate
from variate import registry
from variate.cli.main import app
from variate.records.file import Records

PAGES = [str(page.relative_to(ROOT)) for page in WRITTEN if blocks(page, "python") and "extend" not in page.parts]
SHELL = [str(page.relative_to(ROOT)) for page in WRITTEN if commands(page) or named(page)]
PLACES = [
    "attacks.md",
    "defenses.md",
    "evaluate.md",
    "metrics.md",
    "your-own-network.md",
    *(f"entries/{kind}.md" for kind in TITLES),
]  # of flags: test_flags.py
KNOWN = typer.main.get_command(app).commands
RESULTS = sorted(ROOT.glob("docs/results/*/records.jsonl.gz"))


@pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")  # as Foolbox is imported
@pytest.mark.filterwarnings("ignore:The '(train|val)_dataloader' does not have many workers")  # of Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # of torch, as Lightning is used
@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_runs_as_it_is_pasted(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(ROOT / page, "python"):
        exec(block, {"__name__": "__main__"})  # as a reader pastes it: nothing is given
    if page == "README.md":
        assert "survive-10" in capsys.readouterr().out


def test_the_first_screen_installs_and_shows_python():
    first, *_ = blocks(ROOT / "README.md", "sh")
    assert first.splitlines()[1:] == [". .venv/bin/activate", "pip install -c constraints.txt -e ."]
    assert "```python" in "\n".join((ROOT / "README.md").read_text().splitlines()[:25])


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
    for words in commands(ROOT / page):
        parse(words)
    for words in named(ROOT / page):  # in running text what must be given may be left out
        with contextlib.suppress(typer.BadParameter):
            parse(words)


def parse(words):
    """Read a command as the command line does, without running it."""
    command, *rest = words[1:]
    if command.startswith("-"):
        assert command in ("--show-config", "--install-completion", "--show-completion", "--config"), command
    elif command != "COMMAND":
        KNOWN[command].make_context(command, rest)


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    html = {page: page.read_text() for page in (tmp_path / "site").glob("**/*.html")}
    assert tmp_path / "site/results/paper/index.html" in html
    loads = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    assert {page.name: loads.findall(text) for page, text in html.items() if loads.search(text)} == {}  # reads offline


def test_the_api_page_has_every_public_name():
    documented = set(re.findall(r"^::: (.+)$", (ROOT / "docs/api.md").read_text(), re.M))
    assert {f"variate.{name}" for name in variate.__all__ if name != "__version__"} <= documented
    suites = {singular: f"variate.testing.{kind}" for kind, singular in registry.SINGULAR.items()}
    checks = {kind: f"{place}.check_{kind}" for kind, place in suites.items() if importlib.util.find_spec(place)}
    assert set(checks.values()) <= documented


@pytest.mark.parametrize("place", PLACES)
def test_a_page_made_from_entries_is_theirs(place):
    made = site.pages()
    assert (ROOT / "docs" / place).read_text() == made[place], "regenerate it: python -m docs.generate.site"


def test_the_readme_is_short():
    text = re.sub(r"^```.*?^```", "", (ROOT / "README.md").read_text(), flags=re.S | re.M)  # without code
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_the_home_page_lists_what_there_is():
    text = (ROOT / "docs/index.md").read_text()
    for kind in registry.SINGULAR:
        for name, entry in registry.entries(kind).items():
            assert not entry.module.startswith("variate.") or f"`{name}`" in text, (kind, name)


@pytest.mark.parametrize("path", RESULTS, ids=[path.parent.name for path in RESULTS])
def test_a_page_of_results_names_the_command_of_its_records(path):
    page = (path.parent / "README.md").read_text()
    assert Records(path).runs[0].command in page
    assert re.search("<!-- begin (table|over-seeds) -->", page)


def test_tables_of_results_are_those_of_their_records(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import results_pages

    assert results_pages.main(["--check"]) == 0, capsys.readouterr().out


def test_the_numbers_of_a_choice_stand_in_the_pages_that_it_names():
    page = ROOT / "docs/choose-a-defense.md"
    text = page.read_text()
    named_pages = re.findall(r"\]\(((?:results/|what-it-costs)[^)#]+)\)", text)
    sources = " ".join((page.parent / target).read_text() for target in named_pages)
    numbers = set(re.findall(r"(?<![\w.:])\d+\.\d+(?![\w.])", "".join(re.split(r"```.*?```", text, flags=re.S))))
    assert len(numbers) > 15
    assert {number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", sources)} == set()


def test_no_attack_claims_an_effect_that_is_not_there():
    assert "**" not in (ROOT / "docs/results/honesty/README.md").read_text()  # what is untrue would stand in bold


def test_the_page_of_costs_is_that_of_the_committed_measurements(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import page

    assert (ROOT / "docs/what-it-costs.md").read_text() == page.page()
