"""The reference page of a kind of entry, generated from docstrings and facts: formula, options, source."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from docs.generate.entry_text import cited, marked, ours

from variate.registry import Entry

TITLES = {
    "attacks": "Attacks in full",
    "certificates": "Certificates in full",
    "datasets": "Data sets",
    "defenses": "Defenses in full",
    "families": "Families of distributions",
    "metrics": "Metrics in full",
    "modalities": "Modalities",
    "networks": "Networks",
    "objectives": "Objectives in full",
    "tasks": "Tasks in full",
}
SHOWN = ("access", "norms", "modality", "tasks", "budget", "shape", "classes", "group", "needs", "deployments")
OPTIONS = ("Args", "Attributes")  # the sections that describe options
OF_TASKS = ("labels", "answers")  # shown for tasks: other kinds have facts of these names that are not for readers
SECTION = re.compile(r"^(Args|Returns|Raises|Example|Examples|Attributes|Note):\s*$")
OPTIONS = ("Args", "Attributes")
UNLISTED = ("source", "target", "budget")  # arguments of an attack that the evaluation sets


def entry_page(kind: str) -> str:
    """The page of one kind, in Markdown."""
    head = [
        f"# {TITLES[kind]}",
        "",
        f"Generated from the docstrings of the entries; `variate list {kind}` prints the short list.",
        "",
    ]
    return "\n".join([*head, *(line for entry in ours(kind) for line in _section(entry))]).rstrip() + "\n"


def _section(entry: Entry) -> list[str]:
    loaded = entry.load()
    text, arguments = _parts(inspect.getdoc(loaded) or "")
    lines = [f"## {entry.name}", "", text, ""]
    options = {} if entry.kind == "certificates" else _options(loaded)  # their fields are found in a network
    if options:
        lines += [f"`{entry.name}({', '.join(f'{name}={value}' for name, value in options.items())})`", ""]
        lines += [f"- `{name}`: {arguments[name]}" for name in options if name in arguments] + [""]
    shown = OF_TASKS if entry.kind == "tasks" else SHOWN
    facts = [f"{name}: {_fact(entry.facts[name])}" for name in shown if entry.facts.get(name)]
    lines += [f"*{'; '.join(facts)}*", ""] if facts else []
    differs, cite = entry.facts.get("differs"), entry.facts.get("cite")
    lines += [f"Differences from the source: {marked(differs)}", ""] if differs else []
    return lines + ([f"Source: {cited(cite)}.", ""] if cite else [])


def _parts(docstring: str) -> tuple[str, dict[str, str]]:
    """The text of a docstring before its first section, and the descriptions of its arguments."""
    text: list[str] = []
    arguments: dict[str, str] = {}
    section, last = "", ""
    for line in docstring.splitlines():
        match = SECTION.match(line)
        if match:
            section = match.group(1)
        elif not section:
            text.append(line)
        elif section in OPTIONS and line.startswith("    ") and not line.startswith("     ") and ":" in line:
            last, _, description = line.strip().partition(":")
            arguments[last] = description.strip()
        elif section in OPTIONS and last and line.strip():
            arguments[last] += f" {line.strip()}"
    return marked("\n".join(text).strip()), {name: marked(description) for name, description in arguments.items()}


def _options(loaded: Any) -> dict[str, str]:
    """Options with their defaults: the fields of a family, the keyword arguments of anything else."""
    if dataclasses.is_dataclass(loaded):
        return {f.name: f"{f.default}" for f in dataclasses.fields(loaded) if f.default is not dataclasses.MISSING}
    parameters = inspect.signature(loaded).parameters.values()
    options = [
        p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty and p.name not in UNLISTED
    ]
    return {p.name: str(p.default) for p in options if not p.name.startswith("_")}


def _fact(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value).rstrip(".")
