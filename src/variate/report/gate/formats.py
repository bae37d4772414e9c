"""Judgments for continuous integration: JUnit XML, and Markdown for a summary or a comment on GitHub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree as Xml

from variate.flags.raise_flags import raised
from variate.records.file import Records
from variate.report.formats import as_markdown
from variate.report.gate.judgment import Judgment
from variate.report.headline import headline

SUITE = "variate"
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML cannot hold
MARKS = {True: "✅ met", False: "❌ falls short"}


def as_junit(judgments: Sequence[Judgment]) -> str:
    """JUnit XML: one test case for each requirement and network, failed where it falls short."""
    fallen = sum(not judgment.holds for judgment in judgments)
    counts = {"tests": str(len(judgments)), "failures": str(fallen), "errors": "0", "skipped": "0"}
    suites = Xml.Element("testsuites", {"name": SUITE, **counts})
    suite = Xml.SubElement(suites, "testsuite", {"name": SUITE, **counts})
    for judgment in judgments:
        names = {"classname": _writable(judgment.network), "name": _writable(judgment.requirement)}
        case = Xml.SubElement(suite, "testcase", names)
        sentence = _writable(judgment.sentence)
        if judgment.holds:
            Xml.SubElement(case, "system-out").text = sentence
        else:
            Xml.SubElement(case, "failure", {"message": sentence, "type": "requirement"}).text = sentence
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def as_github(records: Sequence[Records], judgments: Sequence[Judgment]) -> str:
    """Markdown for a job summary or a comment: requirements, the verdict, red flags, and the tables folded away."""
    parts = []
    if judgments:
        fallen = sum(not judgment.holds for judgment in judgments)
        outcome = f"{fallen} of {len(judgments)} requirements fall short" if fallen else "All requirements are met"
        rows = ["| requirement | outcome | measured |", "| :-- | :-- | :-- |"]
        rows += [f"| `{_cell(j.requirement)}` | {MARKS[j.holds]} | {_cell(j.sentence)} |" for j in judgments]
        parts += [f"### {outcome}", "\n".join(rows)]
    for one in records:
        parts += ["\n".join(f"- {escape(line, quote=False)}" for line in headline(one).lines)]
        parts += [
            f"> **{flag.level}: {flag.flag}**, {_cell(flag.network)}: {_cell('; '.join(flag.findings))}. "
            f"Do: {_cell(flag.remedy)}"
            for flag in raised(one)
        ]
    tables = as_markdown(records)
    return "\n\n".join(filter(None, [*parts, f"<details><summary>Tables</summary>\n\n{tables}\n</details>"])) + "\n"


def _writable(text: str) -> str:
    return UNWRITABLE.sub("?", text)


def _cell(text: str) -> str:
    """Text inside a cell of a table, or a line of a quotation."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("`", "'")
