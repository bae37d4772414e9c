"""Names, summaries and citations of entries as Markdown."""

from __future__ import annotations

import re

from variate import registry
from variate.registry import Entry

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
ESCAPED = re.compile(r"[*_<]")  # characters of formulas that Markdown would interpret


def ours(kind: str) -> list[Entry]:
    """The built-in entries of a kind, without those of other installed packages."""
    return [entry for entry in registry.entries(kind).values() if entry.module.startswith("variate.")]


def linked(entry: Entry) -> str:
    """An entry's name, linked to its section on the reference page."""
    return f"[`{entry.name}`](entries/{entry.kind}.md#{entry.name})"


def cited(text: str) -> str:
    """A citation with its arXiv numbers as links."""
    return ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def cell(text: str) -> str:
    """Text escaped for a table cell."""
    return marked(text).replace("\\|", "|").replace("|", "\\|")


def marked(text: str) -> str:
    """Double backticks become single ones, and the stars and underscores of formulas are escaped."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if i % 2 else ESCAPED.sub(_escape, part) for i, part in enumerate(parts))


def _escape(match: re.Match[str]) -> str:
    return "&lt;" if match.group() == "<" else f"\\{match.group()}"
