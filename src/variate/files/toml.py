"""TOML files: read through one door, and checked against a table of options with the nearest name for a typo."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from variate.errors import VariateError, nearest
from variate.files.reading import reading

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
    """What is wrong with the options of a table, with the nearest name for an unknown one."""
    findings = []
    for problem in error.errors():
        place = ".".join(map(str, problem["loc"]))
        near = None
        if problem["type"] == "extra_forbidden":
            near = nearest(str(problem["loc"][-1]), _names_at(table, problem["loc"][:-1]))
        findings.append(f"{place}: {problem['msg']}" + (f"; did you mean {near!r}?" if near else ""))
    return findings


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
