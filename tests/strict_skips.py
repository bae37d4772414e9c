"""A test that is skipped proves nothing: where all should run, an unexpected skip fails the session.

A plugin of pytest that ``conftest.py`` registers. It is strict where the environment says ``VARIATE_STRICT_SKIPS=1`` or
``CI=true``; elsewhere a library that is not installed only skips its tests, as usual.
"""

import os
import re
import tomllib
from pathlib import Path

import pytest

ALLOWED = Path(__file__).parent / "allowed_skips.toml"
PREFIX = "Skipped: "  # that pytest writes before a reason


def is_strict() -> bool:
    """Whether an unexpected skip fails the session."""
    return os.environ.get("VARIATE_STRICT_SKIPS") == "1" or os.environ.get("CI") == "true"


def allowed_reasons(path: Path) -> list[re.Pattern[str]]:
    """The reasons of the committed list, every one of which must say why it is allowed."""
    entries = tomllib.loads(path.read_text())["allowed"]
    unexplained = [entry["reason"] for entry in entries if not entry.get("why", "").strip()]
    if unexplained:
        raise pytest.UsageError(f"{path.name} does not say why these skips are allowed: {unexplained}")
    return [re.compile(entry["reason"]) for entry in entries]


class StrictSkips:
    """Collects what is skipped, and fails the session if the list does not allow it.

    Args:
        allowed: regular expressions for whole reasons.
    """

    def __init__(self, allowed: list[re.Pattern[str]]) -> None:
        self.allowed = allowed
        self.unexpected: dict[str, list[str]] = {}  # reason -> ids of tests or files

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2].removeprefix(PREFIX)
        if not any(pattern.fullmatch(reason) for pattern in self.allowed):
            self.unexpected.setdefault(reason, []).append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.unexpected:
            return
        count = sum(map(len, self.unexpected.values()))
        terminalreporter.section(f"{count} unexpected skips", red=True)
        for reason, tests in sorted(self.unexpected.items()):
            terminalreporter.line(f"{reason}:")
            for test in tests:
                terminalreporter.line(f"  {test}")
        terminalreporter.line(
            f"Provide what they need, or add their reason to {ALLOWED.name} and say why the skip is no loss.", red=True
        )
