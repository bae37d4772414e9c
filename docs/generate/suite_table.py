"""The table of suites in ``docs/evaluate.md``, computed from the suites themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from variate import registry
from variate.evaluation.suites import ONLY_RANDOM, SUITES

PAGE = Path(__file__).parent.parent / "evaluate.md"
BEGIN, END = "<!-- begin suites -->\n", "<!-- end -->"


def page_with_suites() -> str:
    """``docs/evaluate.md`` with the table as the code has it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}{suite_table()}{rest[rest.index(END) :]}"


def suite_table() -> str:
    """The attacks of each suite, in the order in which they run; those for texts beside the others."""
    lines = ["| suite | attacks | on texts, where words or characters change |", "|:--|:--|:--|"]
    for name, attacks in SUITES.items():
        texts: list[str] = []
        others: list[str] = []
        for attack in attacks:
            given = {"name": attack} if isinstance(attack, str) else dict(attack)
            kinds = registry.get("attacks", given["name"]).facts["modality"]
            (texts if set(kinds) == {"text"} else others).append(_in_words(given))
        every = "every attack that Variate implements"
        cells = [", ".join(others), ", ".join(texts)] if attacks else [every, every]
        lines.append(f"| `{name}` | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _in_words(given: dict[str, Any]) -> str:
    """``pgd (20 steps)``; transfer runs from every network that the attacker may hold, error-rate on every rule."""
    name = given["name"]
    options = [f"{value} {option}" for option, value in given.items() if option not in ("name", ONLY_RANDOM)]
    if ONLY_RANDOM in given:
        options.append("on random networks")
    if name == "error-rate":
        return f"{name} (of each deployment of a random network)"
    if name == "transfer":
        options.append("from every network that the attacker may hold")
    return f"{name} ({', '.join(options)})" if options else str(name)
