"""The table of ``docs/your-own-network.md``: what becomes of networks that people bring, as their tests declare it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your-own-network.md"
BEGIN, END = "<!-- begin networks -->\n", "<!-- end -->"


def page_with_networks() -> str:
    """``docs/your-own-network.md`` with the table as the tests have it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}{network_table()}{rest[rest.index(END) :]}"


def network_table() -> str:
    """The table of ``tests/brought``, from what is declared there; no network is run."""
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    text: str = importlib.import_module("brought.table").table()
    return text
