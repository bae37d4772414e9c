"""All networks, and the table of ``docs/your-own-network.md``, from what is declared beside each."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brought.compiled import COMPILED
from brought.layers import LAYERS
from brought.network import Brought
from brought.noise import NOISE
from brought.operations import OPERATIONS, RANDOM
from brought.outputs import OUTPUTS
from brought.precision import PRECISION
from brought.weights import WEIGHTS

NETWORKS: dict[str, Brought] = COMPILED | PRECISION | OUTPUTS | WEIGHTS | LAYERS | NOISE
MEANINGS = {
    "right": "the right number, of the network as it is and of its random version",
    "as it is": "the right number of the network as it is; it has no random version, or none that does this",
    "randomized": "the right number of the random version, and an error for the network as it is",
    "black-box": "the right number under attacks that need no gradient; the others say that there is none",
    "named": "the finding in the last column",
    "no": "the error in the last column",
}


def table() -> str:
    """What becomes of every network, in Markdown."""
    lines = ["| network | " + " | ".join(OPERATIONS) + " | what is said |", "|:--" + "|:-:" * len(OPERATIONS) + "|:--|"]
    for name, entry in NETWORKS.items():
        cells = [outcome(entry, operation) for operation in OPERATIONS]
        lines.append(f"| {name} | {' | '.join(cells)} | {said(entry)} |")
    meanings = [f"- **{word}**: {meaning}." for word, meaning in MEANINGS.items()]
    columns = [f"- **{name}**: {operation.__doc__}." for name, operation in OPERATIONS.items()]
    return "\n".join([*lines, "", "What a cell means:", "", *meanings, "", "What is compared:", "", *columns, ""])


def outcome(entry: Brought, operation: str) -> str:
    """The cell of one network and one operation."""
    if operation == "check":
        return "named" if entry.finds else "right"
    refused = operation in entry.refuses
    if operation == "randomize":
        return "no" if refused else "named" if entry.unfit else "right"
    random = entry.random and operation + RANDOM not in entry.refuses
    if operation == "evaluate" and entry.blind and not refused:
        return "black-box"
    return {(False, True): "right", (False, False): "as it is", (True, True): "randomized"}.get((refused, random), "no")


def said(entry: Brought) -> str:
    """The words of its findings, errors and warnings, once each."""
    words = [*entry.finds, *entry.refuses.values(), entry.warns, entry.blind]
    return "; ".join(f'"{text}"' for text in once(map(as_text, words)) if text)


def as_text(pattern: str) -> str:
    """A pattern as the words that it stands for: the first of several, with dots where it leaves some out."""
    text = re.sub(r"\\(.)", r"\1", pattern.partition("|")[0].replace(".*", " ... "))
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def once(texts: Iterable[str]) -> list[str]:
    """Texts without those that are part of another one, in order."""
    found = list(dict.fromkeys(texts))
    return [text for text in found if not any(text in other and text != other for other in found)]
