"""Options of a defense, an attack or another entry typed as flags: the error says how they are written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from variate import registry
from variate.errors import UsageError, VariateError
from variate.evaluation.evaluation import Evaluation
from variate.fields import options_of
from variate.options import names_code, parse, whole, written
from variate.training.cell import Cell

ENTRIES = {  # kind of entries by the option that names one
    item.option.singular or item.name: item.option.entries
    for source in (Cell, Evaluation)
    for item in options_of(source)
    if item.option.entries
}
PART = re.compile(r"[\w-]+(?:\([^)]*\))?")  # of text such as adversarial(draws=4)+snr(target=20):0.5
NOT_TYPED = ("folder", "mean", "std")  # arguments of entries that the program gives them


def misplaced(flag: str, words: Sequence[str], options: Mapping[str, Any], command: str) -> UsageError | None:
    """The error for an unknown flag that is an option of an entry which the command names; None if it is of none.

    Args:
        flag: the flag, with its dashes.
        words: the command line after the command.
        options: the command's parameters by the name of their option.
        command: the command, as typed.
    """
    option = flag.lstrip("-").replace("-", "_")
    for owner, text in _named(words, options):
        for part in PART.finditer(text):
            known = _options_of(ENTRIES[owner], part[0])
            if option in known:
                name, values = parse(part[0], owner)
                typed = _value_of(flag, words)
                values |= {option: known[option]} if typed is None else _read(option, typed)
                spelled = written(name, {key: whole(value) for key, value in values.items()})
                whole_text = text[: part.start()] + spelled + text[part.end() :]
                return UsageError(
                    f"{flag} is no option of {command}, but one of the {owner} {name}",
                    expected="options of an entry in parentheses behind its name",
                    todo=f'--{owner} "{whole_text}"',
                )
    return None


def _named(words: Sequence[str], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every option that names entries, with its values: those that were typed, else its default."""
    for owner in ENTRIES:
        if owner in options:
            typed = list(_values_of(f"--{owner}", words))
            given = typed or options[owner].default or ()
            for text in [given] if isinstance(given, str) else given:
                if isinstance(text, str) and not names_code(text):
                    yield owner, text


def _options_of(kind: str, text: str) -> dict[str, Any]:
    """The options of an entry and their defaults; none for a name that does not exist."""
    try:
        function = registry.get(kind, parse(text, kind)[0]).load()
        parameters = inspect.signature(function).parameters.values()
    except (VariateError, TypeError, ValueError):
        return {}
    own = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty]
    return {p.name: p.default for p in own if p.name not in NOT_TYPED}


def _read(option: str, typed: str) -> dict[str, Any]:
    """An option as it would be read in parentheses."""
    return {option: typed} if set(typed) & set(",'\"()") else parse(f"entry({option}={typed})", "an entry")[1]


def _values_of(flag: str, words: Sequence[str]) -> Iterator[str]:
    for i, word in enumerate(words):
        if word == flag and i + 1 < len(words):
            yield words[i + 1]
        elif word.startswith(f"{flag}="):
            yield word.removeprefix(f"{flag}=")


def _value_of(flag: str, words: Sequence[str]) -> str | None:
    """The word behind a flag; None if another flag follows, or nothing."""
    value = next(_values_of(flag, words), None)
    return None if value is None or value.startswith("--") else value
