"""Apply a defense given as text: the network it builds from an architecture, and its training objective."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.options import parse, whole

SHAPE = "shape"  # the argument of defenses that need to know the inputs; it is not an option


def defended(text: str, network: nn.Module, *, shape: Sequence[int] = ()) -> tuple[nn.Module, str]:
    """Apply a defense: ``random-at``, or with options, ``pni(share=channel)``.

    Args:
        text: name and options of a defense.
        network: the architecture; a defense may change it in place, or return another network.
        shape: shape of one input, for defenses that need it.

    Returns:
        The network to train, and the name of its objective.

    Raises:
        UsageError: for a defense or an option that does not exist, or that cannot be built into this network.
    """
    function = registry.get("defenses", parse(text, "a defense")[0]).load()
    name, values = parse(text, "a defense", function)
    keywords = {n: p for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
    options: dict[str, Any] = {}
    if keywords.pop(SHAPE, None) is not None:
        if not shape:
            raise UsageError(f"{name} needs the shape of an input", todo="defended(text, network, shape=(1, 28, 28))")
        options[SHAPE] = tuple(shape)
    for option, value in values.items():
        if option not in keywords:
            raise unknown_name(f"option of {name}", option, list(keywords))
        expected = type(keywords[option].default)
        value = whole(value) if expected is int else value
        if not isinstance(value, expected):
            raise UsageError(f"{option} of {name} is {value!r}", expected=f"a value like {keywords[option].default!r}")
        options[option] = value
    result: tuple[nn.Module, str] = function(network, **options)
    return result


def teacher_of(text: str) -> str | None:
    """The objective that a defense's teacher trains with; None if it has no teacher. Raises ``UsageError``."""
    objective: str | None = registry.get("defenses", parse(text, "a defense")[0]).facts["teacher"]
    return objective
