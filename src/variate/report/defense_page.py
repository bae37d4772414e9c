"""The page on defenses and objectives, from what each says of itself.

python -c "from variate.report.defense_page import defense_page; print(defense_page(), end='')" > docs/defenses.md
"""

from __future__ import annotations

from variate import registry
from variate.registry import Entry

GROUPS = {
    "none": ("No defense", "What every other is compared with."),
    "ours": ("Every parameter a distribution", "Networks whose every parameter has a learned mean and scale."),
    "distillation": ("Distillation", "A network that learns the softened answers of another one."),
    "adversarial training": ("Adversarial training", "Deterministic networks, trained on adversarial inputs."),
    "randomized": ("Other randomized networks", "Noise on inputs, features or some weights, members drawn at random."),
}
NEEDS = {
    "nothing": "any network",
    "distribution": "a random network",
    "layers": "layers that its defense puts in",
    "perturb": "an inner attack",
    "teacher": "a teacher",
}
INTRODUCTION = """\
`variate train --defense NAME` builds the network, chooses the objective and trains it; options stand in brackets:
`--defense "pni(share=channel)"`. All start from the same data, architecture, seed and budget, and are attacked and
judged alike. `variate list defenses` and `variate list objectives` print these lists.
"""
OBJECTIVES = """\
## Objectives

They add up, with weights and options: `--objective "adversarial(draws=4)+snr(target=10):0.5"`. Objectives with an inner
attack that are summed share its inputs.
"""


def defense_page() -> str:
    """The page, in Markdown."""
    lines = ["# Defenses and objectives", "", INTRODUCTION]
    for group, (title, text) in GROUPS.items():
        entries = [e for e in _ours("defenses") if e.facts["group"] == group]
        lines += [f"## {title}", "", text, ""]
        lines += ["| defense | what it is | trained with attacks | what differs from its source | source |"]
        lines += ["|:--|:--|:--|:--|:--|", *map(_defense_row, entries), ""]
    lines += [OBJECTIVES, "| objective | what it is | needs | source |", "|:--|:--|:--|:--|"]
    for entry in _ours("objectives"):
        needs, cite = NEEDS[entry.facts["needs"]], entry.facts["cite"]
        lines.append(f"| `{entry.name}` | {_cell(entry.summary)} | {needs} | {cite} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text as it may stand in a table."""
    return text.replace("|", "\\|")


def _ours(kind: str) -> list[Entry]:
    return [entry for entry in registry.entries(kind).values() if entry.module.startswith("variate.")]


def _defense_row(entry: Entry) -> str:
    facts = entry.facts
    attacks = "yes" if facts["adversarial"] else "no"
    return f"| `{entry.name}` | {entry.summary} | {attacks} | {facts['differs']} | {facts['cite']} |"
