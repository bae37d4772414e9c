"""Progress: a rate and the time left, on a terminal and in a log file, of the work that is really being done now."""

import re
import subprocess
import sys

import pytest

from variate import progress as module
from variate.progress import progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_file_gets_a_line_now_and_then(clock, capsys):
    with progress("work", 100, "examples") as report:
        for done in range(1, 101):
            clock[0] += 1.0
            report(done, "so far")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "work: 10/100, 1 examples/s, 90 s left so far"


def test_a_log_file_of_real_work_has_whole_lines_and_no_control_characters(tmp_path):
    """By a process of its own whose standard error is a file; it says something every tenth of a second."""
    code = (
        "import sys, time\n"
        "from variate import progress\n"
        "progress.LOG_SECONDS = 0.1\n"
        "with progress.progress('work', 30, 'pieces') as report:\n"
        "    for done in range(1, 31):\n"
        "        time.sleep(0.02)\n"
        "        report(done, 'so far')\n"
        "        if done == 20:\n"
        "            print(open(sys.argv[1]).read().count('left so far'))\n"
    )
    path = tmp_path / "log"
    with path.open("w") as log:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], stderr=log, stdout=subprocess.PIPE, text=True, check=True
        )
    text = path.read_text()
    assert int(done.stdout) >= 1  # what was said is in the file at once
    assert 2 <= len(text.splitlines()) <= 10
    assert all(re.fullmatch(r"work: \d+/30, [\d.]+ pieces/s, \d+ s left so far", line) for line in text.splitlines())
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert text.endswith("\n")


def test_what_was_done_before_does_not_count_for_the_rate(clock, capsys):
    with progress("work", 100, "examples", already=50) as report:
        clock[0] += 10.0
        report(60)
    assert capsys.readouterr().err == "work: 60/100, 1 examples/s, 40 s left\n"


@pytest.mark.parametrize("options", [{"show": False}, {"already": 100}])
def test_nothing_is_said_when_nothing_is_wanted_or_left(clock, capsys, options):
    with progress("work", 100, "examples", **options) as report:
        clock[0] += 60.0
        report(100)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("work", 10, "examples") as report:
        report(5, "half")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "5/10" in shown
    assert "examples/s" in shown
    assert "left" in shown
    assert "half" in shown
