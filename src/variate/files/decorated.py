"""Read the decorated object of a Python file from its text, without importing it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from variate.errors import UsageError


class Decorated(NamedTuple):
    """One function or class: its name, the first line of its docstring, and the arguments of its decorator."""

    name: str
    summary: str
    facts: dict[str, Any]


def decorated_in(path: Path, decorator: str, *, expected: str) -> Decorated | None:
    """The first function or class with a decorator; None if there is none.

    Args:
        path: the file.
        decorator: name of the decorator, which is called with literals.
        expected: what is expected of the file, for error messages.

    Raises:
        UsageError: for a file that is not Python, and arguments that are not literals.
    """
    try:
        body = ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body
    except (SyntaxError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} cannot be read as Python: {error}", expected=expected) from error
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator:
                try:
                    facts = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
                except ValueError as error:
                    raise UsageError(
                        f"{path}: an argument of @{decorator} is not a literal", expected=expected
                    ) from error
                return Decorated(node.name, (ast.get_docstring(node) or "").partition("\n")[0], facts)
    return None


def source_of(module: str) -> Path | None:
    """The source file of a module, which is not imported; None if there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)
