"""The page that lists all defenses and objectives, generated from their declared facts."""

from __future__ import annotations

from docs.generate.entry_text import cell, cited, linked, ours

from variate.registry import Entry

GROUPS = {
    "none": ("No defense", "The baseline for all others."),
    "ours": ("Every parameter a distribution", "Networks in which every parameter has a learned mean and scale."),
    "distillation": ("Distillation", "Networks trained on the softened outputs of another network."),
    "adversarial training": ("Adversarial training", "Deterministic networks trained on adversarial inputs."),
    "randomized": (
        "Other randomized networks",
        "Noise on inputs, features or some weights, or randomly drawn members.",
    ),
}
NEEDS = {
    "nothing": "any network",
    "distribution": "a random network",
    "layers": "layers added by its defense",
    "perturb": "an inner attack",
    "teacher": "a teacher",
}
INTRODUCTION = """\
`variate train --defense NAME` builds the network, selects the objective and trains it; options go in brackets:
`--defense "pni(share=channel)"`. All defenses start from the same data, architecture, seed and budget, and are attacked
and judged in the same way. `variate list defenses` and `variate list objectives` print these lists; each name links to
the full entry.
"""
OBJECTIVES = """\
## Objectives

Objectives can be summed, with weights and options: `--objective "adversarial(draws=4)+snr(target=10):0.5"`. Terms
with an inner attack share its inputs.
"""


def defense_page() -> str:
    """The page, in Markdown."""
    lines = ["# Defenses and objectives", "", INTRODUCTION]
    for group, (title, text) in GROUPS.items():
        entries = [e for e in ours("defenses") if e.facts["group"] == group]
        lines += [f"## {title}", "", text, ""]
        lines += [*_table(entries), ""]
    lines += [OBJECTIVES, "| objective | what it is | needs | source |", "|:--|:--|:--|:--|"]
    for entry in ours("objectives"):
        needs, cite = NEEDS[entry.facts["needs"]], cited(entry.facts["cite"])
        lines.append(f"| {linked(entry)} | {cell(entry.summary)} | {needs} | {cite} |")
    return "\n".join(lines) + "\n"


def _table(entries: list[Entry]) -> list[str]:
    """The table of a group of defenses, without empty columns."""
    columns = {
        "defense": [linked(entry) for entry in entries],
        "what it is": [cell(entry.summary) for entry in entries],
        "trained with attacks": ["yes" if entry.facts["adversarial"] else "no" for entry in entries],
        "differences from its source": [cell(entry.facts["differs"]) for entry in entries],
        "source": [cited(entry.facts["cite"]) for entry in entries],
    }
    filled = {name: texts for name, texts in columns.items() if any(texts)}
    rows = [tuple(filled), (":--",) * len(filled), *zip(*filled.values(), strict=True)]
    return [f"| {' | '.join(row)} |" for row in rows]
