"""What pydantic found wrong with a value, in the words of our own errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = 60  # characters of a wrong value
EXPECTED = {  # by the beginning of pydantic's type of a problem
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "none_required": "nothing",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "greater_than": "more than {gt:g}",
    "less_than": "less than {lt:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def sentence(place: str, problem: Mapping[str, Any], others: tuple[str, ...] = ()) -> str:
    """One problem in one sentence: the place, what is there, and what was expected.

    Args:
        place: name of the option, such as ``training.epochs``.
        problem: an item of ``ValidationError.errors()``.
        others: what other kinds of values would have been accepted there.
    """
    kind = problem["type"]
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        return f"{place}: there is no such option"
    wanted = expected(problem)
    if wanted is None:
        return f"{place}: {problem['msg'].removeprefix('Value error, ')}"
    shown = repr(problem["input"])
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    return f"{place} is {shown}, expected {' or '.join(dict.fromkeys((wanted, *others)))}"


def expected(problem: Mapping[str, Any]) -> str | None:
    """What would have been accepted, in words; None for problems that only their own message describes."""
    kind = problem["type"]
    text = EXPECTED.get(kind) or next((text for start, text in EXPECTED.items() if kind.startswith(start)), None)
    return None if text is None else text.format(**problem.get("ctx", {}))
