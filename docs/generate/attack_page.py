"""The page that lists all attacks, generated from their declared facts."""

from __future__ import annotations

from docs.generate.entry_text import cell, cited, linked, ours

from variate.registry import Entry

GROUPS = {
    "gradient": ("White-box", "These attacks use gradients of the averaged loss."),
    "scores": ("Black-box, with scores", "These attacks see the averaged scores of the inputs they query."),
    "labels": ("Black-box, with labels", "These attacks see the label that most of the draws predict."),
    "none": ("Without queries", "These attacks use another network, and never query the one under attack."),
}
HEAD = ["| attack | what it does | norms | features | source |", "|:--|:--|:--|:--|:--|"]


def attack_page() -> str:
    """The page, in Markdown."""
    lines = ["# Attacks", "", INTRODUCTION, ""]
    for access, (title, text) in GROUPS.items():
        entries = [entry for entry in ours("attacks") if entry.facts["access"] == access]
        lines += [f"## {title}", "", text, "", *HEAD]
        lines += [_row(entry) for entry in entries] + [""]
    return "\n".join(lines)


INTRODUCTION = (
    "Every attack works on random networks: it sees the network through an oracle that averages over fresh draws "
    "([evaluate a network](evaluate.md)). *Targeted*: it supports a target label (`target=`). *Minimum norm*: it looks "
    "for the smallest perturbation within the budget. Options go in brackets: `--attack 'pgd(steps=100, restarts=3)'`. "
    "All attacks take `draws`, `average`, `keys` and `target`; [each attack in full](entries/attacks.md) lists its "
    "other options. `variate list attacks` prints this list."
)


def _row(entry: Entry) -> str:
    facts = entry.facts
    named = (("targeted", facts["targeted"]), ("minimum norm", facts["minimal"]))
    features = [name for name, present in named if present]
    columns = [linked(entry), cell(entry.summary), ", ".join(facts["norms"]), ", ".join(features), cited(facts["cite"])]
    return f"| {' | '.join(columns)} |"
