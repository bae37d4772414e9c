"""Where all tests should run, a skip that is not allowed fails the session and is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from strict_skips import ALLOWED, allowed_reasons

CONFTEST = """
from pathlib import Path
from strict_skips import StrictSkips, allowed_reasons

def pytest_configure(config):
    config.pluginmanager.register(StrictSkips(allowed_reasons(Path(__file__).parent / "allowed.toml")))
"""
LIST = '[[allowed]]\nreason = "no GPU on .*"\nwhy = "there is none"\n'
PASSES = "def test_passes(): pass\n"


def session(folder: Path, tests: str, *options: str, allowed: str = LIST) -> subprocess.CompletedProcess[str]:
    """What a session says whose conftest registers the plugin."""
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(ALLOWED.parent)!r})\n{CONFTEST}")
    (folder / "allowed.toml").write_text(allowed)
    (folder / "test_some.py").write_text(f"import pytest\n{tests}{PASSES}")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize(
    "tests",
    [
        "def test_one(): pytest.skip('no foo here')\n",
        "@pytest.mark.skipif(True, reason='no foo here')\ndef test_one(): pass\n",
        "@pytest.fixture\ndef foo(): pytest.skip('no foo here')\ndef test_one(foo): pass\n",
        "pytest.importorskip('no_such_module', reason='no foo here')\n",
    ],
    ids=["inside", "mark", "fixture", "file"],
)
@pytest.mark.parametrize("options", [(), ("--numprocesses", "2")], ids=["one process", "two processes"])
def test_an_unexpected_skip_fails_and_is_named(tmp_path, tests, options):
    done = session(tmp_path, tests, *options)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 unexpected skips" in done.stdout
    assert "no foo here:\n  test_some.py" in done.stdout
    assert "allowed_skips.toml" in done.stdout


def test_allowed_skips_and_expected_failures_pass(tmp_path):
    allowed = "def test_one(): pytest.skip('no GPU on this machine')\n"
    expected = "@pytest.mark.xfail\ndef test_two(): assert False\n"
    done = session(tmp_path, allowed + expected)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unexpected" not in done.stdout


def test_a_reason_is_matched_as_a_whole(tmp_path):
    done = session(tmp_path, "def test_one(): pytest.skip('there is no GPU on this machine')\n")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_an_allowance_must_be_explained(tmp_path):
    done = session(tmp_path, "", allowed='[[allowed]]\nreason = "no GPU"\n')
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "does not say why these skips are allowed: ['no GPU']" in done.stderr


def test_the_committed_list_explains_itself():
    assert allowed_reasons(ALLOWED)


def test_this_suite_is_strict_when_it_should_be(tmp_path):
    """Its own conftest registers the plugin where the environment says so, and only there."""
    test = ALLOWED.parent / "test_strict_skips.py"
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "VARIATE_STRICT_SKIPS")}
    command = [sys.executable, "-m", "pytest", "--trace-config", "--collect-only", "-p", "no:cacheprovider", str(test)]
    for strict in ({}, {"VARIATE_STRICT_SKIPS": "1"}, {"CI": "true"}):
        done = subprocess.run(command, capture_output=True, text=True, env=environment | strict)
        assert ("PLUGIN registered: <strict_skips.StrictSkips" in done.stdout) == bool(strict), done.stdout
