"""The pages on red flags, generated from their facts."""

from __future__ import annotations

from docs.generate.entry_text import cited

from variate import registry
from variate.registry import Entry

KIND = "flags"


def flag_page(entry: Entry) -> str:
    """The page of one flag, in Markdown."""
    facts = entry.facts
    return "\n".join(
        [
            f"# {entry.name}",
            "",
            f"*{_level(entry)}.* {entry.summary}",
            "",
            f"**Why it matters.** {facts['explanation']}",
            "",
            f"**What to do.** {facts['remedy']}",
            "",
            f"**When it is raised.** {facts['trigger']}",
            "",
            f"Source: {cited(facts['cite'])}.",
            "",
        ]
    )


def flag_index() -> str:
    """The list of all flags, in Markdown."""
    rows = [f"| [{e.name}]({e.name}.md) | {_level(e)} | {e.summary} |" for e in registry.entries(KIND).values()]
    head = ["# Red flags", "", INTRODUCTION, "", "| flag | level | raised when |", "|:--|:--|:--|"]
    return "\n".join([*head, *rows, ""])


def _level(entry: Entry) -> str:
    softer = entry.facts["deterministic"]
    return f"{entry.facts['level']}{f', {softer} for networks that were not made random' if softer else ''}"


INTRODUCTION = (
    "Every evaluation is checked for signs that its numbers are unreliable. Flags are computed from the records alone; "
    "`variate evaluate` and `variate audit` make the measurements that flags need on the first 64 examples "
    "(`--no-doubts` skips them). A flag is no proof, and neither is the absence of flags: the usual checklist is not "
    "sufficient for random networks (Popovic et al. 2022)."
)
