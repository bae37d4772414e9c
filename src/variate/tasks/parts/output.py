"""The part of what a network returns that is its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from variate.errors import InputError

Key = str | int | None


def part_of(output: object, key: Key) -> object:
    """The part of an output that a key names; without one, what is there as ``logits`` or ``out``, or all of it.

    Raises:
        InputError: if there is no such part.
    """
    if isinstance(output, Tensor):
        return output if key is None else _missing(output, key)
    names: Sequence[str | int] = ("logits", "out") if key is None else (key,)
    for name in names:
        if isinstance(output, Mapping) and name in output:
            return output[name]
        if isinstance(output, Sequence) and isinstance(name, int) and -len(output) <= name < len(output):
            return output[name]
        if isinstance(name, str) and not isinstance(output, Mapping) and hasattr(output, name):
            return getattr(output, name)
    return output if key is None else _missing(output, key)


def _missing(output: object, key: str | int) -> object:
    if isinstance(output, Mapping):
        shown = f"a dictionary of {', '.join(map(str, output))}"
    else:
        shown = "one tensor" if isinstance(output, Tensor) else type(output).__name__
    raise InputError(
        f"the network returned {shown}, without {key!r}", todo="leave key out, or name a part that is there"
    )
