"""What went wrong, what was expected, and what to do: every error a user of Variate can cause.

Each error carries its parts, so that the command line can draw it as a tree and a program can read it.
``exit_code`` is the code of the command line: 2 for a usage error, 1 for everything else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class VariateError(Exception):
    """An error with its parts: the problem, what was expected, what was found (all of it), the next step."""

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        expected: str | None = None,
        findings: Iterable[str] = (),
        todo: str | None = None,
    ) -> None:
        self.problem = problem
        self.expected = expected
        self.findings = tuple(findings)
        self.todo = todo
        super().__init__(problem)

    def __str__(self) -> str:
        lines = [self.problem]
        lines += [f"  - {finding}" for finding in self.findings]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.todo:
            lines.append(f"  do: {self.todo}")
        return "\n".join(lines)


class UsageError(VariateError, ValueError):
    """The caller asked for something that does not exist or does not make sense."""

    exit_code = 2


class InputError(VariateError, ValueError):
    """The inputs or labels are not what a network on [0, 1] inputs and integer labels can be judged on."""


class DataError(VariateError):
    """A data set is missing, incomplete or not what its checksum says."""


class CheckpointError(VariateError):
    """A saved network is missing, truncated or not one of ours."""


class RecordError(VariateError):
    """Records cannot be read or written; those already written are intact."""


class RandomizeError(VariateError):
    """A module cannot be made random; every reason is in ``findings``."""


class RepeatedDrawsError(VariateError):
    """Averaging over draws is not real: draws with different keys gave the same network."""


class AttackError(VariateError):
    """An attack broke its contract: it left its budget, the input range, or the shape of its inputs."""


class ExportError(VariateError):
    """A network cannot be written as a graph, or the graph does not do what the network does."""


def unknown_name(what: str, found: str, choices: Sequence[str]) -> UsageError:
    """The error for a name that does not exist, with the choices and the nearest of them."""
    near = difflib.get_close_matches(found, choices, n=1, cutoff=0.5)
    return UsageError(
        f"there is no {what} named {found!r}",
        expected=f"one of {', '.join(choices)}" if choices else f"a {what}; none is installed",
        todo=f"did you mean {near[0]!r}?" if near else None,
    )
