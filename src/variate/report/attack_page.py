"""The page on attacks, from what each attack says of itself.

python -c "from variate.report.attack_page import attack_page; print(attack_page(), end='')" > docs/attacks.md
"""

from __future__ import annotations

from variate import registry
from variate.registry import Entry

GROUPS = {
    "gradient": ("White-box", "They take gradients of the averaged loss."),
    "scores": ("Black-box, with scores", "They see the averaged scores of the inputs that they ask about."),
    "labels": ("Black-box, with labels", "They see the label that most of the draws give."),
    "none": ("Without a question", "They hold another network, and never ask the one under attack."),
}


def attack_page() -> str:
    """The page, in Markdown."""
    lines = ["# Attacks", "", INTRODUCTION, ""]
    for access, (title, text) in GROUPS.items():
        entries = [e for e in registry.entries("attacks").values() if e.facts["access"] == access]
        ours = [entry for entry in entries if entry.module.startswith("variate.")]
        lines += [f"## {title}", "", text, "", "| attack | what it does | norms | | source |", "|:--|:--|:--|:--|:--|"]
        lines += [_row(entry) for entry in ours] + [""]
    return "\n".join(lines)


INTRODUCTION = (
    "Every attack works on random networks: it sees the network through an oracle that averages over fresh draws "
    "([evaluate a network](evaluate.md)). *Aims*: it can go for a chosen label (`target=`). *Smallest*: it seeks the "
    "smallest perturbation, within the budget. Options stand in brackets: `--attack 'pgd(steps=100, restarts=3)'`; "
    "`draws`, `average`, `keys` and `target` are options of all. `variate list attacks` prints this list."
)


def _row(entry: Entry) -> str:
    facts = entry.facts
    marks = [word for word, held in (("aims", facts["targeted"]), ("smallest", facts["minimal"])) if held]
    return f"| `{entry.name}` | {entry.summary} | {', '.join(facts['norms'])} | {', '.join(marks)} | {facts['cite']} |"
