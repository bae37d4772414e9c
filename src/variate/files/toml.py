"""TOML files: read through one door, and checked against a table of options with the nearest name for a typo."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from variate.errors import VariateError, nearest
from variate.files.reading import reading
from variate.files.wording import expected as wanted_instead
from variate.files.wording import sentence

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


def read_toml(path: Path, error: type[VariateError], *, expected: str | None = None) -> dict[str, Any]:
    """The content of a file. Raises ``error``."""
    try:
        with reading(path, error, expected=expected):
            return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except VariateError as problem:
        cause = problem.__cause__
        if not isinstance(cause, ValueError):
            raise
        raise error(f"{path} is not a TOML file: {cause}", expected=expected) from cause


def findings_of(error: ValidationError, table: type[BaseModel]) -> list[str]:
    """What is wrong with the options of a table, one sentence an option, with the nearest name for an unknown one."""
    by_place: dict[tuple[int | str, ...], list[Any]] = {}
    for problem in error.errors():
        by_place.setdefault(_written_place(table, problem["loc"]), []).append(problem)
    findings = []
    for place, problems in by_place.items():
        if any(len(other) > len(place) and other[: len(place)] == place for other in by_place):
            continue  # of the kind that was not meant, where another kind is wrong further in
        first, *rest = problems  # several where a value may be of several kinds
        others = tuple(word for word in map(wanted_instead, rest) if word is not None)
        near = None
        if first["type"] == "extra_forbidden":
            near = nearest(str(place[-1]), _names_at(table, place[:-1]))
        said = sentence(".".join(map(str, place)), first, others)
        findings.append(said + (f"; did you mean {near!r}?" if near else ""))
    return findings


def _written_place(table: type[BaseModel], place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A place as the file has it: without the kinds, such as ``int``, by which pydantic names what it tried."""
    kinds = {str(getattr(kind, "__name__", kind)) for kind in (int, float, str, bool)}
    kept = [part for part in place if isinstance(part, int) or not (part in kinds or "[" in part or "-" in part)]
    return tuple(kept) or place


def _names_at(table: Any, place: tuple[int | str, ...]) -> list[str]:
    """The names of the options at a place within a table."""
    for part in place:
        fields = getattr(table, "model_fields", None)
        if fields is not None and part in fields:
            table = fields[part].annotation
        candidates = [table, *get_args(table)]
        while candidates and not hasattr(candidates[0], "model_fields"):
            candidates = [*candidates[1:], *get_args(candidates[0])]
        table = candidates[0] if candidates else None
    names = []
    for name, field in (getattr(table, "model_fields", None) or {}).items():
        alias = field.validation_alias
        names += [name, *(map(str, alias.choices) if alias is not None and hasattr(alias, "choices") else ())]
    return names
