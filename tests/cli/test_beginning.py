"""Every long command says at once what it begins: a line before anything heavy is loaded, none with --quiet.

It goes to standard output, where an error is not expected; with --json to standard error.
"""

import subprocess
import sys

import pytest

LONG = {
    "train --data digits --out r": "training random-at lenet on digits",
    "train --data digits --out r --dry-run": "planning random-at lenet on digits",
    "attack r --attack pgd": "attacking r: pgd",
    "evaluate r": "attacking r: suite standard",
    "evaluate r --dry-run": "planning r: suite standard",
    "audit mine:network --data digits --out r": "attacking mine:network on digits: suite standard",
    "study digits --out r": "running the study digits",
    "study digits --out r --dry-run": "planning the study digits",
}
WITHOUT = """
import sys
sys.modules |= dict.fromkeys(("torch", "scipy", "sklearn", "lightning_fabric", "matplotlib"))
from variate.cli.main import app
for words in sys.argv[1:]:
    for stream in (sys.stdout, sys.stderr):
        print("$", words, file=stream)
    try:
        app(words.split(), standalone_mode=False)
    except ImportError:
        print("heavy")
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each command wrote to both streams before it loaded anything heavy; none can load it here."""
    words = [*LONG, *(f"{command} {option}" for command in LONG for option in ("--quiet", "--json"))]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, cwd=tmp_path_factory.mktemp("empty")
    )
    assert done.returncode == 0, done.stderr
    return [_by_command(text) for text in (done.stdout, done.stderr)]


def _by_command(text):
    parts = (part.partition("\n") for part in text.split("$ ")[1:])
    return {command: lines.splitlines() for command, _, lines in parts}


@pytest.mark.parametrize("command", LONG)
def test_the_first_line_comes_before_anything_heavy_is_loaded(said, command):
    output, errors = said
    first, *rest = output[command]
    assert first.startswith(LONG[command])
    assert (rest, errors[command]) == (["heavy"], [])
    assert (output[f"{command} --quiet"], errors[f"{command} --quiet"]) == (["heavy"], [])
    assert output[f"{command} --json"] == ["heavy"]
    assert errors[f"{command} --json"] == [first]
