"""The exceptions that Variate raises: what went wrong, what was expected, and what to do.

Each exception keeps these parts as attributes, so that the command line can draw them as a tree and programs can read
them. ``exit_code`` is the exit status of the command line: 2 for a usage error, 1 for everything else. What was
measured and is not enough is no error, and has a status of its own.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

LONG_WORD = re.compile(r"\S{400,}")  # a value that nobody reads to its end; paths are shorter
KEPT = 60  # characters of it at either end
FALLS_SHORT = 3  # exit status where a requirement is not met, or a number of an evidence file does not hold


class VariateError(Exception):
    """The base of all exceptions here.

    Args:
        problem: one sentence that says what went wrong.
        expected: what would have been accepted.
        findings: everything that was found wrong, not only the first of it.
        todo: the next step.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        expected: str | None = None,
        findings: Iterable[str] = (),
        todo: str | None = None,
    ) -> None:
        self.problem = _shortened(problem)
        self.expected = expected
        self.findings = tuple(map(_shortened, findings))
        self.todo = todo
        super().__init__(self.problem)

    def __str__(self) -> str:
        lines = [self.problem]
        lines += [f"  - {finding}" for finding in self.findings]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.todo:
            lines.append(f"  do: {self.todo}")
        return "\n".join(lines)


def _shortened(text: str) -> str:
    """The text with the middle of very long words left out."""
    return LONG_WORD.sub(lambda word: f"{word[0][:KEPT]}...{word[0][-KEPT:]}", text)


class UsageError(VariateError, ValueError):
    """The caller asked for something that does not exist or does not make sense."""

    exit_code = 2


class InputError(VariateError, ValueError):
    """The inputs are not finite numbers in [0, 1], or the labels are not integers."""


class GradientError(InputError):
    """A network has no gradient to follow: an attack that needs none can still be run on it."""


class DataError(VariateError):
    """A data set is missing, incomplete, or does not match its checksum."""


class CheckpointError(VariateError):
    """A saved network is missing, truncated, or was not written by Variate."""


class RecordError(VariateError):
    """Records cannot be read or written; records already on disk are intact."""


class RandomizeError(VariateError):
    """A module cannot be made random; ``findings`` lists every reason."""


class RepeatedDrawsError(VariateError):
    """Draws with different keys gave the same network, so averaging over them has no effect."""


class AttackError(VariateError):
    """An attack returned inputs outside its budget, outside [0, 1], or of another shape."""


class ExportError(VariateError):
    """A network cannot be exported, or the exported graph disagrees with the network."""


class SimilarQueryError(VariateError):
    """A served network refuses to answer inputs that are too similar to earlier queries; HTTP status 429 fits.

    Args:
        problem: one sentence that says what went wrong.
        rows: the rows of the request that are too similar.
        expected: what would have been accepted.
    """

    def __init__(self, problem: str, *, rows: Sequence[int] = (), expected: str | None = None) -> None:
        self.rows = tuple(rows)
        super().__init__(problem, findings=[f"rows {', '.join(map(str, self.rows))}"], expected=expected)


class BatchWarning(UserWarning):
    """The answers of a network depend on the rest of the batch."""


class CertificateWarning(UserWarning):
    """A deployment fixes the noise that certifies a network."""


def unknown_name(what: str, name: str, choices: Sequence[str]) -> UsageError:
    """The error for a name that does not exist; it lists the choices and suggests the nearest one."""
    near = nearest(name, choices)
    return UsageError(
        f"there is no {what} named {name!r}",
        expected=f"one of {', '.join(choices)}" if choices else f"a {what}; none is installed",
        todo=f"did you mean {near!r}?" if near else None,
    )


def nearest(name: str, choices: Sequence[str]) -> str | None:
    """The choice that is most like a name with a typo; None if none is."""
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return near[0] if near else None
