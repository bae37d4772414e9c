"""A newcomer pastes every block of README and of the start page, in order, in a fresh clone with an empty home."""

import contextlib
import io
import shlex
import shutil
import subprocess

import pytest
import typer
from pages import ROOT, pasted
from typer.testing import CliRunner

from variate.cli.main import app

ELSEWHERE = {  # not run here
    "python3.11 -m venv .venv": "the tests run in an environment already",
    ". .venv/bin/activate": "the tests run in an environment already",
    "pip install -c constraints.txt -e .": "`make test` has done it",
    "make demo": "the study runs for minutes; CI runs it on a bare machine, tests/study runs smaller ones",
}
PAGES = ("README.md", "docs/start.md")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A fresh clone, with a home in which nothing is."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "home").mkdir()
    left_out = shutil.ignore_patterns(".*", "runs", "data", "site", "build", "dist", "src", "tests", "__pycache__")
    shutil.copytree(ROOT, folder / "variate", ignore=left_out)
    return folder


@pytest.fixture
def newcomer(clone, monkeypatch):
    monkeypatch.chdir(clone / "variate")
    monkeypatch.setenv("HOME", str(clone / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("BROWSER", "true")  # of `--open`: a program that shows nothing
    return clone


def typed(line):
    """What one command prints."""
    done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
    assert done.exit_code == 0, (line, done.output)
    return done.stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a newcomer sees them; what they say is tested where they are raised
@pytest.mark.parametrize("page", PAGES)
def test_every_block_works_as_it_is_pasted(newcomer, page):
    said = {}
    for language, block in pasted(ROOT / page):
        if language == "python":
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                exec(block, {"__name__": "__main__"})
            said[block] = shown.getvalue()
            continue
        assert subprocess.run(["bash", "-n", "-c", block], capture_output=True).returncode == 0
        for line in block.splitlines():
            if line.strip() not in ELSEWHERE:
                assert line.startswith("variate "), f"{line}: neither run nor declared"
                said[line] = typed(line)
    everything = "".join(said.values())
    assert all(word in everything for word in ("single", "mean-16", "majority-16", "survive-10", "the worst input is"))
    assert all("error" not in text for line, text in said.items() if "doctor" not in line)
    pages = [*(newcomer / "variate/runs").rglob("*.html")]
    assert pages
    assert all(path.stat().st_size > 10_000 for path in pages)


def test_nothing_is_declared_that_no_page_pastes():
    lines = [line.strip() for page in PAGES for language, block in pasted(ROOT / page) if language != "python"
             for line in block.splitlines()]  # fmt: skip
    assert set(ELSEWHERE) <= set(lines)


def test_the_demo_ends_with_commands_that_can_be_typed():
    """By what `make` would run, for every demo; it says before each silence what it does."""
    known = typer.main.get_command(app).commands
    for choice in (["DATA=digits"], ["DATA=phishing"], ["DATA=spoken-digits", "FOLDER=fsdd.zip"]):
        make = ["make", "--dry-run", "demo", "CPU_TORCH=", *choice]
        done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        hints = [word for word in shlex.split(done.stdout[done.stdout.rindex("printf") :]) if word.startswith("  ")]
        activate, *commands = [hint.strip() for hint in hints]
        assert activate == ". .venv/bin/activate"
        assert len(commands) == 3
        for command in commands:
            name, *words = shlex.split(command)[1:]
            known[name].make_context(name, words)
