"""Progress: a rate and the time left, on a terminal and in a log file, of the work that is really being done now."""

import re
import subprocess
import sys

import pytest

from variate import progress as module
from variate.progress import State, board, progress, send_to


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
    assert all(re.fullmatch(r"work: \d+/30, [\d.]+ pieces/s, [\d.]+ s left so far", line) for line in text.splitlines())
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


@pytest.mark.parametrize(
    ("unit", "pace", "says"),
    [
        ("examples", 14.2, "14.2 examples/s"),
        ("epochs", 1 / 11, "11 s an epoch"),
        ("networks", 1 / 200, "3 min a network"),
        ("epochs", 0.5, "2 s an epoch"),
        ("epochs", 0, ""),
    ],
)
def test_a_pace_is_told_in_the_unit_that_reads(unit, pace, says):
    assert State("work", 10, unit, pace=pace).rate == says


def test_a_log_has_a_line_for_each_worker_at_once_and_when_its_task_changes(clock, capsys):
    with board("study", 4, "networks") as lines:
        for worker, name in enumerate(("at", "random")):
            lines.show_worker(worker, State(name, 0, "", note="begins"))
            for epoch in range(1, 4):
                clock[0] += 0.1
                lines.show_worker(worker, State(f"training {name}", 10, "epochs", epoch, pace=0.1))
    assert capsys.readouterr().err.splitlines() == [
        "at: begins",
        "training at: 1/10, 10 s an epoch, 90 s left",
        "random: begins",
        "training random: 1/10, 10 s an epoch, 90 s left",
    ]


def test_a_terminal_has_a_line_for_each_worker(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    with board("study", 4, "networks") as lines:
        lines.show_worker(0, State("training at", 10, "epochs", 3, pace=0.1))
        lines.show_worker(1, State("random", 0, "", note="begins"))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert all(text in shown for text in ("study", "0/4", "training at", "3/10", "10 s an epoch", "random", "begins"))


def test_a_process_that_works_for_another_tells_it_and_shows_nothing(clock, capsys):
    told = []
    send_to(told.append)
    try:
        with progress("work", 100, "examples") as report:
            for done in range(1, 101):
                clock[0] += 0.01
                report(done)
    finally:
        send_to(None)
    assert capsys.readouterr().err == ""
    assert (told[0].done, told[-1].done) == (0, 100)
    assert 4 <= len(told) <= 8  # a few times a second
