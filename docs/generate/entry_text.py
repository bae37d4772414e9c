"""What an entry says of itself, as Markdown."""

from __future__ import annotations

import re

from variate import registry
from variate.registry import Entry

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
ESCAPED = re.compile(r"[*_<]")  # what Markdown would read as its own in a formula


def ours(kind: str) -> list[Entry]:
    """The entries of a kind that come with Variate, not those of packages that happen to be installed."""
    return [entry for entry in registry.entries(kind).values() if entry.module.startswith("variate.")]


def linked(entry: Entry) -> str:
    """An entry's name, that leads from a page above to its section among the entries in full."""
    return f"[`{entry.name}`](entries/{entry.kind}.md#{entry.name})"


def cited(text: str) -> str:
    """A source with its arXiv numbers as links."""
    return ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def cell(text: str) -> str:
    """Text as it may stand in a table."""
    return marked(text).replace("\\|", "|").replace("|", "\\|")


def marked(text: str) -> str:
    """Docstrings' double backticks as Markdown's single ones; the stars and underscores of a formula as they are."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if i % 2 else ESCAPED.sub(_escape, part) for i, part in enumerate(parts))


def _escape(match: re.Match[str]) -> str:
    return "&lt;" if match.group() == "<" else f"\\{match.group()}"
